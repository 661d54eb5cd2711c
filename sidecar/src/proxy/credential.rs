//! Takes the current secret of a route, after the decision and not before.

use postern_crds::Secret;

use crate::{error::Error, snapshot::Binding};

/// The current secret.
///
/// # Errors
/// [`Error::CredentialMissing`] when the operator could not resolve it, or its owner withdrew the consent.
pub(crate) fn current(binding: &Binding) -> Result<&Secret, Error> {
    binding
        .secret
        .as_ref()
        .map(|secret| &secret.value)
        .ok_or(Error::CredentialMissing)
}

//! Takes the current secret of a route, after the decision and not before.

use postern_crds::Secret;

use crate::{error::Error, snapshot::Binding};

/// The current secret.
///
/// # Errors
/// [`Error::SecretStale`] when its source could not be read for longer than the identity's `maxStaleness`; [`Error::CredentialMissing`] when the operator could
/// not resolve it, or its owner withdrew the consent.
pub(crate) fn current(binding: &Binding) -> Result<&Secret, Error> {
    match &binding.secret {
        _ if binding.is_stale => Err(Error::SecretStale),
        Some(secret) => Ok(&secret.value),
        None => Err(Error::CredentialMissing),
    }
}

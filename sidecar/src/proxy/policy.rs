//! Asks the policy for its decision.

use http::Method;
use postern_crds::{
    Decision, Facts,
    policy::{METHODS, RuleId},
};

use crate::{
    error::Error,
    snapshot::{Binding, Snapshot},
};

/// Refuses methods that no rule can name: CONNECT would open a tunnel, TRACE would echo the credential.
///
/// # Errors
/// [`Error::MethodRefused`].
pub(crate) fn check_method(method: &Method) -> Result<(), Error> {
    if METHODS.contains(&method.as_str()) {
        Ok(())
    } else {
        Err(Error::MethodRefused)
    }
}

/// The rule that allows the request; none where all policies only observe.
///
/// # Errors
/// [`Error::DeniedByRule`] or [`Error::NoRule`].
pub(crate) fn decide(
    snapshot: &Snapshot,
    binding: &Binding,
    method: &Method,
    path: &str,
) -> Result<Option<RuleId>, Error> {
    let facts = Facts::of_head(&binding.route.credential, method.as_str(), path);
    match snapshot.policy.decide(&facts).decision {
        Decision::Allow(rule) => Ok(Some(rule)),
        Decision::Unenforced => Ok(None),
        Decision::Deny(rule) | Decision::Failed { rule, .. } | Decision::Uninspected(rule) => {
            Err(Error::DeniedByRule(rule))
        }
        Decision::NoRule => Err(Error::NoRule),
    }
}

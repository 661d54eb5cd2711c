//! Where secrets come from: every source of an identity's credentials, as it is now.

use std::collections::BTreeMap;

use postern_crds::bundle::VersionedSecret;

mod failure;
pub mod kubernetes;

pub use failure::{Failure, Kind, NotAuthorities, Place};

/// What an identity's sources hold now.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// One entry a credential.
    pub secrets: BTreeMap<String, Result<VersionedSecret, Failure>>,
    /// One entry a credential that names certificate authorities of its own: PEM.
    pub authorities: BTreeMap<String, Result<String, Failure>>,
}

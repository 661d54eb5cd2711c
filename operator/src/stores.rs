//! Where secrets come from: every source of an identity's credentials, as it is now.

use std::{collections::BTreeMap, time::Duration};

use kube::Client;
use postern_crds::{AgentIdentitySpec, bundle::VersionedSecret};

mod aws;
mod connection;
mod document;
mod failure;
#[cfg(test)]
mod fixtures;
mod gate;
mod holding;
mod http;
mod https;
pub mod kubernetes;
mod lease;
mod ledger;
#[cfg(test)]
mod mutated;
mod own;
mod problem;
mod reading;
mod table;
mod vault;

pub use failure::{Failure, Kind, NotAuthorities, Place};
pub(crate) use holding::{Held, beside};
pub(crate) use lease::Lease;
pub(crate) use own::Own;
pub use problem::{OwnProblem, Problem};
pub(crate) use table::Stores;

/// What an identity's sources hold now.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// One entry a credential.
    pub secrets: BTreeMap<String, Result<VersionedSecret, Failure>>,
    /// What a version of a credential starts with that came from the very place that its store names now. What came from elsewhere is not kept when
    /// the store fails.
    pub origins: BTreeMap<String, String>,
    /// One entry a credential that names certificate authorities of its own: PEM.
    pub authorities: BTreeMap<String, Result<String, Failure>>,
    /// What the identity holds of stores that make a credential for each reading.
    pub(crate) leases: Vec<Lease>,
    /// When something is to be done about one of them.
    pub(crate) due: Option<Duration>,
}

/// Reads every source that `spec` names, for an identity that had what is `held` before.
pub(crate) async fn resolve(
    client: &Client,
    stores: &Stores,
    held: Held<'_>,
    spec: &AgentIdentitySpec,
) -> Sources {
    let mut sources = kubernetes::resolve(client, held.namespace, held.identity, spec).await;
    stores.resolve(held, spec, &mut sources).await;
    sources
}

//! What the cluster holds for one namespace at the moment of an admission.

use std::sync::Arc;

use kube::{ResourceExt as _, core::DeserializeGuard};
use postern_crds::{AgentIdentity, EgressPolicy, names};

/// An object as it was watched: one that this version cannot read is still known by its name.
pub type Watched<K> = Arc<DeserializeGuard<K>>;

/// The identities and policies of one namespace.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    identities: Vec<Watched<AgentIdentity>>,
    policies: Vec<Watched<EgressPolicy>>,
}

impl Snapshot {
    /// A snapshot of these objects, all of one namespace.
    pub fn new(
        identities: Vec<Watched<AgentIdentity>>,
        policies: Vec<Watched<EgressPolicy>>,
    ) -> Self {
        Self {
            identities,
            policies,
        }
    }

    /// The identity called `name`.
    pub fn identity(&self, name: &str) -> Option<&DeserializeGuard<AgentIdentity>> {
        self.identities
            .iter()
            .find(|identity| identity.name_any() == name)
            .map(AsRef::as_ref)
    }

    /// Whether a policy applies to the identity called `name`.
    pub fn is_targeted(&self, name: &str) -> bool {
        self.policies
            .iter()
            .filter_map(|policy| policy.0.as_ref().ok())
            .flat_map(|policy| &policy.spec.target_refs)
            .any(|target| target.name == name)
    }

    /// Whether `secret` is the bundle of an identity in this namespace.
    pub fn is_bundle(&self, secret: &str) -> bool {
        self.identities
            .iter()
            .any(|identity| names::bundle_secret(&identity.name_any()) == secret)
    }
}

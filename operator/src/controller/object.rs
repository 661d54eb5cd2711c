//! The custom resources as they are watched: a spec that cannot be read is a state of its own, not the end of the watch.

use kube::{Resource, api::ObjectMeta};
use postern_crds::{
    AgentIdentity, AgentIdentitySpec, AgentIdentityStatus, CredentialStore, CredentialStoreSpec,
    CredentialStoreStatus, EgressPolicy, EgressPolicySpec, EgressPolicyStatus,
    egress_policy::TargetRef,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// An `AgentIdentity`.
#[derive(Resource, Deserialize, Clone, Debug)]
#[resource(inherit = AgentIdentity)]
pub(crate) struct IdentityObject {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Lenient<AgentIdentitySpec>,
    #[serde(default)]
    pub(crate) status: Lenient<AgentIdentityStatus>,
}

/// An `EgressPolicy`.
#[derive(Resource, Deserialize, Clone, Debug)]
#[resource(inherit = EgressPolicy)]
pub(crate) struct PolicyObject {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Lenient<EgressPolicySpec>,
    #[serde(default)]
    pub(crate) status: Lenient<EgressPolicyStatus>,
}

/// A `CredentialStore`.
#[derive(Resource, Deserialize, Clone, Debug)]
#[resource(inherit = CredentialStore)]
pub(crate) struct StoreObject {
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Lenient<CredentialStoreSpec>,
    #[serde(default)]
    pub(crate) status: Lenient<CredentialStoreStatus>,
}

/// Which object: by its name, and which of all that had that name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
}

/// A part of an object that this version may be too old (or too new) to understand.
#[derive(Clone, Debug)]
pub(crate) enum Lenient<T> {
    /// It was understood.
    Read(T),
    /// It was not.
    Unreadable {
        /// The parser's words.
        error: String,
        /// What was there.
        raw: Value,
    },
}

impl<T> Lenient<T> {
    pub(crate) fn read(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Unreadable { .. } => None,
        }
    }
}

impl<T: Default> Default for Lenient<T> {
    fn default() -> Self {
        Self::Read(T::default())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        Ok(match T::deserialize(&raw) {
            Ok(value) => Self::Read(value),
            Err(error) => Self::Unreadable {
                error: error.to_string(),
                raw,
            },
        })
    }
}

impl PolicyObject {
    /// Names of the identities that the policy targets; `None` if even that cannot be read, so that it may be any.
    pub(crate) fn targets(&self) -> Option<Vec<String>> {
        let names = |refs: &[TargetRef]| refs.iter().map(|target| target.name.clone()).collect();
        match &self.spec {
            Lenient::Read(spec) => Some(names(&spec.target_refs)),
            Lenient::Unreadable { raw, .. } => {
                Vec::<TargetRef>::deserialize(raw.get("targetRefs")?)
                    .ok()
                    .map(|refs| names(&refs))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(spec: &Value) -> PolicyObject {
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": spec })).unwrap()
    }

    #[test]
    fn a_spec_of_another_version_is_an_object_still() {
        let identity: IdentityObject = serde_json::from_value(json!({
            "metadata": { "name": "support-bot" },
            "spec": { "credentials": [], "serviceAccountNames": [], "fromTheFuture": 1 },
            "status": { "observedGeneration": 3 },
        }))
        .unwrap();
        assert!(
            matches!(&identity.spec, Lenient::Unreadable { error, .. } if error.contains("fromTheFuture"))
        );
        assert_eq!(identity.status.read().unwrap().observed_generation, Some(3));
    }

    #[test]
    fn targets_are_known_even_when_the_rules_are_not() {
        let refs = json!([{ "kind": "AgentIdentity", "name": "support-bot" }]);
        let names = Some(vec!["support-bot".to_owned()]);
        assert_eq!(
            policy(&json!({ "targetRefs": refs, "rules": [] })).targets(),
            names
        );
        assert_eq!(
            policy(&json!({ "targetRefs": refs, "rules": "none" })).targets(),
            names
        );
        assert_eq!(
            policy(&json!({ "targetRefs": "all", "rules": [] })).targets(),
            None
        );
        assert_eq!(policy(&json!({})).targets(), None);
    }
}

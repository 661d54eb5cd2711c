//! Builders that make the tests read as sentences.

use k8s_openapi::{ByteString, api::core::v1::Secret as SecretObject};
use postern_crds::{Bundle, Secret, bundle::VersionedSecret};
use serde_json::{Value, json};

use super::{
    bundle_secret::Existing,
    object::{Id, IdentityObject, PolicyObject},
};

pub(crate) const NAMESPACE: &str = "agents";
pub(crate) const IDENTITY: &str = "support-bot";
pub(crate) const UID: &str = "uid-1";

/// A credential of OpenAI whose secret is in the Secret `<name>-key`.
pub(crate) fn credential(name: &str) -> Value {
    json!({ "name": name, "provider": "openai", "source": { "secret": { "name": format!("{name}-key"), "key": "k" } } })
}

/// The identity with these credentials.
pub(crate) fn identity(credentials: &[Value]) -> IdentityObject {
    identity_with(&json!({ "serviceAccountNames": ["bot"], "credentials": credentials }))
}

/// The identity with this spec.
pub(crate) fn identity_with(spec: &Value) -> IdentityObject {
    serde_json::from_value(json!({
        "metadata": { "name": IDENTITY, "namespace": NAMESPACE, "uid": UID, "generation": 1 },
        "spec": spec,
    }))
    .unwrap()
}

/// A policy of `generation` that does `action` with the path `path` of credential `openai`. A path without `/` makes it invalid.
pub(crate) fn policy(name: &str, generation: i64, action: &str, path: &str) -> PolicyObject {
    policy_on(
        name,
        generation,
        &[IDENTITY],
        &json!([{ "name": "r", "to": { "credentials": ["openai"] }, "paths": [path], "action": action }]),
    )
}

/// A policy with these targets and rules.
pub(crate) fn policy_on(
    name: &str,
    generation: i64,
    targets: &[&str],
    rules: &Value,
) -> PolicyObject {
    let targets: Vec<Value> = targets
        .iter()
        .map(|name| json!({ "kind": "AgentIdentity", "name": name }))
        .collect();
    serde_json::from_value(json!({
        "metadata": { "name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}"), "generation": generation },
        "spec": { "targetRefs": targets, "rules": rules },
    }))
    .unwrap()
}

pub(crate) fn secret(value: &str, version: &str) -> VersionedSecret {
    VersionedSecret {
        value: Secret::new(value.as_bytes().to_vec()),
        version: version.to_owned(),
    }
}

/// `bundle` as it is in the cluster once it was written.
pub(crate) fn written(bundle: &Bundle) -> Existing {
    Existing::of(written_object(bundle), owner())
}

pub(crate) fn written_object(bundle: &Bundle) -> SecretObject {
    super::bundle_secret::object(owner(), bundle, &[])
}

/// A Secret of the bundle's name with this content, of this identity.
pub(crate) fn edited(bundle: &Bundle, content: &[u8]) -> Existing {
    let mut object = written_object(bundle);
    object.data = Some([("bundle.json".to_owned(), ByteString(content.to_vec()))].into());
    Existing::of(object, owner())
}

pub(crate) fn owner() -> Id<'static> {
    Id {
        namespace: NAMESPACE,
        name: IDENTITY,
        uid: UID,
    }
}

/// A bundle of the identity with one credential and its secret.
pub(crate) fn bundle() -> Bundle {
    serde_json::from_value(json!({
        "format": 1,
        "minReader": 1,
        "namespace": NAMESPACE,
        "identity": IDENTITY,
        "spec": { "serviceAccountNames": ["bot"], "credentials": [credential("openai")] },
        "policies": [],
        "secrets": { "openai": { "value": "c2stMQ==", "version": "secret/1" } },
    }))
    .unwrap()
}

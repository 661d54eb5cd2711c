//! The definitions of the custom resources, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{AgentIdentity, EgressPolicy};

/// All definitions.
pub fn all() -> Vec<CustomResourceDefinition> {
    [AgentIdentity::crd(), EgressPolicy::crd()]
        .into_iter()
        .map(without_nullable)
        .collect()
}

/// The derive marks every optional member as nullable. But a rule's `has()` is true for a member that is there and null, while we read null as
/// absent; without the mark the API server drops a null before any rule sees it, or refuses it, and both read the same thing.
fn without_nullable(definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let mut document = serde_json::to_value(definition).expect("a definition has string keys only");
    strip(&mut document);
    serde_json::from_value(document).expect("every member of a schema is optional")
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("nullable") == Some(&Value::Bool(true)) {
                members.remove("nullable");
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

//! The definitions of the custom resources, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{AgentIdentity, CredentialStore, EgressPolicy};

/// All definitions as they are installed, in YAML. A test holds them to [`all`], which needs half a megabyte of code to say the same.
pub const DOCUMENTS: [&str; 3] = [
    include_str!("../agentidentities.yaml"),
    include_str!("../credentialstores.yaml"),
    include_str!("../egresspolicies.yaml"),
];

/// All definitions.
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        AgentIdentity::crd(),
        CredentialStore::crd(),
        EgressPolicy::crd(),
    ]
    .into_iter()
    .map(without_nullable)
    .collect()
}

/// `definition` as it is written into a file. Bounds are numbers with a point in its type, and YAML tells `1.0` from `1` where a chart's renderer
/// does not; whole ones are written as such.
pub fn document(definition: &CustomResourceDefinition) -> Value {
    let mut document = serde_json::to_value(definition).expect("a definition has string keys only");
    write_whole(&mut document);
    document
}

fn write_whole(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(write_whole),
        Value::Array(items) => items.iter_mut().for_each(write_whole),
        Value::Number(number) => {
            // 2^53: up to here every whole number has one spelling.
            let whole = number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_992.0);
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                #[expect(clippy::cast_possible_truncation, reason = "whole, and of 53 bits")]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        _ => {}
    }
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

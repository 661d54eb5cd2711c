//! The cases in `crds/tests/admit` (which `e2e` shows to a real API server) against our own reading of the same resources: a folder on a laptop
//! and a bundle come past no API server, and must not mean more there than on a cluster.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, fs, path::Path};

use postern_crds::{
    AgentIdentity, CredentialStore, EgressPolicy, credential_store, definition, policy, route,
    violation, yaml,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// `accept`, or a part of the message.
    expect: String,
    resource: Value,
}

fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admit");
    let read = |file: &str| -> Vec<Case> {
        yaml::from_str(&fs::read_to_string(directory.join(file)).unwrap()).unwrap()
    };
    let mut cases = read("agentidentity.yaml");
    cases.extend(read("credentialstore.yaml"));
    cases.extend(read("egresspolicy.yaml"));
    cases
}

/// The messages of all validation rules in the definitions.
fn messages_of_rules() -> BTreeSet<String> {
    fn collect(value: &Value, into: &mut BTreeSet<String>) {
        if let Some(rules) = value
            .get("x-kubernetes-validations")
            .and_then(Value::as_array)
        {
            into.extend(
                rules
                    .iter()
                    .map(|rule| rule["message"].as_str().unwrap().to_owned()),
            );
        }
        match value {
            Value::Object(members) => members.values().for_each(|member| collect(member, into)),
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
    let mut messages = BTreeSet::new();
    for crd in definition::all() {
        collect(&serde_json::to_value(crd).unwrap(), &mut messages);
    }
    messages
}

/// What our own code says of a resource.
fn compiled(resource: &Value) -> Result<(), String> {
    let read = |error: serde_json::Error| error.to_string();
    let violations = if resource["kind"] == "AgentIdentity" {
        let identity: AgentIdentity = serde_json::from_value(resource.clone()).map_err(read)?;
        route::compile("agents", "bot", &identity.spec).map(drop)
    } else if resource["kind"] == "CredentialStore" {
        let store: CredentialStore = serde_json::from_value(resource.clone()).map_err(read)?;
        credential_store::check(&store.spec)
    } else {
        let policy: EgressPolicy = serde_json::from_value(resource.clone()).map_err(read)?;
        policy::check(&policy.spec)
    };
    violations.map_err(|found| violation::summary(&found))
}

#[test]
fn what_the_api_server_accepts_compiles() {
    for case in cases().iter().filter(|case| case.expect == "accept") {
        assert_eq!(compiled(&case.resource), Ok(()), "{}", case.name);
    }
}

#[test]
fn what_a_rule_rejects_does_not_compile_either() {
    let messages = messages_of_rules();
    let of_the_name = |message: &str| message.starts_with("the name ");
    for case in cases() {
        if messages
            .iter()
            .any(|message| message.contains(&case.expect) && !of_the_name(message))
        {
            assert!(compiled(&case.resource).is_err(), "{} compiles", case.name);
        }
    }
}

#[test]
fn every_rule_has_a_case_that_it_rejects() {
    let cases = cases();
    for message in messages_of_rules() {
        assert!(
            cases.iter().any(|case| message.contains(&case.expect)),
            "no case for: {message}"
        );
    }
}

#[test]
fn cases_have_names_of_their_own() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(
            names.insert((case.resource["kind"].to_string(), case.name.clone())),
            "{} stands there twice",
            case.name
        );
    }
}

#[test]
fn every_example_of_a_store_has_a_meaning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/stores");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let store: CredentialStore = yaml::from_str(&text).unwrap();
        assert_eq!(credential_store::check(&store.spec), Ok(()), "{path:?}");
        assert!(
            text.contains("# Tested: ") && text.contains("Not tested: "),
            "{path:?}"
        );
        count += 1;
    }
    assert!(count > 0);
}

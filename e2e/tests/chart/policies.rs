//! The admission policies as they are rendered: closed, narrow, and of the same names as the code. What they do is asked of a real API server.

use std::collections::BTreeSet;

use postern_crds::names;
use serde_json::{Value, json};

use crate::helm::{Object, find, list, objects, objects_with, strings, value_sets};

const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";

fn policies(objects: &[Object]) -> impl Iterator<Item = &Object> {
    objects.iter().filter(|object| object.kind() == POLICY)
}

/// Every expression of a policy that decides something.
fn expressions(policy: &Value) -> Vec<&str> {
    ["matchConditions", "variables", "validations"]
        .iter()
        .flat_map(|part| list(&policy["spec"][*part]))
        .map(|item| item["expression"].as_str().expect("an expression"))
        .collect()
}

/// The texts in quotes.
fn literals(expression: &str) -> impl Iterator<Item = &str> {
    expression.split('\'').skip(1).step_by(2)
}

#[test]
fn every_policy_fails_closed_looks_at_little_and_is_bound() {
    for set in value_sets() {
        let objects = objects_with(&set);
        let expected = if set == "least" { 0 } else { 6 };
        assert_eq!(policies(&objects).count(), expected, "{set}");
        for policy in policies(&objects) {
            let name = format!("{set}: {}", policy.name());
            let spec = &policy.0["spec"];
            assert_eq!(spec["failurePolicy"], "Fail", "{name}");
            assert_eq!(list(&spec["matchConditions"]).len(), 1, "{name}");
            for rule in list(&spec["matchConstraints"]["resourceRules"]) {
                for resource in strings(&rule["resources"]) {
                    assert!(!resource.contains('*'), "{name}: {resource}");
                }
            }
            for validation in list(&spec["validations"]) {
                assert_eq!(validation["reason"], "Forbidden", "{name}");
                let told = validation
                    .get("message")
                    .or(validation.get("messageExpression"));
                assert!(told.is_some(), "{name}: {validation}");
            }
            let binding = &find(&objects, BINDING, policy.name())["spec"];
            assert_eq!(binding["policyName"], policy.name(), "{name}");
            assert_eq!(binding["validationActions"], json!(["Deny"]), "{name}");
        }
    }
}

#[test]
fn policies_and_code_call_everything_alike() {
    let prefix = names::bundle_secret("");
    let known = BTreeSet::from([
        prefix.as_str(),
        names::IDENTITY_ANNOTATION,
        names::IDENTITY_LABEL,
        names::CONTAINER,
        names::BUNDLE_VOLUME,
        names::TOKEN_VOLUME,
        names::BUNDLE_SECRET_TYPE,
        // The release's own.
        "postern-controller-ca",
        "postern-system",
        "postern-webhook",
        "postern-webhook-ca",
        "postern-webhook-tls",
        "postern-debuggers",
        "system:serviceaccount:postern-system:postern-controller",
        "system:serviceaccount:postern-system:postern-webhook",
    ]);
    let mut seen = BTreeSet::new();
    let sets = ["defaults", "cert-manager"].map(objects_with);
    for policy in sets.iter().flat_map(|objects| policies(objects)) {
        for expression in expressions(&policy.0) {
            seen.extend(literals(expression).filter(|text| text.contains("postern")));
        }
    }
    assert_eq!(seen, known);
    let [objects, _] = &sets;
    let joining = find(objects, POLICY, "postern-ephemeral-containers");
    let user = format!("== {})", names::SIDECAR_UID);
    assert!(
        expressions(joining)
            .iter()
            .any(|expression| expression.contains(&user)),
        "{joining}"
    );
}

#[test]
fn policies_know_the_accounts_that_the_deployments_run_under() {
    for (set, fullname) in [("defaults", "postern"), ("most", "corp-gate")] {
        let objects = objects_with(set);
        let policy = find(&objects, POLICY, &format!("{fullname}-secrets"));
        let mut accounts: Vec<_> = ["controller", "webhook"]
            .map(|component| {
                let deployment = find(&objects, "Deployment", &format!("{fullname}-{component}"));
                let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
                format!(
                    "system:serviceaccount:postern-system:{}",
                    account.as_str().expect("an account")
                )
            })
            .into();
        accounts.sort();
        let condition = expressions(policy)[0];
        assert_eq!(literals(condition).collect::<Vec<_>>(), accounts, "{set}");
    }
}

#[test]
fn policies_bind_where_bundles_are_and_the_operators_own_accounts_everywhere() {
    let objects = objects_with("watch-namespaces");
    let watched = json!({"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["agents", "more-agents"]},
    ]});
    for policy in policies(&objects) {
        let everywhere = policy.name() == "postern-secrets";
        let expected = if everywhere { &json!({}) } else { &watched };
        let selector = &policy.0["spec"]["matchConstraints"]["namespaceSelector"];
        assert_eq!(selector, expected, "{}", policy.name());
    }
}

#[test]
fn a_namespace_that_is_never_injected_is_no_way_around() {
    let objects = objects(&["--set", "webhook.excludeNamespaces={quiet}"]);
    let bundles = find(&objects, POLICY, "postern-bundles");
    let selector = &bundles["spec"]["matchConstraints"]["namespaceSelector"];
    assert_eq!(*selector, json!({}));
    let excluded = list(&bundles["spec"]["variables"])
        .iter()
        .find(|variable| variable["name"] == "excluded")
        .expect("the variable")["expression"]
        .as_str()
        .expect("an expression");
    let webhook = find(&objects, "MutatingWebhookConfiguration", "postern");
    let not_in = &webhook["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"];
    for namespace in strings(not_in) {
        assert!(
            literals(excluded).any(|text| text == namespace),
            "{namespace}"
        );
    }
}

#[test]
fn without_a_group_nobody_looks_into_sidecars() {
    let objects = objects(&["--set", "admissionPolicies.debuggers="]);
    let exec = find(&objects, POLICY, "postern-exec");
    assert_eq!(exec["spec"]["validations"][0]["expression"], "false");
    let forward = find(&objects, POLICY, "postern-port-forward");
    assert_eq!(
        forward["spec"]["matchConditions"][0]["expression"],
        "!false"
    );
}

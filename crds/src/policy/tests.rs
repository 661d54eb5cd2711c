//! Deciding and fitting; what a policy means is told by the golden files in `crds/tests/golden`.

use super::*;
use crate::{Facts, agent_identity::AgentIdentitySpec, route};

fn spec(rules: &str) -> EgressPolicySpec {
    crate::yaml::from_str(&format!(
        "{{targetRefs: [{{kind: AgentIdentity, name: bot}}], rules: {rules}}}"
    ))
    .unwrap()
}

fn identity() -> AgentIdentitySpec {
    crate::yaml::from_str(
        "{serviceAccountNames: [a], credentials: [
           {name: openai, provider: openai, source: {secret: {name: s, key: k}}},
           {name: gemini, provider: gemini, source: {secret: {name: s, key: k}}}]}",
    )
    .unwrap()
}

#[test]
fn no_policy_allows_nothing() {
    let verdict = compile(&[])
        .unwrap()
        .decide(&Facts::of_head("openai", "GET", "/v1/models"));
    assert_eq!(verdict.decision, Decision::NoRule);
    assert_eq!(verdict.observed, None);
}

#[test]
fn a_rule_for_a_credential_that_the_identity_lacks_is_reported() {
    let spec = spec(
        "[{name: a, to: {credentials: [opneai]}, action: Deny}, {name: b, to: {credentials: ['*']}, action: Allow}]",
    );
    let found = unknown_credentials(&spec, &identity());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, "spec.rules[0].to.credentials");
    assert!(
        found[0].message.contains("(it has openai, gemini)"),
        "{}",
        found[0].message
    );
}

#[test]
fn a_path_that_no_call_can_have_is_reported() {
    let spec = spec(
        "[{name: a, to: {credentials: [openai]}, action: Deny,
           paths: [/chat/completions, /v1beta/x, /v1, /v1/x, '/**', '/*/x', '/v1/**', '/v2/**']},
          {name: b, to: {credentials: [gemini]}, action: Deny, paths: [/x, '/v1beta/**']},
          {name: c, to: {credentials: ['*']}, action: Deny, paths: [/x]},
          {name: d, to: {credentials: [unknown]}, action: Deny, paths: [/x]}]",
    );
    let routes = route::compile("agents", "bot", &identity()).unwrap();
    let found: Vec<String> = unreachable_paths(&spec, &routes)
        .into_iter()
        .map(|violation| violation.path)
        .collect();
    assert_eq!(
        found,
        [
            "spec.rules[0].paths[0]",
            "spec.rules[0].paths[1]",
            "spec.rules[0].paths[7]"
        ]
    );
}

#[test]
fn two_policies_of_one_name_are_refused() {
    let named = NamedPolicy {
        name: "p".into(),
        generation: 0,
        spec: spec("[]"),
    };
    let found = compile(&[named.clone(), named]).unwrap_err();
    assert_eq!(
        found[0].to_string(),
        "EgressPolicy p: there is another policy of this name"
    );
}

//! Deciding and fitting; what a policy means is told by the golden files in `crds/tests/golden`.

use super::*;
use crate::{
    Facts,
    agent_identity::AgentIdentitySpec,
    egress_policy::{MaskStyle, Mode},
    money::Usd,
    route,
};

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

#[test]
fn limits_are_read_exactly_and_sorted_by_name() {
    let spec: EgressPolicySpec = crate::yaml::from_str(
        "{targetRefs: [{kind: AgentIdentity, name: bot}], mode: Observe, limits: [
           {name: rpm, scope: Pod, requests: 60, per: 1m},
           {name: few, scope: Pod, concurrent: 4},
           {name: day, scope: Pod, to: {credentials: [openai]}, spend: '20.5', per: 24h, budgetExceeded: Finish,
            onUnknownPrice: Assume, assumedPrice: {input: '0.15', output: '60'}}]}",
    )
    .unwrap();
    let policy = compile(&[NamedPolicy {
        name: "p".into(),
        generation: 0,
        spec,
    }])
    .unwrap();
    let [day, few, rpm] = policy.limits() else {
        panic!("{:?}", policy.limits())
    };
    let usd = |text: &str| text.parse::<Usd>().unwrap();
    assert_eq!(day.id.to_string(), "p/day");
    assert_eq!(day.measure, Measure::Spend(usd("20.5")));
    assert_eq!(day.per.as_secs(), 24 * 3600);
    assert_eq!(day.exceeded, BudgetExceeded::Finish);
    assert!(day.concerns("openai") && !day.concerns("gemini") && !day.enforce);
    let price = day.assumed_price.unwrap();
    assert_eq!(
        (price.input, price.cached_input, price.reasoning),
        (usd("0.00000015"), usd("0.00000015"), usd("0.00006"))
    );
    assert_eq!(
        (few.measure, few.per.as_secs()),
        (Measure::Concurrent(4), 0)
    );
    assert_eq!(
        (rpm.measure, rpm.per.as_secs()),
        (Measure::Requests(60), 60)
    );
    assert!(rpm.concerns("anything") && rpm.assumed_price.is_none());
    // Of these only money depends on what a call says.
    assert!(policy.needs("openai", "POST", "/x").content);
    assert!(!policy.needs("gemini", "POST", "/x").content);
}

#[test]
fn a_model_has_the_label_of_the_most_exact_name_and_never_its_own() {
    let spec = spec(
        "[{name: a, to: {credentials: ['*']}, models: ['gpt-*', 'gpt-4o-mini', 'gpt-4*'], action: Allow},
          {name: b, to: {credentials: ['*']}, models: [GPT-5, 'gpt-4*'], action: Deny}]",
    );
    let policy = compile(&[NamedPolicy {
        name: "p".into(),
        generation: 0,
        spec,
    }])
    .unwrap();
    for (model, label) in [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("GPT-4o-mini", "gpt-4o-mini"),
        ("gpt-4o", "gpt-4*"),
        ("gpt-3.5", "gpt-*"),
        ("gpt-5", "GPT-5"),
        ("claude", "other"),
    ] {
        assert_eq!(policy.model_label(model), label);
    }
    assert_eq!(
        policy.model_labels().collect::<Vec<_>>(),
        ["other", "gpt-4o-mini", "GPT-5", "gpt-4*", "gpt-*"]
    );
}

#[test]
fn the_smallest_share_of_a_body_counts() {
    let bytes = |asked: &[Option<u32>]| {
        let policies: Vec<NamedPolicy> = asked
            .iter()
            .enumerate()
            .map(|(index, asked)| NamedPolicy {
                name: format!("p{index}"),
                generation: 0,
                spec: EgressPolicySpec {
                    max_inspected_bytes: *asked,
                    ..spec("[]")
                },
            })
            .collect();
        compile(&policies).unwrap().max_inspected_bytes()
    };
    assert_eq!(bytes(&[]), 8 * 1024 * 1024);
    assert_eq!(bytes(&[None]), 8 * 1024 * 1024);
    assert_eq!(bytes(&[Some(4096), None, Some(2048)]), 2048);
    assert_eq!(bytes(&[Some(16 * 1024 * 1024), None]), 16 * 1024 * 1024);
}

#[test]
fn a_body_is_read_only_where_it_may_change_the_decision() {
    let needs = |rules: &str, mode: Mode| {
        let spec = EgressPolicySpec {
            mode,
            ..spec(rules)
        };
        let policies = [NamedPolicy {
            name: "p".into(),
            generation: 0,
            spec,
        }];
        compile(&policies).unwrap().needs("a", "POST", "/x").content
    };
    const ALLOW: &str = "{name: a, to: {credentials: [a]}, action: Allow}";
    const ALLOW_MODEL: &str = "{name: b, to: {credentials: [a]}, models: [x], action: Allow}";
    const DENY: &str = "{name: c, to: {credentials: [a]}, action: Deny}";
    const DENY_TOOL: &str = "{name: d, to: {credentials: [a]}, tools: [x], action: Deny}";
    const ELSEWHERE: &str =
        "{name: e, to: {credentials: [a]}, paths: [/y], operations: [chat], action: Deny}";
    for (rules, expected) in [
        (vec![], false),
        (vec![ALLOW], false),
        (vec![ALLOW_MODEL], true),
        (vec![ALLOW, ALLOW_MODEL], false),
        (vec![ALLOW, DENY_TOOL], true),
        (vec![DENY_TOOL], true),
        (vec![ALLOW_MODEL, DENY_TOOL, DENY], false),
        (vec![ALLOW, ELSEWHERE], false),
    ] {
        let rules = format!("[{}]", rules.join(", "));
        assert_eq!(needs(&rules, Mode::Enforce), expected, "{rules}");
        assert_eq!(needs(&rules, Mode::Observe), expected, "{rules}");
    }
}

/// A policy of the identity `bot` with `spec`, which is the inside of a mapping.
fn policy(name: &str, spec: &str) -> NamedPolicy {
    NamedPolicy {
        name: name.into(),
        generation: 0,
        spec: crate::yaml::from_str(&format!(
            "{{targetRefs: [{{kind: AgentIdentity, name: bot}}], {spec}}}"
        ))
        .unwrap(),
    }
}

#[test]
fn masks_of_several_policies_are_the_strongest_of_each_in_any_order() {
    let hash = policy(
        "hash",
        "response: {mask: {style: Hash, detectors: [EMAIL, PHONE], phoneRegions: [DE],
           fields: [{path: $.a, action: Mask}, {path: '$.b[*].c', action: Drop}]}}",
    );
    let label = policy(
        "label",
        "response: {mask: {detectors: [EMAIL], patterns: [{name: CASE, regex: 'C-[0-9]{2}', style: Partial}],
           fields: [{path: $.a, action: Drop}]}}",
    );
    let observed = policy(
        "observed",
        "mode: Observe, response: {mask: {style: Remove, detectors: [EMAIL, IBAN], phoneRegions: [], patterns: [{name: CASE, regex: 'C-[0-9]{2}'}],
           dictionaries: [{name: WORDS, words: [b, a]}]}}",
    );
    let mut found: Vec<Vec<String>> = Vec::new();
    for order in [
        [&hash, &label, &observed],
        [&observed, &label, &hash],
        [&label, &observed, &hash],
    ] {
        let policies: Vec<NamedPolicy> = order.into_iter().cloned().collect();
        let policy = compile(&policies).unwrap();
        let masks = policy.response_masks();
        assert!(!masks.is_empty());
        assert_eq!(masks.phone_regions.len(), 1);
        let items = masks
            .items
            .iter()
            .map(|item| format!("{} {:?} {}", item.what.name(), item.style, item.enforce));
        let fields = masks
            .fields
            .iter()
            .map(|field| format!("{:?} {:?}", field.path.len(), field.action));
        let mut all: Vec<String> = items.chain(fields).collect();
        all.sort();
        found.push(all);
    }
    assert_eq!(
        found[0],
        [
            "1 Drop",
            "3 Drop",
            "CASE Partial true",
            "EMAIL Label true",
            "IBAN Remove false",
            "PHONE Hash true",
            "WORDS Remove false",
        ]
    );
    assert!(found.iter().all(|other| *other == found[0]), "{found:?}");
    assert!(compile(&[]).unwrap().response_masks().is_empty());
}

#[test]
fn masks_of_calls_and_of_answers_are_apart_and_what_is_not_put_back_wins() {
    let restoring = policy(
        "restoring",
        "request: {mask: {restore: true, detectors: [EMAIL, IBAN]}}, response: {mask: {detectors: [JWT]}}",
    );
    let keeping = policy(
        "keeping",
        "request: {mask: {style: Pseudonym, detectors: [EMAIL]}}",
    );
    for order in [[&restoring, &keeping], [&keeping, &restoring]] {
        let policies: Vec<NamedPolicy> = order.into_iter().cloned().collect();
        let policy = compile(&policies).unwrap();
        let mut items: Vec<_> = policy
            .request_masks()
            .items
            .iter()
            .map(|item| (item.what.name(), item.style, item.restore))
            .collect();
        items.sort_by_key(|item| item.0);
        assert_eq!(
            items,
            [
                ("EMAIL", MaskStyle::Pseudonym, false),
                ("IBAN", MaskStyle::Pseudonym, true)
            ]
        );
        let response = policy.response_masks();
        assert_eq!(response.items[0].what.name(), "JWT");
        assert_eq!(response.items[0].style, MaskStyle::Label);
    }
}

#[test]
fn a_boundary_of_words_in_a_pattern_is_one_of_ascii() {
    let hir = parse_pattern(r"\b(?:a|\bc{2})\b").unwrap();
    assert!(!hir.properties().look_set().contains_word_unicode());
    assert!(hir.properties().look_set().contains_word_ascii());
}

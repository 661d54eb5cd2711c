//! What a policy's status says, case by case.

use postern_crds::policy::METHODS;
use serde_json::json;

use super::*;
use crate::controller::{
    fixtures::{NAMESPACE, credential, identity, policy, policy_on},
    object::PolicyObject,
};

fn found(name: &str, programmed: Option<i64>) -> Target {
    let spec = identity(&[credential("openai")]).spec.read().cloned();
    Target {
        name: name.into(),
        state: State::Found { spec, programmed },
    }
}

fn assess_new(policy: &PolicyObject, targets: &[Target]) -> EgressPolicyStatus {
    assess_after(policy, targets, &EgressPolicyStatus::default(), 100)
}

fn assess_after(
    policy: &PolicyObject,
    targets: &[Target],
    before: &EgressPolicyStatus,
    second: i64,
) -> EgressPolicyStatus {
    let now = Timestamp::from_second(second).unwrap();
    assess(
        NAMESPACE,
        &policy.spec,
        policy.metadata.generation,
        targets,
        before,
        now,
    )
}

/// Each condition as `target Type=Status/Reason`.
fn shown(status: &EgressPolicyStatus) -> Vec<String> {
    let own = status.conditions.iter().map(|c| ("", c));
    let targets = status
        .targets
        .iter()
        .flat_map(|target| target.conditions.iter().map(|c| (target.name.as_str(), c)));
    own.chain(targets)
        .map(|(name, c)| {
            format!("{name} {}={}/{}", c.type_, c.status, c.reason)
                .trim()
                .to_owned()
        })
        .collect()
}

#[test]
fn in_force_everywhere_is_ready() {
    let status = assess_new(
        &policy("p", 3, "Allow", "/v1/**"),
        &[found("a", Some(3)), found("b", Some(3))],
    );
    assert_eq!(
        shown(&status),
        [
            "Ready=True/Programmed",
            "a Accepted=True/Accepted",
            "a Programmed=True/Programmed",
            "b Accepted=True/Accepted",
            "b Programmed=True/Programmed",
        ]
    );
    assert_eq!(status.conditions[0].message, "in force on a, b");
    assert_eq!(status.observed_generation, Some(3));
}

#[test]
fn an_older_generation_is_not_this_one() {
    let status = assess_new(
        &policy("p", 3, "Allow", "/v1/**"),
        &[found("a", Some(2)), found("b", None)],
    );
    assert_eq!(
        shown(&status),
        [
            "Ready=False/Pending",
            "a Accepted=True/Accepted",
            "a Programmed=False/Pending",
            "b Accepted=True/Accepted",
            "b Programmed=False/Pending",
        ]
    );
    assert!(
        status.conditions[0]
            .message
            .starts_with("generation 2 is in force on a"),
        "{}",
        status.conditions[0].message
    );
}

#[test]
fn a_missing_target_does_not_hide_the_other() {
    let missing = Target {
        name: "b".into(),
        state: State::NotFound,
    };
    let status = assess_new(
        &policy("p", 3, "Allow", "/v1/**"),
        &[found("a", Some(3)), missing],
    );
    assert_eq!(
        shown(&status),
        [
            "Ready=False/TargetNotFound",
            "a Accepted=True/Accepted",
            "a Programmed=True/Programmed",
            "b Accepted=False/TargetNotFound",
            "b Programmed=False/TargetNotFound",
        ]
    );
}

#[test]
fn three_mistakes_are_three_in_the_message_and_the_last_good_one_is_named() {
    let rules = json!([
        { "name": "r", "to": { "credentials": ["*", "openai"] }, "paths": ["v1"], "methods": ["FETCH"], "action": "Allow" },
    ]);
    let status = assess_new(&policy_on("p", 3, &["a"], &rules), &[found("a", Some(2))]);
    assert_eq!(
        shown(&status),
        [
            "Ready=False/Invalid",
            "a Accepted=False/Invalid",
            "a Programmed=False/Invalid"
        ]
    );
    for part in [
        "spec.rules[0].paths[0]",
        "spec.rules[0].methods[0]",
        "spec.rules[0].to.credentials",
        METHODS[0],
    ] {
        assert!(
            status.conditions[0].message.contains(part),
            "{part}: {}",
            status.conditions[0].message
        );
    }
    assert_eq!(
        status.targets[0].conditions[1].message,
        "generation 2 stays in force on a"
    );
}

#[test]
fn an_unreadable_policy_without_known_targets_is_invalid() {
    let unreadable: PolicyObject =
        serde_json::from_value(json!({ "metadata": { "name": "p" }, "spec": {} })).unwrap();
    assert_eq!(
        shown(&assess_new(&unreadable, &[])),
        ["Ready=False/Invalid"]
    );
}

#[test]
fn a_rule_that_matches_nothing_is_accepted_with_a_word() {
    let rules = json!([{ "name": "r", "to": { "credentials": ["opnai"] }, "action": "Deny" }]);
    let status = assess_new(&policy_on("p", 1, &["a"], &rules), &[found("a", Some(1))]);
    assert_eq!(status.conditions[0].status, "True");
    assert!(
        status.targets[0].conditions[0].message.contains("opnai"),
        "{:?}",
        status.targets
    );
}

#[test]
fn nothing_new_is_the_same_status_at_any_time() {
    let policy = policy("p", 3, "Allow", "/v1/**");
    let unknown = || Target {
        name: "b".into(),
        state: State::Unknown("reading the bundle: forbidden".into()),
    };
    let before = assess_new(&policy, &[found("a", Some(3)), unknown()]);
    assert_eq!(before.conditions[0].reason, "BundleUnreadable");
    assert_eq!(
        assess_after(&policy, &[found("a", Some(3)), unknown()], &before, 200),
        before
    );
}

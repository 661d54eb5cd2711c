//! Which policies are in force, case by case: first what the objects are, then what was in force before.

use std::sync::Arc;

use postern_crds::{Decision, Facts};
use serde_json::json;

use super::*;
use crate::controller::{
    agent_identity::plan::{self, SpecInForce},
    fixtures::{IDENTITY, NAMESPACE, credential, identity, policy, policy_on},
    object::IdentityObject,
};

struct Case {
    identity: IdentityObject,
    refused: bool,
    objects: Vec<Arc<PolicyObject>>,
    last: Option<Bundle>,
}

impl Case {
    fn new(objects: Vec<PolicyObject>) -> Self {
        Self {
            identity: identity(&[credential("openai")]),
            refused: false,
            objects: objects.into_iter().map(Arc::new).collect(),
            last: None,
        }
    }

    /// These, all valid, were in force before.
    fn after(mut self, objects: &[PolicyObject]) -> Self {
        let spec = self.identity.spec.read().unwrap().clone();
        let policies = objects
            .iter()
            .map(|object| understand(object.metadata.name.as_ref().unwrap(), object).unwrap());
        self.last = Some(Bundle {
            format: 1,
            min_reader: 1,
            namespace: NAMESPACE.into(),
            identity: IDENTITY.into(),
            spec,
            policies: policies.collect(),
            secrets: [].into(),
            stale: [].into(),
            authorities: [].into(),
            fetch: None,
        });
        self
    }

    fn while_the_spec_is_refused(mut self) -> Self {
        self.refused = true;
        self
    }

    fn choose(&self) -> InForce {
        let in_force = plan::spec_in_force(NAMESPACE, IDENTITY, &self.identity, None).unwrap();
        let in_force = SpecInForce {
            refused: self.refused.then(|| "no".to_owned()),
            ..in_force
        };
        choose(IDENTITY, &in_force, &self.objects, self.last.as_ref())
    }

    /// What is in force, as `name@generation`.
    fn in_force(&self) -> Vec<String> {
        self.choose()
            .policies
            .iter()
            .map(|policy| format!("{}@{}", policy.name, policy.generation))
            .collect()
    }
}

fn allow(name: &str, generation: i64) -> PolicyObject {
    policy(name, generation, "Allow", "/v1/**")
}

fn deny(name: &str, generation: i64) -> PolicyObject {
    policy(name, generation, "Deny", "/v1/files")
}

fn invalid(name: &str, generation: i64) -> PolicyObject {
    policy(name, generation, "Deny", "no-slash")
}

fn elsewhere(name: &str, generation: i64) -> PolicyObject {
    policy_on(name, generation, &["other-bot"], &json!([]))
}

#[test]
fn valid_policies_are_in_force_as_they_are_now() {
    let case = Case::new(vec![deny("b", 1), allow("a", 2), elsewhere("c", 1)]);
    assert_eq!(case.in_force(), ["a@2", "b@1"]);
    assert_eq!(case.after(&[allow("a", 1)]).in_force(), ["a@2", "b@1"]);
}

#[test]
fn a_deleted_or_moved_policy_is_gone() {
    let before = [allow("a", 1), deny("b", 1), deny("c", 1)];
    assert_eq!(
        Case::new(vec![allow("a", 1), elsewhere("c", 2)])
            .after(&before)
            .in_force(),
        ["a@1"]
    );
}

#[test]
fn an_invalid_edit_leaves_the_last_good_one_and_does_not_hold_up_the_others() {
    let case =
        Case::new(vec![allow("a", 2), invalid("b", 2)]).after(&[allow("a", 1), deny("b", 1)]);
    assert_eq!(case.in_force(), ["a@2", "b@1"]);
    let refused = case.choose().refused;
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].starts_with("EgressPolicy b: spec.rules[0].paths[0]:"),
        "{refused:?}"
    );
    assert!(
        refused[0].ends_with("generation 1 of it stays in force"),
        "{refused:?}"
    );
}

#[test]
fn an_invalid_edit_cannot_point_a_denial_elsewhere() {
    let moved = policy_on(
        "b",
        2,
        &["other-bot"],
        &json!([{ "name": "r", "to": { "credentials": [] }, "action": "Deny" }]),
    );
    assert_eq!(
        Case::new(vec![moved]).after(&[deny("b", 1)]).in_force(),
        ["b@1"]
    );
}

#[test]
fn a_new_invalid_policy_freezes_what_is_in_force() {
    let case = Case::new(vec![allow("a", 2), allow("new", 1), invalid("b", 1)])
        .after(&[allow("a", 1), deny("gone", 1)]);
    assert_eq!(case.in_force(), ["a@1"]);
    assert!(
        case.choose().refused[0].ends_with("no change of any policy takes effect here"),
        "{:?}",
        case.choose()
    );
}

#[test]
fn an_invalid_policy_before_any_bundle_denies_everything() {
    let case = Case::new(vec![allow("a", 1), invalid("b", 1)]);
    assert_eq!(case.in_force(), [""; 0]);
    assert!(
        case.choose().refused[0].ends_with("every call is denied"),
        "{:?}",
        case.choose()
    );
    let facts = Facts::of_head("openai", "POST", "/v1/files");
    assert_eq!(
        policy::compile(&case.choose().policies)
            .unwrap()
            .decide(&facts)
            .decision,
        Decision::NoRule
    );
}

#[test]
fn an_invalid_policy_of_another_identity_changes_nothing() {
    let other = policy_on(
        "b",
        1,
        &["other-bot"],
        &json!([{ "name": "r", "to": { "credentials": [] }, "action": "Deny" }]),
    );
    assert_eq!(Case::new(vec![allow("a", 1), other]).in_force(), ["a@1"]);
}

#[test]
fn a_policy_whose_targets_cannot_be_read_may_mean_any_identity() {
    let unreadable: PolicyObject = serde_json::from_value(json!({
        "metadata": { "name": "future", "namespace": NAMESPACE, "generation": 1 },
        "spec": { "targetSelector": {} },
    }))
    .unwrap();
    let case = Case::new(vec![allow("a", 2), unreadable]).after(&[allow("a", 1)]);
    assert_eq!(case.in_force(), ["a@1"]);
    assert!(
        case.choose().refused[0].contains("cannot read it"),
        "{:?}",
        case.choose()
    );
}

#[test]
fn while_the_spec_is_refused_nothing_new_comes_into_force() {
    let case = Case::new(vec![allow("a", 2), deny("new", 1)])
        .after(&[allow("a", 1), deny("gone", 1)])
        .while_the_spec_is_refused();
    assert_eq!(case.in_force(), ["a@1"]);
}

#[test]
fn a_last_policy_that_lost_its_meaning_denies_everything() {
    let mut case =
        Case::new(vec![allow("a", 1), invalid("b", 2)]).after(&[allow("a", 1), deny("b", 1)]);
    // As when an upgraded operator refuses what an older one accepted.
    case.last.as_mut().unwrap().policies[1].spec.rules[0].paths = vec!["no-slash".into()];
    assert_eq!(case.in_force(), [""; 0]);
}

#[test]
fn a_rule_that_matches_nothing_is_noted_and_obeyed() {
    let rules = json!([{ "name": "r", "to": { "credentials": ["opnai"] }, "action": "Deny" }]);
    let case = Case::new(vec![policy_on("a", 1, &[IDENTITY], &rules)]);
    assert_eq!(case.in_force(), ["a@1"]);
    assert!(
        case.choose().notes[0].contains("opnai"),
        "{:?}",
        case.choose().notes
    );
    assert_eq!(case.choose().refused, [""; 0]);
}

//! What policies mean, told by the files in `crds/tests/golden`: these policies, this request, this decision; or these policies, these mistakes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use postern_crds::{
    Decision, Facts, Policy,
    policy::{self, NamedPolicy},
    yaml,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    policies: Vec<NamedPolicy>,
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    violations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Credential, method and path.
    request: String,
    /// `Allow policy/rule`, `Deny policy/rule` or `NoRule`.
    decision: String,
}

impl Case {
    /// Credential, method, path.
    fn parts(&self) -> [&str; 3] {
        let parts: Vec<&str> = self.request.splitn(3, ' ').collect();
        parts.try_into().unwrap()
    }

    fn is_allowed(&self) -> bool {
        self.decision.starts_with("Allow ")
    }

    /// Whether the two requests differ in one part only.
    fn is_next_to(&self, other: &Case) -> bool {
        let pairs = self.parts().into_iter().zip(other.parts());
        pairs.filter(|(one, other)| one != other).count() == 1
    }
}

fn goldens() -> Vec<(String, Golden)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut goldens: Vec<(String, Golden)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let golden = yaml::from_str(&fs::read_to_string(&path).unwrap());
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (
                name.clone(),
                golden.unwrap_or_else(|error| panic!("{name}: {error}")),
            )
        })
        .collect();
    goldens.sort_by(|one, other| one.0.cmp(&other.0));
    goldens
}

fn decided(policy: &Policy, case: &Case) -> String {
    let [credential, method, path] = case.parts();
    match policy.decide(&Facts {
        credential,
        method,
        path,
    }) {
        Decision::Allow(rule) => format!("Allow {rule}"),
        Decision::Deny(rule) => format!("Deny {rule}"),
        Decision::NoRule => "NoRule".into(),
    }
}

#[test]
fn every_request_is_decided_as_written_in_any_order_of_rules() {
    for (file, mut golden) in goldens()
        .into_iter()
        .filter(|(_, golden)| golden.violations.is_empty())
    {
        for order in ["written", "reversed"] {
            let policy = policy::compile(&golden.policies).unwrap();
            for case in &golden.cases {
                assert_eq!(
                    decided(&policy, case),
                    case.decision,
                    "{file}, {order}: {}",
                    case.request
                );
            }
            golden.policies.reverse();
            golden
                .policies
                .iter_mut()
                .for_each(|policy| policy.spec.rules.reverse());
        }
    }
}

#[test]
fn every_mistake_is_reported_as_written() {
    for (file, golden) in goldens()
        .into_iter()
        .filter(|(_, golden)| !golden.violations.is_empty())
    {
        let found = policy::compile(&golden.policies).unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, golden.violations, "{file}");
        assert!(
            golden.cases.is_empty(),
            "{file}: policies with mistakes decide nothing"
        );
    }
}

#[test]
fn beside_every_allowed_request_stands_one_that_is_not() {
    for (file, golden) in goldens() {
        for case in golden.cases.iter().filter(|case| case.is_allowed()) {
            let neighbour = golden
                .cases
                .iter()
                .find(|other| !other.is_allowed() && case.is_next_to(other));
            assert!(
                neighbour.is_some(),
                "{file}: {} has no neighbour that is denied",
                case.request
            );
        }
    }
}

#[test]
fn every_rule_matches_a_request_of_its_file() {
    for (file, golden) in goldens()
        .into_iter()
        .filter(|(_, golden)| golden.violations.is_empty())
    {
        for policy in &golden.policies {
            for rule in &policy.spec.rules {
                // Alone, since it may stand in the shadow of another on purpose.
                let mut alone = policy.clone();
                alone.spec.rules.retain(|other| other.name == rule.name);
                let alone = policy::compile(&[alone]).unwrap();
                assert!(
                    golden
                        .cases
                        .iter()
                        .any(|case| decided(&alone, case) != "NoRule"),
                    "{file}: {} matches nothing",
                    rule.name
                );
            }
        }
    }
}

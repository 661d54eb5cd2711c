//! What policies mean, told by the files in `crds/tests/golden`: these policies, this request, this decision; or these policies, these mistakes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use postern_crds::{
    Facts, Policy,
    egress_policy::Mode,
    facts::{Call, Content},
    policy::{self, Explanation, Matched, NamedPolicy},
    yaml,
};
use serde::Deserialize;
use serde_json::{Value, json};

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
    /// What is known of its content. Nothing is, where it is absent: the body was not read.
    call: Option<Value>,
    /// The body was too long to be read; `call` is what the head alone tells.
    #[serde(default)]
    uninspected: bool,
    /// What is done, as [`Decision`](postern_crds::Decision) says it.
    decision: String,
    /// What all policies together say, where it is told.
    observed: Option<String>,
}

impl Case {
    /// Credential, method, path.
    fn head(&self) -> [&str; 3] {
        let parts: Vec<&str> = self.request.splitn(3, ' ').collect();
        parts.try_into().unwrap()
    }

    fn facts(&self) -> Facts<'_> {
        let [credential, method, path] = self.head();
        let content = match &self.call {
            None => Content::NotRead,
            Some(call) if self.uninspected => Content::Uninspected(Cow::Owned(read_call(call))),
            Some(call) => Content::Read(Cow::Owned(read_call(call))),
        };
        Facts {
            content,
            ..Facts::of_head(credential, method, path)
        }
    }

    /// All that is known of the request, by name.
    fn parts(&self) -> BTreeMap<String, Value> {
        let names = ["credential", "method", "path"].map(str::to_owned);
        let mut parts: BTreeMap<String, Value> = names
            .into_iter()
            .zip(self.head().map(Value::from))
            .collect();
        parts.insert("uninspected".to_owned(), self.uninspected.into());
        for (name, value) in self.call.iter().filter_map(Value::as_object).flatten() {
            parts.insert(format!("call.{name}"), value.clone());
        }
        parts
    }

    fn is_allowed(&self) -> bool {
        self.decision.starts_with("Allow ")
    }

    /// Whether the two requests differ in one part only.
    fn is_next_to(&self, other: &Case) -> bool {
        let (one, other) = (self.parts(), other.parts());
        let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let differ = |name: &&&String| one.get(**name) != other.get(**name);
        names.iter().filter(differ).count() == 1
    }
}

/// A call as the files write it: `models` is `hidden`, or a list of names and of models with aliases.
fn read_call(call: &Value) -> Call {
    let mut call = call.clone();
    if let Some(models) = call["models"].as_array() {
        let model = |model: &Value| match model {
            Value::String(name) => json!({"name": name}),
            other => other.clone(),
        };
        call["models"] = json!({"named": models.iter().map(model).collect::<Vec<_>>()});
    }
    serde_json::from_value(call).unwrap()
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
    policy.decide(&case.facts()).decision.to_string()
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
                let verdict = policy.decide(&case.facts());
                let observed = verdict.observed.map(|observed| observed.to_string());
                assert_eq!(
                    (verdict.decision.to_string(), observed),
                    (case.decision.clone(), case.observed.clone()),
                    "{file}, {order}: {:?}",
                    case.parts()
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
fn where_no_content_is_needed_it_changes_nothing() {
    for (file, golden) in goldens()
        .into_iter()
        .filter(|(_, golden)| golden.violations.is_empty())
    {
        let policy = policy::compile(&golden.policies).unwrap();
        for case in &golden.cases {
            let [credential, method, path] = case.head();
            if !policy.needs(credential, method, path).content {
                let facts = Facts {
                    content: Content::NotRead,
                    ..case.facts()
                };
                assert_eq!(
                    policy.decide(&facts).decision.passes(),
                    policy.decide(&case.facts()).decision.passes(),
                    "{file}: {:?}",
                    case.parts()
                );
            }
        }
    }
}

#[test]
fn what_is_explained_is_what_is_decided() {
    for (file, golden) in goldens()
        .into_iter()
        .filter(|(_, golden)| golden.violations.is_empty())
    {
        let policy = policy::compile(&golden.policies).unwrap();
        for case in &golden.cases {
            let explained = policy.explain(&case.facts());
            let matched = |explanation: &&Explanation| explanation.matched == Matched::Yes;
            let names: Vec<String> = explained
                .iter()
                .filter(matched)
                .map(|explanation| explanation.rule.to_string())
                .collect();
            if let Some(rule) = case.decision.strip_prefix("Allow ") {
                assert!(names.iter().any(|name| name == rule), "{file}: {names:?}");
            }
            let words_are_missing = |explanation: &Explanation| match &explanation.matched {
                Matched::No(misses) => {
                    misses.is_empty() || misses.iter().any(|miss| miss.why.is_empty())
                }
                Matched::Yes | Matched::Unread | Matched::Failed(_) => false,
            };
            assert!(
                !explained.iter().any(words_are_missing),
                "{file}: {explained:?}"
            );
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
                "{file}: {:?} has no neighbour that is denied",
                case.parts()
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
                // Alone, since it may stand in the shadow of another on purpose, or only observe.
                let mut alone = policy.clone();
                alone.spec.mode = Mode::Enforce;
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

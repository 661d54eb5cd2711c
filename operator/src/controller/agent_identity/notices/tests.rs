//! Events are transitions.

use k8s_openapi::jiff::Timestamp;

use super::*;
use crate::{
    controller::{
        agent_identity::credentials::FailedSource,
        fixtures::{IDENTITY, NAMESPACE},
    },
    stores::{Failure, Kind},
};

fn failure(name: &str) -> FailedSource {
    let place = Box::new(Place {
        kind: Kind::Secret,
        namespace: NAMESPACE.into(),
        name: name.into(),
        key: "k".into(),
    });
    FailedSource {
        credential: "openai".to_owned(),
        is_stale: false,
        message: format!("credential {name} of {IDENTITY} is missing"),
        failure: Failure::NotFound(place),
    }
}

fn plan(failures: &[&str]) -> Plan {
    let failures: Vec<FailedSource> = failures.iter().map(|name| failure(name)).collect();
    let messages: Vec<&str> = failures
        .iter()
        .map(|failed| failed.message.as_str())
        .collect();
    let credentials = if failures.is_empty() {
        Finding::holds(CREDENTIALS_RESOLVED, "Resolved", "all")
    } else {
        Finding::fails(CREDENTIALS_RESOLVED, "SecretNotFound", messages.join("; "))
    };
    let ready = Finding {
        kind: READY,
        ..credentials.clone()
    };
    Plan {
        write: None,
        revision: None,
        findings: vec![ready, credentials],
        failures,
        stale_in: None,
        soon: false,
    }
}

fn conditions_of(plan: &Plan) -> Vec<Condition> {
    conditions::merge(&[], &plan.findings, Some(1), Timestamp::UNIX_EPOCH)
}

fn told(before: &[Condition], plan: &Plan) -> Vec<(&'static str, Option<String>)> {
    let notices = notices(before, plan);
    notices
        .into_iter()
        .map(|notice| (notice.reason, notice.about.and_then(|about| about.name)))
        .collect()
}

#[test]
fn a_missing_credential_is_told_once() {
    let missing = plan(&["a"]);
    assert_eq!(told(&[], &missing), [("SecretNotFound", Some("a".into()))]);
    assert_eq!(told(&conditions_of(&missing), &missing), []);
}

#[test]
fn only_the_news_is_told() {
    let before = conditions_of(&plan(&["a"]));
    assert_eq!(
        told(&before, &plan(&["a", "b"])),
        [("SecretNotFound", Some("b".into()))]
    );
}

#[test]
fn recovery_is_told_and_a_good_start_is_not() {
    assert_eq!(
        told(&conditions_of(&plan(&["a"])), &plan(&[])),
        [("Resolved", None)]
    );
    assert_eq!(told(&[], &plan(&[])), []);
}

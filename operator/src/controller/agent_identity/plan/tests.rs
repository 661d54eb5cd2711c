//! Plans, case by case.

use std::collections::BTreeMap;

use postern_crds::{Secret, bundle::VersionedSecret};
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{
        fetch::Endpoint,
        fixtures::{
            IDENTITY, NAMESPACE, credential, edited, identity, identity_with, owner, policy,
            secret, written, written_object,
        },
    },
    stores::{Failure, Kind, Place, Problem},
};

/// A cluster in which everything is right, to be made wrong.
struct Cluster {
    identity: IdentityObject,
    policies: Vec<Arc<PolicyObject>>,
    secrets: BTreeMap<String, Result<VersionedSecret, Failure>>,
    origins: BTreeMap<String, String>,
    existing: Existing,
    offer: Option<Offer>,
}

fn cluster() -> Cluster {
    Cluster {
        identity: identity(&[credential("openai")]),
        policies: vec![Arc::new(policy("chat", 1, "Allow", "/v1/chat/completions"))],
        secrets: [("openai".to_owned(), Ok(secret("sk-1", "secret/1")))].into(),
        origins: BTreeMap::new(),
        existing: Existing::Absent,
        offer: None,
    }
}

impl Cluster {
    fn plan(&self) -> Plan {
        let spec = spec_in_force(NAMESPACE, IDENTITY, &self.identity, self.existing.bundle());
        plan(World {
            namespace: NAMESPACE,
            name: IDENTITY,
            spec,
            policies: &self.policies,
            sources: Sources {
                secrets: self.secrets.clone(),
                origins: self.origins.clone(),
                ..Sources::default()
            },
            ages: &BTreeMap::new(),
            existing: &self.existing,
            offer: self.offer.as_ref(),
        })
    }

    /// The cluster after its plan was carried out.
    fn settled(mut self) -> Self {
        let bundle = self.plan().write.expect("there is something to write");
        self.existing = written(&bundle);
        self
    }

    fn secret(mut self, credential: &str, answer: Result<VersionedSecret, Failure>) -> Self {
        self.secrets.insert(credential.to_owned(), answer);
        self
    }

    fn credentials(mut self, credentials: &[Value]) -> Self {
        self.identity = identity(credentials);
        self
    }
}

impl Plan {
    fn finding(&self, kind: &str) -> &Finding {
        self.findings
            .iter()
            .find(|finding| finding.kind == kind)
            .unwrap()
    }

    /// Whether each condition holds, and `Ready`'s reason.
    fn verdict(&self) -> (&'static str, [Option<bool>; 3]) {
        let holds =
            [READY, CREDENTIALS_RESOLVED, POLICIES_ACCEPTED].map(|kind| self.finding(kind).holds);
        (self.finding(READY).reason, holds)
    }

    fn values(&self) -> Vec<(&str, &[u8], &str)> {
        let bundle = self.write.as_ref().unwrap();
        bundle
            .secrets
            .iter()
            .map(|(name, secret)| {
                (
                    name.as_str(),
                    secret.value.expose(),
                    secret.version.as_str(),
                )
            })
            .collect()
    }
}

fn place() -> Box<Place> {
    Box::new(Place {
        kind: Kind::Secret,
        namespace: NAMESPACE.into(),
        name: "openai-key".into(),
        key: "k".into(),
    })
}

fn withdrawn() -> Failure {
    Failure::ConsentMissing {
        place: place(),
        identity: IDENTITY.into(),
        others: None,
    }
}

fn unavailable() -> Failure {
    Failure::Unavailable {
        place: place(),
        detail: "the API server answered 503".into(),
    }
}

/// Valid for the schema, but not for `route::compile`.
fn invalid_spec() -> IdentityObject {
    identity_with(
        &json!({ "serviceAccountNames": ["bot"], "credentials": [credential("openai"), credential("openai")] }),
    )
}

#[test]
fn what_is_right_is_written_once() {
    let cluster = cluster();
    let plan = cluster.plan();
    assert_eq!(plan.verdict(), ("Ready", [Some(true); 3]));
    assert_eq!(plan.values(), [("openai", &b"sk-1"[..], "secret/1")]);
    assert_eq!(plan.finding(READY).message, "1 credential, 1 policy");

    let again = cluster.settled().plan();
    assert!(again.write.is_none());
    assert_eq!(again.revision, plan.revision);
    assert_eq!(again.findings, plan.findings);
}

#[test]
fn an_edit_of_a_secret_that_leaves_its_value_rotates_nothing() {
    let settled = cluster().settled();
    let touched = settled
        .secret("openai", Ok(secret("sk-1", "secret/2")))
        .plan();
    assert!(touched.write.is_none());
    let rotated = cluster()
        .settled()
        .secret("openai", Ok(secret("sk-2", "secret/2")))
        .plan();
    assert_eq!(rotated.values(), [("openai", &b"sk-2"[..], "secret/2")]);
}

#[test]
fn a_withdrawn_secret_leaves_the_bundle_and_the_status_says_how_to_get_it_back() {
    let failures = [
        withdrawn(),
        Failure::NotFound(place()),
        Failure::KeyNotFound {
            place: place(),
            keys: vec![],
        },
    ];
    for failure in failures {
        let reason = failure.reason();
        let plan = cluster().settled().secret("openai", Err(failure)).plan();
        assert_eq!(
            plan.verdict(),
            (reason, [Some(false), Some(false), Some(true)])
        );
        assert_eq!(plan.values(), []);
        let message = &plan.finding(READY).message;
        assert!(
            message.starts_with("credential openai: Secret openai-key"),
            "{message}"
        );
        assert!(message.ends_with("(calls with it are denied)"), "{message}");
    }
}

#[test]
fn a_source_that_cannot_be_read_keeps_its_last_value() {
    let plan = cluster()
        .settled()
        .secret("openai", Err(unavailable()))
        .plan();
    assert!(plan.write.is_none());
    assert_eq!(
        plan.verdict(),
        ("SourceUnavailable", [Some(false), Some(false), Some(true)])
    );
    assert!(
        plan.finding(READY)
            .message
            .ends_with("(its last value stays in use)")
    );
}

#[test]
fn a_last_value_of_another_source_is_not_kept() {
    let mut moved = credential("openai");
    moved["source"]["secret"]["name"] = json!("another-key");
    let plan = cluster()
        .settled()
        .credentials(&[moved])
        .secret("openai", Err(unavailable()))
        .plan();
    assert_eq!(plan.values(), []);
    assert!(
        plan.finding(READY)
            .message
            .ends_with("(calls with it are denied)")
    );
}

#[test]
fn one_missing_secret_does_not_keep_the_others_from_their_pods() {
    let two = [credential("openai"), credential("second")];
    let plan = cluster()
        .credentials(&two)
        .secret("second", Err(withdrawn()))
        .plan();
    assert_eq!(plan.values(), [("openai", &b"sk-1"[..], "secret/1")]);
    assert_eq!(plan.finding(READY).holds, Some(false));
}

#[test]
fn an_invalid_spec_without_an_earlier_one_writes_nothing() {
    let mut cluster = cluster();
    cluster.identity = invalid_spec();
    let plan = cluster.plan();
    assert!(plan.write.is_none());
    assert_eq!(plan.revision, None);
    assert_eq!(plan.verdict(), ("SpecInvalid", [Some(false), None, None]));
}

#[test]
fn an_invalid_spec_leaves_the_last_good_one_in_force() {
    let mut cluster = cluster().settled();
    let revision = cluster.plan().revision;
    cluster.identity = invalid_spec();
    let plan = cluster.plan();
    assert!(plan.write.is_none());
    assert_eq!(plan.revision, revision);
    assert_eq!(
        plan.verdict(),
        ("SpecInvalid", [Some(false), Some(true), Some(true)])
    );
    assert!(
        plan.finding(READY)
            .message
            .ends_with("the last good spec and policies stay in force")
    );
}

#[test]
fn even_with_an_invalid_spec_secrets_follow_their_source() {
    let mut cluster = cluster().settled();
    cluster.identity = invalid_spec();
    let rotated = cluster.secret("openai", Ok(secret("sk-2", "secret/2")));
    assert_eq!(
        rotated.plan().values(),
        [("openai", &b"sk-2"[..], "secret/2")]
    );
    assert_eq!(
        rotated.secret("openai", Err(withdrawn())).plan().values(),
        []
    );
}

#[test]
fn a_spec_from_the_future_is_an_invalid_spec() {
    let mut cluster = cluster().settled();
    cluster.identity =
        identity_with(&json!({ "credentials": [], "serviceAccountNames": [], "new": 1 }));
    let plan = cluster.plan();
    assert!(plan.write.is_none());
    assert_eq!(plan.finding(READY).reason, "SpecInvalid");
    assert!(
        plan.finding(READY).message.contains("cannot read it"),
        "{}",
        plan.finding(READY).message
    );
}

#[test]
fn an_invalid_policy_is_told_and_does_not_weaken_what_runs() {
    let mut cluster = cluster().settled();
    cluster.policies = vec![Arc::new(policy("chat", 2, "Allow", "everything"))];
    let plan = cluster.plan();
    assert!(plan.write.is_none());
    assert_eq!(
        plan.verdict(),
        ("PolicyInvalid", [Some(false), Some(true), Some(false)])
    );
    assert!(
        plan.finding(READY)
            .message
            .contains("generation 1 of it stays in force"),
        "{}",
        plan.finding(READY).message
    );
}

#[test]
fn no_policy_is_a_bundle_that_denies_and_says_so() {
    let mut cluster = cluster();
    cluster.policies.clear();
    let plan = cluster.plan();
    assert_eq!(plan.verdict(), ("NoPolicies", [Some(true); 3]));
    assert!(plan.write.unwrap().policies.is_empty());
    let message = &plan.findings[0].message;
    assert!(message.ends_with("every call is denied"), "{message}");
}

#[test]
fn a_secret_of_somebody_else_is_left_alone() {
    let bundle = cluster().plan().write.unwrap();
    let stranger = {
        let mut object = written_object(&bundle);
        object.metadata.owner_references = None;
        object
    };
    let earlier = {
        let mut object = written_object(&bundle);
        object.metadata.owner_references.as_mut().unwrap()[0].uid = "uid-0".into();
        object
    };
    let other_type = {
        let mut object = written_object(&bundle);
        object.type_ = Some("Opaque".into());
        object
    };
    for (object, soon) in [(stranger, false), (earlier, true), (other_type, false)] {
        let mut cluster = cluster();
        cluster.existing = Existing::of(object, owner());
        let plan = cluster.plan();
        assert!(plan.write.is_none());
        assert_eq!(plan.revision, None);
        assert_eq!(
            plan.verdict(),
            ("SecretNotOurs", [Some(false), Some(true), Some(true)])
        );
        assert_eq!(plan.soon, soon);
    }
}

#[test]
fn a_bundle_that_was_edited_by_hand_is_written_again() {
    let bundle = cluster().plan().write.unwrap();
    let other = Bundle {
        identity: "other".into(),
        ..bundle.clone()
    };
    let reformatted = format!(" {}", String::from_utf8(bundle.to_json().to_vec()).unwrap());
    for content in [&b"{}"[..], b"", &other.to_json(), reformatted.as_bytes()] {
        let mut cluster = cluster();
        cluster.existing = edited(&bundle, content);
        assert_eq!(cluster.plan().write.unwrap().to_json(), bundle.to_json());
    }
    let mut unlabelled = written_object(&bundle);
    unlabelled.metadata.labels = None;
    let mut cluster = cluster();
    cluster.existing = Existing::of(unlabelled, owner());
    assert!(cluster.plan().write.is_some());
}

#[test]
fn a_bundle_that_is_too_large_is_not_written_but_loses_what_was_withdrawn() {
    let mut cluster = cluster().settled();
    let rules: Vec<Value> = (0..128)
        .map(|rule| {
            let paths: Vec<String> = (0..64).map(|path| format!("/{}/{path}", "x".repeat(300))).collect();
            json!({ "name": format!("r{rule}"), "to": { "credentials": ["openai"] }, "paths": paths, "action": "Allow" })
        })
        .collect();
    cluster
        .policies
        .push(Arc::new(crate::controller::fixtures::policy_on(
            "large",
            1,
            &[IDENTITY],
            &json!(rules),
        )));
    let plan = cluster.plan();
    assert!(plan.write.is_none());
    assert_eq!(plan.finding(READY).reason, "BundleTooLarge");

    let plan = cluster.secret("openai", Err(withdrawn())).plan();
    assert_eq!(plan.values(), []);
    assert_eq!(plan.write.unwrap().policies.len(), 1);
}

#[test]
fn a_shared_variable_is_told() {
    let two = [credential("openai"), credential("second")];
    let plan = cluster()
        .credentials(&two)
        .secret("second", Ok(secret("sk-2", "secret/9")))
        .plan();
    let message = &plan.finding(READY).message;
    assert!(message.contains("second is reached at"), "{message}");
}

#[test]
fn no_finding_quotes_a_secret() {
    let plan = cluster()
        .settled()
        .secret("openai", Ok(secret("sk-2", "secret/2")))
        .plan();
    for finding in &plan.findings {
        assert!(!finding.message.contains("sk-"), "{}", finding.message);
    }
    assert!(!format!("{plan:?}").contains("sk-"));
}

#[test]
fn a_value_is_not_kept_when_its_store_leads_elsewhere_by_now() {
    let failing = || {
        Err(Failure::Store {
            store: "corp".to_owned(),
            problem: Problem::Sealed,
        })
    };
    let from = |origin: &str| {
        let mut cluster = cluster().secret("openai", Ok(secret("sk-1", "store/corp/aaaa/7")));
        cluster
            .origins
            .insert("openai".to_owned(), "store/corp/aaaa/".to_owned());
        let mut cluster = cluster.settled().secret("openai", failing());
        cluster
            .origins
            .insert("openai".to_owned(), origin.to_owned());
        cluster.plan()
    };
    let same = from("store/corp/aaaa/");
    assert_eq!(same.verdict().0, "StoreSealed");
    assert!(same.write.is_none(), "the last value stays");
    let other = from("store/corp/bbbb/");
    assert!(other.values().is_empty());
}

/// An operator that serves bundles, at this time, with this ticket for an identity that has none.
fn offer(host: &str, now: u64, ticket: &str) -> Option<Offer> {
    let endpoint = Endpoint {
        address: format!("https://{host}"),
        authorities: "PEM".into(),
    };
    Some(Offer {
        endpoint: Some(Arc::new(endpoint)),
        ticket: Secret::new(ticket.into()),
        now,
    })
}

fn nudged() -> Cluster {
    Cluster {
        identity: identity_with(&json!({
            "serviceAccountNames": ["bot"],
            "credentials": [credential("openai")],
            "delivery": { "nudge": true },
        })),
        offer: offer("one", 1000, "ticket-1"),
        ..cluster()
    }
}

fn fetch(plan: &Plan) -> (u64, &str, &[u8]) {
    let fetch = plan.write.as_ref().unwrap().fetch.as_ref().unwrap();
    (fetch.serial, &fetch.address, fetch.ticket.expose())
}

#[test]
fn a_bundle_says_where_a_newer_one_is_if_the_identity_asks_for_it() {
    let plan = nudged().plan();
    assert_eq!(fetch(&plan), (1000, "https://one", &b"ticket-1"[..]));
    assert_eq!(plan.write.unwrap().format, 5);
    let unasked = Cluster {
        offer: offer("one", 1000, "ticket-1"),
        ..cluster()
    };
    assert_eq!(unasked.plan().write.unwrap().fetch, None);
    let unserved = Cluster {
        offer: None,
        ..nudged()
    };
    let plan = unserved.plan();
    let ready = &plan.finding(READY).message;
    assert!(ready.contains("delivery.nudge has no effect"), "{ready}");
    assert_eq!(plan.write.unwrap().fetch, None);
}

#[test]
fn a_rotation_keeps_the_ticket_and_raises_the_number_even_if_the_clock_went_back() {
    let mut settled = nudged().settled();
    settled.offer = offer("one", 5000, "ticket-2");
    assert!(settled.plan().write.is_none(), "time alone writes nothing");
    let rotated = settled.secret("openai", Ok(secret("sk-2", "secret/2")));
    assert_eq!(
        fetch(&rotated.plan()),
        (5000, "https://one", &b"ticket-1"[..])
    );
    let mut back = rotated.settled();
    back.offer = offer("one", 400, "ticket-3");
    let rotated = back.secret("openai", Ok(secret("sk-3", "secret/3")));
    assert_eq!(fetch(&rotated.plan()).0, 5001);
}

#[test]
fn another_place_is_told_without_another_revision() {
    let mut settled = nudged().settled();
    let before = settled.plan().revision;
    settled.offer = offer("two", 5000, "ticket-2");
    let plan = settled.plan();
    assert_eq!(fetch(&plan), (5000, "https://two", &b"ticket-1"[..]));
    assert_eq!(plan.revision, before);
    // Just started, and no certificate yet: what the bundle says is still true.
    settled.offer.as_mut().unwrap().endpoint = None;
    assert!(settled.plan().write.is_none());
}

#[test]
fn a_secret_that_was_deleted_comes_back_with_a_higher_number() {
    let mut settled = nudged().settled();
    settled.existing = Existing::Absent;
    settled.offer = offer("one", 5000, "ticket-2");
    assert_eq!(
        fetch(&settled.plan()),
        (5000, "https://one", &b"ticket-2"[..])
    );
}

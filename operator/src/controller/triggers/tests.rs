//! Who is woken by what.

use futures::channel::mpsc::{self, UnboundedReceiver};
use kube::runtime::{reflector, watcher::Event};
use serde_json::json;

use super::*;
use crate::controller::fixtures::{IDENTITY, NAMESPACE, credential, identity, policy, policy_on};

/// The names that are in a queue now.
fn woken<K: kube::Resource<DynamicType = ()>>(
    queue: &mut UnboundedReceiver<ObjectRef<K>>,
) -> Vec<String> {
    let mut names = Vec::new();
    while let Ok(key) = queue.try_recv() {
        assert_eq!(key.namespace.as_deref(), Some(NAMESPACE));
        names.push(key.name);
    }
    names.sort();
    names
}

/// The identities that are woken when a policy was `before` and is `after`, where `support-bot` and `third-bot` exist.
fn woken_by_policy(before: Option<&PolicyObject>, after: Option<&PolicyObject>) -> Vec<String> {
    let (policies, _policies) = mpsc::unbounded();
    let (identities, mut woken_identities) = mpsc::unbounded();
    let (known, mut writer) = reflector::store();
    let mut third = identity(&[]);
    third.metadata.name = Some("third-bot".into());
    for object in [identity(&[]), third] {
        writer.apply_watcher_event(&Event::Apply(object));
    }
    let (before, after) = (before.map(policy_digest), after.map(policy_digest));
    let change = Change {
        before: before.as_ref(),
        after: after.as_ref(),
    };
    on_policy(policies, identities, known)(&ObjectRef::new("p").within(NAMESPACE), change);
    woken(&mut woken_identities)
}

#[test]
fn a_policy_wakes_those_that_it_targets_and_those_that_it_targeted() {
    let here = policy("p", 1, "Allow", "/**");
    let there = policy_on("p", 2, &["other-bot"], &json!([]));
    assert_eq!(woken_by_policy(None, Some(&here)), [IDENTITY]);
    assert_eq!(woken_by_policy(Some(&here), None), [IDENTITY]);
    assert_eq!(
        woken_by_policy(Some(&here), Some(&there)),
        ["other-bot", IDENTITY]
    );
}

#[test]
fn a_policy_that_is_or_was_invalid_wakes_all_of_its_namespace() {
    let valid = policy_on("p", 2, &["other-bot"], &json!([]));
    let invalid = policy("p", 1, "Allow", "no-slash");
    assert_eq!(
        woken_by_policy(None, Some(&invalid)),
        [IDENTITY, "third-bot"]
    );
    assert_eq!(
        woken_by_policy(Some(&invalid), Some(&valid)),
        [IDENTITY, "third-bot"]
    );
    assert_eq!(
        woken_by_policy(Some(&invalid), None),
        [IDENTITY, "third-bot"]
    );
}

#[test]
fn an_identity_wakes_itself_by_its_spec_and_its_policies_by_its_bundle() {
    let (identities, mut woken_identities) = mpsc::unbounded();
    let (policies, mut woken_policies) = mpsc::unbounded();
    let (known, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Apply(policy("p", 1, "Allow", "/**")));
    writer.apply_watcher_event(&Event::Apply(policy_on("q", 1, &["other-bot"], &json!([]))));
    let mut on_identity = on_identity(identities, policies, known, |_| {});
    let key = ObjectRef::new(IDENTITY).within(NAMESPACE);

    let plain = identity_digest(&identity(&[credential("openai")]));
    let annotated = IdentityDigest {
        own: (plain.own.0.clone(), plain.own.1, Some("now".into())),
        ..plain.clone()
    };
    let written = IdentityDigest {
        bundle: Some("revision".into()),
        ..plain.clone()
    };
    for (before, after, itself) in [
        (None, Some(&plain), true),
        (Some(&plain), Some(&annotated), true),
        (Some(&plain), Some(&written), false),
        (Some(&plain), None, false),
    ] {
        on_identity(&key, Change { before, after });
        assert_eq!(!woken(&mut woken_identities).is_empty(), itself);
        assert_eq!(woken(&mut woken_policies), ["p"]);
    }
}

/// The store `corp` with this status.
fn store(status: &serde_json::Value) -> StoreObject {
    serde_json::from_value(json!({
        "metadata": { "name": "corp", "uid": "uid-corp", "generation": 1 },
        "spec": { "vault": { "address": "https://vault:8200", "auth": { "kubernetes": { "role": "postern" } } } },
        "status": status,
    }))
    .unwrap()
}

/// Who is woken when the status of the store `corp` was `before` and is `after`, where one identity reads `ai/openai` there, one `ai/claude`, and one reads
/// elsewhere; and whether the store is looked at.
fn woken_by_store(before: &serde_json::Value, after: &serde_json::Value) -> (Vec<String>, bool) {
    let (known, mut writer) = reflector::store();
    for (name, store, path) in [
        ("claude", "corp", "ai/claude"),
        ("elsewhere", "other", "ai/openai"),
        ("openai", "corp", "ai/openai"),
    ] {
        let mut credential = credential("key");
        credential["source"] = json!({ "store": { "name": store, "path": path } });
        let mut object = identity(&[credential]);
        object.metadata.name = Some(name.into());
        writer.apply_watcher_event(&Event::Apply(object));
    }
    let (identities, mut woken_identities) = mpsc::unbounded();
    let (stores, mut woken_stores) = mpsc::unbounded();
    let [before, after] = [before, after].map(|status| store_digest(&store(status)));
    let change = Change {
        before: Some(&before),
        after: Some(&after),
    };
    on_store(stores, vec![(identities, known)], |_| {})(&ObjectRef::new("corp"), change);
    (
        woken(&mut woken_identities),
        woken_stores.try_recv().is_ok(),
    )
}

#[test]
fn what_is_told_of_a_store_wakes_those_whom_it_is_about() {
    let at = |second: u32, paths: &[&str]| {
        let time = format!("2026-11-25T10:00:0{second}.000000Z");
        json!({ "refresh": { "requestedAt": time, "paths": paths } })
    };
    let nothing = json!({});
    let both = vec!["claude".to_owned(), "openai".to_owned()];
    assert_eq!(woken_by_store(&nothing, &at(1, &[])), (both.clone(), true));
    let one = woken_by_store(&at(1, &[]), &at(2, &["ai/openai", "ai/nobody"]));
    assert_eq!(one, (vec!["openai".to_owned()], true));
    assert_eq!(
        woken_by_store(&at(1, &[]), &at(2, &["ai/nobody"])).0,
        [""; 0]
    );
    // The same again, of the same moment, and what is taken back.
    assert_eq!(woken_by_store(&at(1, &[]), &at(1, &[])), (vec![], false));
    assert_eq!(woken_by_store(&at(1, &[]), &nothing), (vec![], false));
}

#[test]
fn a_store_that_becomes_ready_wakes_all_who_read_there() {
    let with = |status: &str| json!({ "conditions": [{ "type": "Ready", "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-11-25T10:00:00Z" }] });
    let both = vec!["claude".to_owned(), "openai".to_owned()];
    assert_eq!(woken_by_store(&with("False"), &with("True")), (both, false));
    assert_eq!(woken_by_store(&with("True"), &with("False")).0, [""; 0]);
}

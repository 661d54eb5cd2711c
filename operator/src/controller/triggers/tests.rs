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

//! What is told of a watch, and when.

use futures::{channel::mpsc, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{ResourceExt as _, runtime::reflector};
use serde_json::json;

use super::*;

fn object(name: &str, label: &str) -> ConfigMap {
    serde_json::from_value(
        json!({ "metadata": { "name": name, "namespace": "n", "labels": { "l": label } } }),
    )
    .unwrap()
}

/// What was told of `events`: the name, whether it was there before and after, and whether the store knew the change already.
async fn told(events: Vec<Event<ConfigMap>>) -> Vec<(String, bool, bool, bool)> {
    let (store, writer) = reflector::store();
    let mut told = Vec::new();
    follow(
        stream::iter(events.into_iter().map(Ok)),
        writer,
        |object: &ConfigMap| object.labels().get("l").cloned(),
        |key, change| {
            let stored = store
                .get(key)
                .and_then(|object| object.labels().get("l").cloned());
            let agrees = stored == change.after.cloned().flatten();
            told.push((
                key.name.clone(),
                change.before.is_some(),
                change.after.is_some(),
                agrees,
            ));
        },
    )
    .await;
    told
}

#[tokio::test]
async fn a_list_is_told_once_it_is_complete() {
    let events = vec![
        Event::Init,
        Event::InitApply(object("a", "1")),
        Event::InitDone,
        Event::Apply(object("a", "1")),
        Event::Apply(object("a", "2")),
        Event::Delete(object("a", "2")),
    ];
    assert_eq!(
        told(events).await,
        [
            ("a".into(), false, true, true),
            ("a".into(), true, true, true),
            ("a".into(), true, false, true),
        ]
    );
}

#[tokio::test]
async fn what_vanished_or_changed_while_nobody_watched_is_told_after_the_next_list() {
    let events = vec![
        Event::Init,
        Event::InitApply(object("gone", "1")),
        Event::InitApply(object("kept", "1")),
        Event::InitApply(object("moved", "1")),
        Event::InitDone,
        Event::Init,
        Event::InitApply(object("kept", "1")),
        Event::InitApply(object("moved", "2")),
        Event::InitDone,
    ];
    let told = told(events).await;
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(
        told.contains(&("gone".into(), true, false, true)),
        "{told:?}"
    );
    assert!(
        told.contains(&("moved".into(), true, true, true)),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_passed_on_once() {
    let (from, burst) = mpsc::unbounded();
    let (to, mut passed) = mpsc::unbounded();
    for item in [1, 2, 1, 1] {
        from.unbounded_send(item).unwrap();
    }
    let passing = tokio::spawn(coalesce(burst, to, Duration::from_secs(1)));
    let mut first = [passed.next().await.unwrap(), passed.next().await.unwrap()];
    first.sort_unstable();
    assert_eq!(first, [1, 2]);

    from.unbounded_send(1).unwrap();
    assert_eq!(passed.next().await, Some(1));
    drop(from);
    passing.await.unwrap();
    assert_eq!(passed.next().await, None);
}

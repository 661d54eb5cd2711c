//! Follows one kind of object: the store first, then those who must know.
//!
//! One watch serves every consumer of a kind, so a reconcile that a change has caused always finds that change in the store. Changes that
//! nobody is interested in (our own status writes, above all) end here.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use futures::{
    Stream, StreamExt as _,
    channel::mpsc::{UnboundedReceiver, UnboundedSender},
};
use kube::{
    Resource,
    runtime::{
        reflector::{ObjectRef, store::Writer},
        watcher::{self, Event},
    },
};
use tokio::time::{Instant, sleep_until};

/// What changed of one object, in the eyes of a digest: `None` is an object that is not there.
pub(crate) struct Change<'a, D> {
    pub(crate) before: Option<&'a D>,
    pub(crate) after: Option<&'a D>,
}

/// Keeps `writer` up to date with `events` and calls `tell` for each object whose digest has changed. Ends with `events`.
///
/// During a new list the store keeps the old state until the list is complete, so changes are told only then; objects that vanished while
/// nobody watched are told too.
pub(crate) async fn follow<K, D>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    mut writer: Writer<K>,
    digest: impl Fn(&K) -> D,
    mut tell: impl FnMut(&ObjectRef<K>, Change<'_, D>),
) where
    K: Resource<DynamicType = ()> + Clone + 'static,
    D: PartialEq,
{
    let mut seen: HashMap<ObjectRef<K>, D> = HashMap::new();
    let mut listed: HashMap<ObjectRef<K>, D> = HashMap::new();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = describe(&error), "the watch failed and starts again");
                continue;
            }
        };
        writer.apply_watcher_event(&event);
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                listed.insert(ObjectRef::from_obj(&object), digest(&object));
            }
            Event::InitDone => {
                let before = std::mem::replace(&mut seen, std::mem::take(&mut listed));
                for (key, after) in &seen {
                    tell_difference(key, before.get(key), Some(after), &mut tell);
                }
                for (key, gone) in before.iter().filter(|(key, _)| !seen.contains_key(*key)) {
                    tell_difference(key, Some(gone), None, &mut tell);
                }
            }
            Event::Apply(object) => {
                let key = ObjectRef::from_obj(&object);
                let after = digest(&object);
                tell_difference(&key, seen.get(&key), Some(&after), &mut tell);
                seen.insert(key, after);
            }
            Event::Delete(object) => {
                let key = ObjectRef::from_obj(&object);
                let before = seen.remove(&key).unwrap_or_else(|| digest(&object));
                tell_difference(&key, Some(&before), None, &mut tell);
            }
        }
    }
}

fn tell_difference<K: Resource<DynamicType = ()>, D: PartialEq>(
    key: &ObjectRef<K>,
    before: Option<&D>,
    after: Option<&D>,
    tell: &mut impl FnMut(&ObjectRef<K>, Change<'_, D>),
) {
    if before != after {
        tell(key, Change { before, after });
    }
}

fn describe(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => crate::kube_error::describe(error),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Passes items on, each at most once in `period`: many pods start or stop together, and one count of them is enough.
pub(crate) async fn coalesce<T: Eq + Hash>(
    mut from: UnboundedReceiver<T>,
    to: UnboundedSender<T>,
    period: Duration,
) {
    while let Some(first) = from.next().await {
        let mut batch = HashSet::from([first]);
        let end = Instant::now() + period;
        loop {
            tokio::select! {
                item = from.next() => match item {
                    Some(item) => { batch.insert(item); }
                    None => break,
                },
                () = sleep_until(end) => break,
            }
        }
        for item in batch {
            if to.unbounded_send(item).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;

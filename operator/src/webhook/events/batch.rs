//! Writes down what was told, at most once in [`WINDOW`] for each store: whoever tells more in between is part of the next writing.
//!
//! So many events at a time cost the API server, the controller and the store what one does.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp};
use kube::{
    Api, Client, Resource as _,
    api::{Patch, PatchParams},
};
use postern_crds::{
    CredentialStore, CredentialStoreStatus, credential_store::StoreRefresh, names::EVENTS_MANAGER,
};
use serde_json::json;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

use super::About;
use crate::kube_error;

/// How often a store's status is written at most. EventBridge waits five seconds for an answer.
const WINDOW: Duration = Duration::from_secs(2);
/// How long a writing may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many wait for one writing.
const MOST_WAITING: usize = 64;
/// About how many stores something was told within a window. Whoever has the token may make names up.
const MOST_STORES: usize = 256;

/// What became of what was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is in the store's status.
    Written,
    /// There is no such store.
    NoStore,
    /// Too many wait for it.
    TooOften,
    /// The API server did not take it.
    Failed,
}

/// What was told about stores.
pub(super) struct Refreshes {
    client: Client,
    stores: Mutex<HashMap<String, Slot>>,
    /// Carries the writings, which outlive who asked for them.
    tasks: TaskTracker,
}

/// One store.
struct Slot {
    /// When it may be written next.
    next: Instant,
    batch: Option<Batch>,
}

/// What the next writing says, and who waits for it.
struct Batch {
    about: Paths,
    waiting: Vec<oneshot::Sender<Told>>,
}

/// Some paths, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Paths {
    All,
    Some(BTreeSet<String>),
}

impl Paths {
    fn add(&mut self, about: About) {
        match (&mut *self, about) {
            (Self::All, _) => {}
            (Self::Some(_), About::All) => *self = Self::All,
            (Self::Some(paths), About::Path(path)) => {
                paths.insert(path);
                if paths.len() > StoreRefresh::MAX_PATHS {
                    *self = Self::All;
                }
            }
        }
    }
}

impl Refreshes {
    /// Writes by `client`.
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            stores: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// Has it written that the store called `name` has changed in what it is `about`, and waits for that.
    pub(super) async fn ask(self: &Arc<Self>, name: &str, about: About) -> Told {
        match self.join(name, about) {
            Some(written) => written.await.unwrap_or(Told::Failed),
            None => Told::TooOften,
        }
    }

    /// Makes it part of the next writing. `None` where too much is part of it.
    fn join(self: &Arc<Self>, name: &str, about: About) -> Option<oneshot::Receiver<Told>> {
        let now = Instant::now();
        let mut stores = self.lock();
        stores.retain(|_, slot| slot.batch.is_some() || slot.next > now);
        let is_full = stores.len() >= MOST_STORES;
        let slot = match stores.entry(name.to_owned()) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(_) if is_full => return None,
            Entry::Vacant(slot) => slot.insert(Slot {
                next: now,
                batch: None,
            }),
        };
        let batch = slot.batch.get_or_insert_with(|| {
            let writing = Arc::clone(self).write_at(slot.next, name.to_owned());
            self.tasks.spawn(writing);
            Batch {
                about: Paths::Some(BTreeSet::new()),
                waiting: Vec::new(),
            }
        });
        if batch.waiting.len() >= MOST_WAITING {
            return None;
        }
        batch.about.add(about);
        let (told, written) = oneshot::channel();
        batch.waiting.push(told);
        Some(written)
    }

    async fn write_at(self: Arc<Self>, at: Instant, name: String) {
        sleep_until(at).await;
        let batch = {
            let mut stores = self.lock();
            stores.get_mut(&name).and_then(|slot| {
                slot.next = Instant::now() + WINDOW;
                slot.batch.take()
            })
        };
        let Some(Batch { about, waiting }) = batch else {
            return;
        };
        let told = timeout(PATIENCE, self.write(&name, about))
            .await
            .unwrap_or(Told::Failed);
        for one in waiting {
            // Who went away does not hear it.
            let _ = one.send(told);
        }
    }

    async fn write(&self, name: &str, about: Paths) -> Told {
        let paths = match about {
            Paths::All => Vec::new(),
            Paths::Some(paths) => paths.into_iter().collect(),
        };
        let count = paths.len();
        let status = CredentialStoreStatus {
            refresh: Some(StoreRefresh {
                requested_at: MicroTime(Timestamp::now()),
                paths,
            }),
            ..CredentialStoreStatus::default()
        };
        let patch = json!({
            "apiVersion": CredentialStore::api_version(&()),
            "kind": CredentialStore::kind(&()),
            "metadata": { "name": name },
            "status": status,
        });
        let stores = Api::<CredentialStore>::all(self.client.clone());
        let params = PatchParams::apply(EVENTS_MANAGER).force();
        match stores
            .patch_status(name, &params, &Patch::Apply(patch))
            .await
        {
            Ok(_) => {
                tracing::info!(
                    store = name,
                    paths = count,
                    "an event says that a store has changed"
                );
                Told::Written
            }
            Err(error) if kube_error::code(&error) == Some(404) => Told::NoStore,
            Err(error) => {
                let error = kube_error::describe(&error);
                tracing::warn!(
                    store = name,
                    error,
                    "an event of a store could not be written down"
                );
                Told::Failed
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        self.stores.lock().expect("no panic while the lock is held")
    }
}

#[cfg(test)]
pub(in crate::webhook) mod tests;

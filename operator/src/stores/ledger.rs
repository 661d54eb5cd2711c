//! Who holds which leases, and the end of those that nobody holds any longer.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use tokio::{sync::Notify, time::sleep};

use super::{lease::Lease, table::Stores};

/// How long a store that did not revoke a lease is left alone.
const AGAIN: Duration = Duration::from_secs(15);

/// The leases of all identities, as their bundles have them; and of those that are gone. With an identity its bundle goes, so this is all that remembers.
#[derive(Default)]
pub(super) struct Ledger {
    /// By namespace and name.
    held: Mutex<HashMap<(String, String), Vec<Lease>>>,
    released: Mutex<Vec<Lease>>,
    news: Notify,
}

impl Ledger {
    fn take_released(&self) -> Vec<Lease> {
        std::mem::take(&mut self.released.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stores {
    /// The identity called `name` in `namespace` holds these leases, and its bundle says so.
    pub(crate) fn holds(&self, namespace: &str, name: &str, leases: &[Lease]) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut held = self
            .ledger
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if leases.is_empty() {
            held.remove(&key);
        } else {
            held.insert(key, leases.to_vec());
        }
    }

    /// The identity called `name` in `namespace` is gone: what it held is revoked.
    pub(crate) fn release(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let mut held = self
            .ledger
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let leases = held.remove(&key);
        drop(held);
        self.give_back(leases.unwrap_or_default());
    }

    /// Nobody has these leases: they are revoked.
    pub(crate) fn give_back(&self, leases: Vec<Lease>) {
        if leases.is_empty() {
            return;
        }
        let mut released = self
            .ledger
            .released
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        released.extend(leases);
        drop(released);
        self.ledger.news.notify_one();
    }

    /// Revokes what is given back, for ever. What a store does not revoke is tried again until it has ended by itself.
    pub(crate) async fn revoke_released(&self) {
        let mut left: Vec<Lease> = Vec::new();
        loop {
            if left.is_empty() {
                self.ledger.news.notified().await;
            } else {
                tokio::select! {
                    () = self.ledger.news.notified() => {}
                    () = sleep(AGAIN) => {}
                }
            }
            left.append(&mut self.ledger.take_released());
            for mut lease in std::mem::take(&mut left) {
                lease.give_up(Timestamp::now());
                left.extend(self.revoke(lease, Timestamp::now()).await);
            }
        }
    }

    /// Revokes those of `leases` whose time has come, and returns the others.
    pub(super) async fn revoke_due(&self, leases: Vec<Lease>, now: Timestamp) -> Vec<Lease> {
        let mut left = Vec::with_capacity(leases.len());
        for lease in leases {
            left.extend(self.revoke(lease, now).await);
        }
        left
    }

    /// Revokes `lease` if its time has come. It is given back as long as it may be there.
    async fn revoke(&self, lease: Lease, now: Timestamp) -> Option<Lease> {
        if !lease.is_retired() || now < lease.due() {
            return Some(lease);
        }
        if lease.is_over(now) {
            return None;
        }
        let Some(connection) = self.leading_to(&lease.store, &lease.origin) else {
            tracing::warn!(
                store = lease.store,
                "a lease of a store that is gone or leads elsewhere cannot be revoked and ends by itself"
            );
            return None;
        };
        match connection.revoke(&lease.id).await {
            Ok(()) => None,
            Err(problem) => {
                tracing::warn!(store = lease.store, %problem, "a lease could not be revoked; it is tried again until it ends");
                Some(lease)
            }
        }
    }
}

//! What one identity holds of stores that make a credential for each reading: it is kept and renewed, replaced in time, and revoked when nobody wants it.
//!
//! *Architecture invariant: a lease is in the Secret of the bundle before its credential is, since both are written at once.*

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::jiff::Timestamp;
use postern_crds::{AgentIdentitySpec, Bundle, agent_identity::StoreRef, bundle::VersionedSecret};
use tokio::sync::OnceCell;

use super::{
    Sources,
    connection::{Connection, Outcome},
    lease::{Lease, Step},
    problem::Problem,
    reading::Reading,
};

/// What an identity had from its sources last.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) identity: &'a str,
    /// The bundle that its sidecars have.
    pub(crate) bundle: Option<&'a Bundle>,
    pub(crate) leases: &'a [Lease],
}

impl Held<'_> {
    /// What the sources give when nobody asks them: what is held stays.
    pub(crate) fn as_it_is(&self) -> Sources {
        Sources {
            leases: self.leases.to_vec(),
            ..Sources::default()
        }
    }
}

/// What stands beside `bundle`, of the `leases` that an identity holds after a look and those that it held `before`; and what nobody can use, since nothing of it
/// came into the bundle. What the bundle still has is not given up: a new one could not be delivered.
pub(crate) fn beside(
    bundle: Option<&Bundle>,
    leases: Vec<Lease>,
    before: &[Lease],
) -> (Vec<Lease>, Vec<Lease>) {
    let (mut held, mut useless) = (Vec::new(), Vec::new());
    for lease in leases {
        let is_in = bundle.is_some_and(|bundle| lease.is_in(bundle));
        match before.iter().find(|before| before.is_same(&lease)) {
            None if !is_in => useless.push(lease),
            Some(before) if is_in && lease.is_retired() => held.push(before.clone()),
            None | Some(_) => held.push(lease),
        }
    }
    (held, useless)
}

/// What a place gives, for one identity.
pub(super) type Found = Result<Option<Arc<Reading>>, Problem>;

/// What all credentials of one place get.
type Shared = Arc<OnceCell<Found>>;

/// One look at all places of an identity that may make leases.
pub(super) struct Round<'a> {
    held: Held<'a>,
    spec: &'a AgentIdentitySpec,
    now: Timestamp,
    /// By store and path: several credentials may be members of one reading.
    found: Mutex<HashMap<(String, String), Shared>>,
    /// What the identity holds after it.
    leases: Mutex<Vec<Lease>>,
    /// What it held, and what is no more: by the store's name of it.
    gone: Mutex<HashSet<String>>,
}

/// What became of a lease.
enum Tended {
    Kept(Lease),
    /// Nobody knows; what there was is good as long as it was to last.
    Unknown(Lease, Problem),
    /// Another one takes its place.
    Replaced(Lease),
    /// It was revoked, or has ended.
    Gone,
}

impl<'a> Round<'a> {
    pub(super) fn new(held: Held<'a>, spec: &'a AgentIdentitySpec, now: Timestamp) -> Self {
        Self {
            held,
            spec,
            now,
            found: Mutex::default(),
            leases: Mutex::default(),
            gone: Mutex::default(),
        }
    }

    /// What is at `place`; nothing, if what the identity has from there is still good.
    ///
    /// # Errors
    /// Why there is nothing new.
    pub(super) async fn read(
        &self,
        connection: &Arc<Connection>,
        place: &StoreRef,
        origin: &str,
    ) -> Found {
        let key = (place.name.clone(), place.path.clone());
        let cell = {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(found.entry(key).or_default())
        };
        cell.get_or_init(|| self.look(connection, place, origin))
            .await
            .clone()
    }

    /// What the bundle has of `credential`, if that came from `place` as it is now.
    pub(super) fn last(
        &self,
        credential: &str,
        place: &StoreRef,
        origin: &str,
    ) -> Option<&'a VersionedSecret> {
        let bundle = self.held.bundle?;
        let mut credentials = bundle.spec.credentials.iter();
        let before = credentials.find(|before| before.name == credential)?;
        let secret = bundle.secrets.get(credential)?;
        (before.source.store.as_ref() == Some(place) && secret.version.starts_with(origin))
            .then_some(secret)
    }

    /// What the identity holds after this look. What no credential wants any longer is given up.
    pub(super) fn end(self) -> Vec<Lease> {
        let Self {
            held,
            now,
            leases,
            gone,
            ..
        } = self;
        let mut leases = leases.into_inner().unwrap_or_else(PoisonError::into_inner);
        let gone = gone.into_inner().unwrap_or_else(PoisonError::into_inner);
        for lease in held.leases {
            let is_kept = leases.iter().any(|kept| kept.id == lease.id);
            if !is_kept && !gone.contains(&lease.id) {
                let mut lease = lease.clone();
                lease.retire(now);
                leases.push(lease);
            }
        }
        leases
    }

    async fn look(&self, connection: &Arc<Connection>, place: &StoreRef, origin: &str) -> Found {
        let mut leases = self.held.leases.iter();
        let held = leases.find(|lease| {
            !lease.is_retired() && lease.origin == origin && lease.path == place.path
        });
        let is_here = |wanted: &&StoreRef| wanted.name == place.name && wanted.path == place.path;
        let is_complete = self.spec.credentials.iter().all(|credential| {
            let wanted = credential.source.store.as_ref().filter(is_here);
            wanted.is_none_or(|wanted| self.last(&credential.name, wanted, origin).is_some())
        });
        let tended = match held {
            None => Tended::Gone,
            Some(lease) if !is_complete => Tended::Replaced(lease.clone()),
            Some(lease) => self.tend(connection, lease.clone()).await,
        };
        let replaced = match tended {
            Tended::Kept(lease) => {
                self.keep(lease);
                return Ok(None);
            }
            Tended::Unknown(lease, problem) => {
                self.keep(lease);
                return Err(problem);
            }
            Tended::Replaced(lease) => Some(lease),
            Tended::Gone => None,
        };
        let result = self.read_anew(connection, place).await;
        if let Some(mut lease) = replaced {
            // While the store cannot be asked, what it made stays in use.
            if result.as_ref().err().is_none_or(Problem::is_definitive) {
                lease.retire(self.now);
            }
            self.keep(lease);
        } else if let Some(lease) = held {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            gone.insert(lease.id.clone());
        }
        let reading = result?;
        if let Some(granted) = &reading.lease {
            self.keep(Lease::new(
                &place.name,
                origin,
                &place.path,
                &reading.version,
                granted,
                self.now,
            ));
        }
        Ok(Some(reading))
    }

    async fn read_anew(&self, connection: &Arc<Connection>, place: &StoreRef) -> Outcome {
        let Held {
            namespace,
            identity,
            ..
        } = self.held;
        connection
            .read_for(&format!("{namespace}/{identity}"), place)
            .await
    }

    async fn tend(&self, connection: &Arc<Connection>, mut lease: Lease) -> Tended {
        match lease.step(self.now) {
            Step::Replace => Tended::Replaced(lease),
            Step::Keep => match connection.look_up(&lease.id).await {
                // A login that may not look is told nothing; renewals will tell.
                Ok(true) | Err(Problem::Permission(_)) => Tended::Kept(lease),
                Ok(false) => Tended::Gone,
                Err(problem) => Tended::Unknown(lease, problem),
            },
            Step::Renew => match connection.renew(&lease.id).await {
                Ok(Some(granted)) if lease.renewed(&granted, self.now) => Tended::Kept(lease),
                Ok(Some(_)) | Err(Problem::Permission(_)) => Tended::Replaced(lease),
                Ok(None) => Tended::Gone,
                Err(problem) => Tended::Unknown(lease, problem),
            },
        }
    }

    fn keep(&self, lease: Lease) {
        self.leases
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(lease);
    }
}

#[cfg(test)]
mod tests;

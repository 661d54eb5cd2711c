//! All stores of the cluster: which exist, who may read them, and their connections.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt as _, future};
use k8s_openapi::{api::core::v1::Namespace, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::reflector::{ObjectRef, Store as Known},
};
use postern_crds::{
    AgentIdentitySpec, CredentialStoreSpec, agent_identity::StoreRef, bundle::VersionedSecret,
    source::Shape,
};
use tokio::sync::OnceCell;

use super::{
    Failure, Sources,
    connection::{self, Connection},
    holding::{Held, Round},
    lease::Lease,
    ledger::Ledger,
    own::Own,
    problem::Problem,
};
use crate::{
    controller::{
        Metrics,
        object::{Lenient, StoreObject},
    },
    kube_error,
};

/// The stores of the cluster. A replica that starts to lead makes a new one.
pub(crate) struct Stores {
    client: Client,
    own: Own,
    metrics: Metrics,
    /// None: the operator was told to read none.
    known: Option<Known<StoreObject>>,
    open: Mutex<HashMap<String, Open>>,
    pub(super) ledger: Ledger,
}

/// A connection, and which generation of which store it is to.
struct Open {
    uid: Option<String>,
    generation: Option<i64>,
    connection: Arc<Connection>,
}

/// The labels of one namespace, read when somebody asks.
struct Labels<'a> {
    client: &'a Client,
    namespace: &'a str,
    read: OnceCell<Result<BTreeMap<String, String>, Problem>>,
}

impl Stores {
    pub(crate) fn new(
        client: Client,
        own: Own,
        metrics: Metrics,
        known: Option<Known<StoreObject>>,
    ) -> Self {
        Self {
            client,
            own,
            metrics,
            known,
            open: Mutex::default(),
            ledger: Ledger::default(),
        }
    }

    /// Reads every source of `spec` that is in a store, for an identity that had what is `held`, into `sources`.
    pub(super) async fn resolve(
        &self,
        held: Held<'_>,
        spec: &AgentIdentitySpec,
        sources: &mut Sources,
    ) {
        let labels = Labels {
            client: &self.client,
            namespace: held.namespace,
            read: OnceCell::new(),
        };
        let now = Timestamp::now();
        let round = Round::new(held, spec, now);
        let mut readings = Vec::new();
        for credential in &spec.credentials {
            if let Some(place) = &credential.source.store {
                let shape = Shape::of(credential);
                readings.push(self.read(&credential.name, place, shape, &labels, &round));
            }
        }
        // A spec has at most 32, and each store has its own bound.
        let found = future::join_all(readings).await;
        for (name, result, origin) in found {
            sources.secrets.insert(name.to_owned(), result);
            let origin = origin.map(|origin| (name.to_owned(), origin));
            sources.origins.extend(origin);
        }
        let leases = self.revoke_due(round.end(), now).await;
        sources.due = leases.iter().map(Lease::due).min().map(|due| {
            let left = due.duration_since(now);
            Duration::try_from(left).unwrap_or_default()
        });
        sources.leases = leases;
    }

    /// What `place` gives for `credential`, and the origin of that, if it is known.
    async fn read<'a>(
        &self,
        credential: &'a str,
        place: &StoreRef,
        shape: Shape,
        labels: &Labels<'_>,
        round: &Round<'_>,
    ) -> (&'a str, Result<VersionedSecret, Failure>, Option<String>) {
        let mut origin = None;
        let lent = self.lend(credential, place, shape, labels, round, &mut origin);
        (credential, lent.await, origin)
    }

    /// The credential at `place`. Whether the namespace may have it is asked before anything about the place is.
    async fn lend(
        &self,
        credential: &str,
        place: &StoreRef,
        shape: Shape,
        labels: &Labels<'_>,
        round: &Round<'_>,
        origin: &mut Option<String>,
    ) -> Result<VersionedSecret, Failure> {
        let name = &place.name;
        let failed = |problem| Failure::Store {
            store: name.clone(),
            problem,
        };
        let object = self.find(name)?;
        let spec = readable(&object).map_err(failed)?;
        let from = origin.insert(connection::origin(
            name,
            object.metadata.uid.as_deref().unwrap_or_default(),
            spec,
        ));
        let allowed = spec.allows_all()
            || (spec.allowed_namespaces.is_some()
                && spec.allows(&labels.read().await.map_err(failed)?));
        if !allowed {
            return Err(Failure::StoreNotAllowed {
                store: name.clone(),
                namespace: labels.namespace.to_owned(),
            });
        }
        let connection = self.connection(&object).map_err(failed)?;
        let reading = if connection.makes_leases() {
            match round.read(&connection, place, from).await.map_err(failed)? {
                Some(reading) => reading,
                None => {
                    let last = round.last(credential, place, from).cloned();
                    return last.ok_or_else(|| failed(Problem::Malformed));
                }
            }
        } else {
            connection.read(place).await.map_err(failed)?
        };
        Ok(VersionedSecret {
            value: reading.secret(place, shape).map_err(failed)?,
            version: format!("{from}{}", reading.version),
        })
    }

    fn find(&self, name: &str) -> Result<Arc<StoreObject>, Failure> {
        let Some(known) = &self.known else {
            return Err(Failure::StoresOff);
        };
        if known.wait_until_ready().now_or_never().is_none() {
            return Err(Failure::Store {
                store: name.to_owned(),
                problem: Problem::NotListed,
            });
        }
        known
            .get(&ObjectRef::new(name))
            .ok_or_else(|| Failure::StoreNotFound(name.to_owned()))
    }

    /// Whether the store that `object` describes is as it says; what was seen is told in words.
    pub(crate) async fn check(&self, object: &StoreObject) -> Result<&'static str, Problem> {
        self.connection(object)?.check().await
    }

    /// Forgets what is known of the store called `name`: it is gone.
    pub(crate) fn forget(&self, name: &str) {
        self.metrics.store_gone(name);
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// The connection to the store called `name`, if it still leads to `origin`.
    pub(super) fn leading_to(&self, name: &str, origin: &str) -> Option<Arc<Connection>> {
        let object = self.find(name).ok()?;
        let spec = readable(&object).ok()?;
        let uid = object.metadata.uid.as_deref().unwrap_or_default();
        (connection::origin(name, uid, spec) == origin)
            .then(|| self.connection(&object).ok())
            .flatten()
    }

    /// The connection to the store that `object` describes; another generation of it has another one, with a login of its own.
    fn connection(&self, object: &StoreObject) -> Result<Arc<Connection>, Problem> {
        let spec = readable(object)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = open.get(&object.name_any())
            && found.uid == object.metadata.uid
            && found.generation == object.metadata.generation
        {
            return Ok(Arc::clone(&found.connection));
        }
        let connection = Arc::new(Connection::new(
            object.name_any(),
            spec.clone(),
            self.own.clone(),
            self.metrics.clone(),
        )?);
        let opened = Open {
            uid: object.metadata.uid.clone(),
            generation: object.metadata.generation,
            connection: Arc::clone(&connection),
        };
        open.insert(object.name_any(), opened);
        Ok(connection)
    }
}

fn readable(object: &StoreObject) -> Result<&CredentialStoreSpec, Problem> {
    match &object.spec {
        Lenient::Read(spec) => Ok(spec),
        Lenient::Unreadable { error, .. } => Err(Problem::Spec(format!(
            "this version of the operator cannot read it: {error}"
        ))),
    }
}

impl Labels<'_> {
    async fn read(&self) -> Result<BTreeMap<String, String>, Problem> {
        self.read
            .get_or_init(|| async {
                let unread = |detail| Problem::NamespaceUnread {
                    namespace: self.namespace.to_owned(),
                    detail,
                };
                match Api::<Namespace>::all(self.client.clone())
                    .get_metadata(self.namespace)
                    .await
                {
                    Ok(namespace) => Ok(namespace.metadata.labels.unwrap_or_default()),
                    Err(error) => Err(unread(kube_error::describe(&error))),
                }
            })
            .await
            .clone()
    }
}

#[cfg(test)]
mod tests;

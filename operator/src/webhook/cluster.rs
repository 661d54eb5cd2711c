//! The identities and policies of the cluster, as they are watched.

use std::{collections::BTreeSet, fmt::Debug, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, Resource,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Store, store::Writer},
        watcher,
    },
};
use postern_crds::{AgentIdentity, EgressPolicy};
use serde::de::DeserializeOwned;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::snapshot::Snapshot;

type Identities = Store<DeserializeGuard<AgentIdentity>>;
type Policies = Store<DeserializeGuard<EgressPolicy>>;

/// What is known of the cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    scopes: Vec<Scope>,
    /// Rung whenever an identity changes.
    changed: Arc<Notify>,
}

/// What is known of one namespace, or of all.
#[derive(Clone)]
struct Scope {
    /// `None`: all of them.
    namespace: Option<String>,
    identities: Identities,
    policies: Policies,
}

impl Cluster {
    /// Starts to watch `namespaces`, or all if there are none, in `tasks`.
    pub(super) fn watch(client: &Client, namespaces: &[String], tasks: &mut JoinSet<()>) -> Self {
        let changed = Arc::new(Notify::new());
        let namespaces: BTreeSet<&str> = namespaces
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .collect();
        let mut scopes: Vec<Option<String>> = namespaces
            .into_iter()
            .map(|name| Some(name.to_owned()))
            .collect();
        if scopes.is_empty() {
            scopes.push(None);
        }
        let scopes = scopes
            .into_iter()
            .map(|namespace| {
                let scope = namespace.as_deref();
                let (identities, writer) = reflector::store();
                let bell = Arc::clone(&changed);
                let ring = move || bell.notify_waiters();
                tasks.spawn(follow(writer, api::<AgentIdentity>(client, scope), ring));
                let (policies, writer) = reflector::store();
                tasks.spawn(follow(writer, api::<EgressPolicy>(client, scope), || {}));
                Scope {
                    namespace,
                    identities,
                    policies,
                }
            })
            .collect();
        Self { scopes, changed }
    }

    /// Whether everything was listed once. Before that, what is missing may well exist.
    pub(super) fn is_synced(&self) -> bool {
        self.scopes.iter().all(|scope| {
            let identities = scope.identities.wait_until_ready().now_or_never();
            let policies = scope.policies.wait_until_ready().now_or_never();
            matches!((identities, policies), (Some(Ok(())), Some(Ok(()))))
        })
    }

    /// What is known of `namespace`; `None` if it is not watched.
    ///
    /// Waits up to `patience` for the identity called `name`: a Helm release creates its workloads before its custom resources, and
    /// what is applied together reaches us over a watch. A pod that is admitted before its identity would have to be restarted.
    pub(super) async fn snapshot(
        &self,
        namespace: &str,
        name: &str,
        patience: Duration,
    ) -> Option<Snapshot> {
        let deadline = Instant::now() + patience;
        loop {
            // Before looking, so that no change falls between.
            let changed = self.changed.notified();
            let snapshot = self.look(namespace)?;
            if snapshot.identity(name).is_some() || timeout_at(deadline, changed).await.is_err() {
                return Some(snapshot);
            }
        }
    }

    fn look(&self, namespace: &str) -> Option<Snapshot> {
        let scope = self.scopes.iter().find(|scope| match &scope.namespace {
            None => true,
            Some(watched) => watched == namespace,
        })?;
        let is_here = |metadata: &ObjectMeta| metadata.namespace.as_deref() == Some(namespace);
        Some(Snapshot::new(
            scope
                .identities
                .state_filter(|identity| is_here(identity.meta())),
            scope.policies.state_filter(|policy| is_here(policy.meta())),
        ))
    }
}

fn api<K>(client: &Client, namespace: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        None => Api::all(client.clone()),
        Some(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

/// Keeps a store up to date, and tells of each change.
async fn follow<K>(mut writer: Writer<K>, api: Api<K>, tell: impl Fn())
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watcher(api, watcher::Config::default())
        .modify(|object| object.meta_mut().managed_fields = None)
        .default_backoff();
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                writer.apply_watcher_event(&event);
                tell();
            }
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = %error, "the watch failed and starts again");
            }
        }
    }
}

#[cfg(test)]
impl Cluster {
    /// A cluster that holds these identities, and the means to add others.
    pub(super) fn of(
        namespace: Option<&str>,
        identities: impl IntoIterator<Item = AgentIdentity>,
    ) -> (Self, impl FnMut(AgentIdentity)) {
        use kube::runtime::watcher::Event;

        let (store, mut writer) = reflector::store();
        let (policies, mut policy_writer) = reflector::store();
        for event in [Event::Init, Event::InitDone] {
            policy_writer.apply_watcher_event(&event);
        }
        writer.apply_watcher_event(&Event::Init);
        for identity in identities {
            writer.apply_watcher_event(&Event::InitApply(DeserializeGuard(Ok(identity))));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let changed = Arc::new(Notify::new());
        let cluster = Self {
            scopes: vec![Scope {
                namespace: namespace.map(str::to_owned),
                identities: store,
                policies,
            }],
            changed: Arc::clone(&changed),
        };
        let add = move |identity| {
            writer.apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(identity))));
            changed.notify_waiters();
        };
        (cluster, add)
    }

    /// A cluster that has not been listed yet.
    pub(super) fn unsynced() -> Self {
        Self {
            scopes: vec![Scope {
                namespace: None,
                identities: reflector::store().0,
                policies: reflector::store().0,
            }],
            changed: Arc::new(Notify::new()),
        }
    }
}

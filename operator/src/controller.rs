//! The controller: turns identities and policies into the bundles that sidecars read.
//!
//! Everything an identity needs is in its own namespace, so a list of watched namespaces is as many independent scopes. Only stores are of the cluster:
//! all scopes share them.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{FutureExt as _, channel::mpsc, future};
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt as _,
        events::{Recorder, Reporter},
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use postern_crds::names::CONTROLLER_MANAGER;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::Readiness,
    config::{CommonArgs, ControllerArgs},
    lease::{Election, Leadership},
    sidecar::SidecarTemplate,
    stores::{Own, Stores},
};

mod agent_identity;
mod bundle_secret;
mod conditions;
mod credential_store;
mod egress_policy;
mod error;
mod events;
mod feed;
mod fetch;
#[cfg(test)]
mod fixtures;
mod freshness;
mod interval;
mod metrics;
pub(crate) mod object;
mod pods;
mod queue;
mod rollout;
mod scope;
mod status;
mod triggers;

pub use error::Error;
use fetch::Endpoints;
use freshness::Freshness;
pub(crate) use interval::jitter;
pub use metrics::Metrics;
use object::{IdentityObject, PolicyObject, StoreObject};
use pods::PodMeta;
use rollout::Rollouts;
use scope::Scope;
use triggers::Readers;

/// How long running reconciles may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// How often pods that come and go make an identity be counted again, at most.
const COUNT_PERIOD: Duration = Duration::from_secs(1);

/// How long the first reconciles wait for the certificate that bundles tell of: those written without it would have to be written again.
const ENDPOINT: Duration = Duration::from_secs(5);

/// What every reconcile of one scope works with.
struct Context {
    client: Client,
    leadership: Leadership,
    recorder: Recorder,
    template: Arc<SidecarTemplate>,
    stores: Arc<Stores>,
    /// Where sidecars reach this operator, if they are served.
    endpoints: Option<Endpoints>,
    freshness: Freshness,
    rollouts: Rollouts,
    identities: Store<IdentityObject>,
    policies: Store<PolicyObject>,
    pods: Store<PodMeta>,
}

/// The part of a leader's work that all scopes share.
#[derive(Clone)]
struct Lead {
    client: Client,
    leadership: Leadership,
    recorder: Recorder,
    metrics: Metrics,
    template: Arc<SidecarTemplate>,
    /// The metrics know it too.
    freshness: Freshness,
    own: Own,
    reads_stores: bool,
    endpoints: Option<Endpoints>,
}

/// Stands for election, and works while it leads, until `shutdown`; then ends running reconciles and gives the Lease back.
///
/// # Errors
/// If the flags contradict each other, or the election ends by itself.
pub async fn run(
    args: ControllerArgs,
    client: Client,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let ControllerArgs {
        common,
        sidecar,
        lease_name,
        service_account,
        stores,
        fetch,
    } = args;
    let CommonArgs {
        namespace,
        pod_name,
        watch_namespaces,
        log_level: _,
        log_format: _,
        admin_address: _,
    } = common;
    let template = Arc::new(SidecarTemplate::new(sidecar).context("reading the sidecar's flags")?);
    let scopes = Scope::all(watch_namespaces);
    let holder = format!("{pod_name}_{:x}", interval::random());
    let (election, leadership) = Election::new(client.clone(), &namespace, &lease_name, holder);
    let mut tasks = JoinSet::new();
    let resign = CancellationToken::new();
    let endpoints = fetch::start(
        fetch,
        &namespace,
        client.clone(),
        metrics.clone(),
        &mut tasks,
        resign.clone(),
    )
    .await?;
    let lead = Lead {
        own: Own::new(client.clone(), namespace, service_account),
        reads_stores: stores,
        recorder: Recorder::new(
            client.clone(),
            Reporter {
                controller: CONTROLLER_MANAGER.to_owned(),
                instance: Some(pod_name),
            },
        ),
        client,
        leadership,
        freshness: metrics.freshness().clone(),
        metrics,
        template,
        endpoints,
    };

    // A task of its own: no amount of reconciling may keep the Lease from being renewed.
    tasks.spawn(election.run(move || readiness.set(true), resign.clone()));
    tokio::select! {
        () = lead.while_elected(&scopes, &shutdown) => {}
        ended = tasks.join_next() => anyhow::bail!("the election, or what serves sidecars, ended by itself: {ended:?}"),
    }
    resign.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.context("running the election, or serving sidecars")?;
    }
    Ok(())
}

impl Lead {
    async fn while_elected(&self, scopes: &[Scope], shutdown: &CancellationToken) {
        let mut leadership = self.leadership.clone();
        loop {
            tokio::select! {
                () = leadership.acquired() => {}
                () = shutdown.cancelled() => return,
            }
            let stopped = tokio::select! {
                biased;
                // Dropping the work stops it at once, wherever it is.
                () = leadership.lost() => false,
                () = self.work(scopes, shutdown) => true,
            };
            self.metrics.leads(false, []);
            self.freshness.clear();
            if stopped {
                return;
            }
            tracing::warn!("stopped reconciling: the lease is lost");
        }
    }

    /// Reconciles in all `scopes` until `shutdown`, and then ends what is running.
    async fn work(&self, scopes: &[Scope], shutdown: &CancellationToken) {
        let (known, store_writer) = reflector::store();
        let stores = Arc::new(Stores::new(
            self.client.clone(),
            self.own.clone(),
            self.metrics.clone(),
            self.reads_stores.then(|| known.clone()),
        ));
        let (works, readers): (Vec<_>, Vec<Readers>) = scopes
            .iter()
            .map(|scope| self.work_in(scope, &stores, shutdown))
            .unzip();
        self.metrics.leads(
            true,
            readers.iter().map(|(_, identities)| identities.clone()),
        );
        if let Some(mut endpoints) = self.endpoints.clone() {
            let endpoint = endpoints.wait_for(Option::is_some);
            let _ = tokio::time::timeout(ENDPOINT, endpoint).await;
        }
        let store_work = async {
            if self.reads_stores {
                self.work_on_stores(known, store_writer, stores, readers, shutdown)
                    .await;
            }
        };
        let drained = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            _ = future::join(future::join_all(works), store_work) => {}
            () = drained => tracing::warn!("reconciles that did not end in time are dropped"),
        }
    }

    /// Looks at all stores until `shutdown`. Identities do not wait for it: most need no store, and the definition of stores may not even be installed.
    async fn work_on_stores(
        &self,
        known: Store<StoreObject>,
        writer: reflector::store::Writer<StoreObject>,
        stores: Arc<Stores>,
        readers: Vec<Readers>,
        shutdown: &CancellationToken,
    ) {
        let (queue, requests) = mpsc::unbounded();
        let forget = {
            let stores = Arc::clone(&stores);
            move |name: &str| stores.forget(name)
        };
        let feed = feed::follow(
            watcher(
                Api::<StoreObject>::all(self.client.clone()),
                watcher::Config::default(),
            )
            .modify(forget_managers)
            .default_backoff(),
            writer,
            triggers::store_digest,
            triggers::on_store(queue, readers, forget),
        );
        let ctx = Arc::new(credential_store::Context {
            client: self.client.clone(),
            leadership: self.leadership.clone(),
            stores: Arc::clone(&stores),
        });
        let work = queue::run(
            "CredentialStore",
            known,
            requests,
            credential_store::reconcile,
            ctx,
            &self.metrics,
            shutdown,
        );
        tokio::select! {
            () = work => {}
            () = feed => {}
            () = stores.revoke_released() => {}
        }
    }

    fn work_in<'a>(
        &self,
        scope: &Scope,
        stores: &Arc<Stores>,
        shutdown: &'a CancellationToken,
    ) -> (impl Future<Output = ()> + use<'a>, Readers) {
        let (identities, identity_writer) = reflector::store();
        let (policies, policy_writer) = reflector::store();
        let (pods, pod_writer) = reflector::store();
        let (identity_queue, identity_requests) = mpsc::unbounded();
        let (policy_queue, policy_requests) = mpsc::unbounded();
        let (count_queue, count_requests) = mpsc::unbounded();

        let readers_queue = identity_queue.clone();

        let ctx = Arc::new(Context {
            client: self.client.clone(),
            leadership: self.leadership.clone(),
            recorder: self.recorder.clone(),
            template: Arc::clone(&self.template),
            stores: Arc::clone(stores),
            endpoints: self.endpoints.clone(),
            freshness: self.freshness.clone(),
            rollouts: Rollouts::new(
                self.client.clone(),
                self.leadership.clone(),
                self.recorder.clone(),
                self.metrics.clone(),
            ),
            identities: identities.clone(),
            policies: policies.clone(),
            pods,
        });
        let forget = {
            let ctx = Arc::clone(&ctx);
            move |key: &ObjectRef<IdentityObject>| {
                let namespace = key.namespace.as_deref().unwrap_or_default();
                ctx.stores.release(namespace, &key.name);
                ctx.freshness.forget(key);
                ctx.rollouts.forget(key);
            }
        };
        let everything = watcher::Config::default();
        let feeds = future::join4(
            feed::follow(
                watcher(
                    scope.api::<IdentityObject>(&self.client),
                    everything.clone(),
                )
                .modify(forget_managers)
                .default_backoff(),
                identity_writer,
                triggers::identity_digest,
                triggers::on_identity(
                    identity_queue.clone(),
                    policy_queue.clone(),
                    policies.clone(),
                    forget,
                ),
            ),
            feed::follow(
                watcher(scope.api::<PolicyObject>(&self.client), everything)
                    .modify(forget_managers)
                    .default_backoff(),
                policy_writer,
                triggers::policy_digest,
                triggers::on_policy(policy_queue, identity_queue.clone(), identities.clone()),
            ),
            feed::follow(
                watcher(scope.api::<PodMeta>(&self.client), pods::selection())
                    .modify(pods::trim)
                    .default_backoff(),
                pod_writer,
                pods::counted,
                triggers::on_pod(count_queue),
            ),
            feed::coalesce(count_requests, identity_queue, COUNT_PERIOD),
        );

        let readers = (readers_queue, identities.clone());
        let metrics = self.metrics.clone();
        let scope = scope.to_string();
        let reconciles = async move {
            // Without the policies, an identity would get a bundle that denies everything; without the identities, a policy no target.
            let complete = future::join(identities.wait_until_ready(), policies.wait_until_ready());
            tokio::select! {
                _ = complete => {}
                () = shutdown.cancelled() => return,
            }
            tracing::info!(
                %scope,
                identities = identities.len(),
                policies = policies.len(),
                "reconciling"
            );
            let identity_work = queue::run(
                "AgentIdentity",
                identities,
                identity_requests,
                agent_identity::reconcile,
                Arc::clone(&ctx),
                &metrics,
                shutdown,
            );
            let policy_work = queue::run(
                "EgressPolicy",
                policies,
                policy_requests,
                egress_policy::reconcile,
                ctx,
                &metrics,
                shutdown,
            );
            future::join(identity_work, policy_work).await;
        };
        let work = async move {
            tokio::select! {
                () = reconciles => {}
                _ = feeds => {}
            }
        };
        (work, readers)
    }
}

fn forget_managers<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

impl Context {
    /// The pods of an identity; `None` as long as no pods could be listed.
    fn pods_of(&self, namespace: &str, identity: &str) -> Option<Vec<Arc<PodMeta>>> {
        self.pods.wait_until_ready().now_or_never()?.ok()?;
        Some(self.pods.state_filter(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace) && pods::is_bound(pod, identity)
        }))
    }
}

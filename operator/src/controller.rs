//! The controller: turns identities and policies into the bundles that sidecars read.
//!
//! Everything an identity needs is in its own namespace, so a list of watched namespaces is as many independent scopes.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{
    FutureExt as _, Stream, StreamExt as _,
    channel::mpsc::{self, UnboundedReceiver},
    future,
};
use kube::{
    Api, Client, Resource,
    core::NamespaceResourceScope,
    runtime::{
        WatchStreamExt as _, applier,
        controller::{self, Action},
        events::{Recorder, Reporter},
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use postern_crds::names::CONTROLLER_MANAGER;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::Readiness,
    config::{CommonArgs, ControllerArgs},
    lease::{Election, Leadership},
    sidecar::SidecarTemplate,
};

mod agent_identity;
mod bundle_secret;
mod conditions;
mod egress_policy;
mod error;
mod events;
mod feed;
#[cfg(test)]
mod fixtures;
mod interval;
mod metrics;
mod object;
mod pods;
mod triggers;

pub use error::Error;
pub use metrics::Metrics;
use object::{IdentityObject, PolicyObject};
use pods::PodMeta;

/// How many objects of a kind are reconciled at the same time.
const CONCURRENCY: u16 = 16;
/// How long one reconcile may take. The client itself waits for an answer as long as the connection lives.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long running reconciles may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// How often pods that come and go make an identity be counted again, at most.
const COUNT_PERIOD: Duration = Duration::from_secs(1);

/// What every reconcile of one scope works with.
struct Context {
    client: Client,
    leadership: Leadership,
    recorder: Recorder,
    metrics: Metrics,
    template: Arc<SidecarTemplate>,
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
}

/// Where objects are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// In all namespaces.
    Cluster,
    /// In one.
    Namespace(String),
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
    let lead = Lead {
        recorder: Recorder::new(
            client.clone(),
            Reporter {
                controller: CONTROLLER_MANAGER.to_owned(),
                instance: Some(pod_name),
            },
        ),
        client,
        leadership,
        metrics,
        template,
    };

    // A task of its own: no amount of reconciling may keep the Lease from being renewed.
    let resign = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(election.run(move || readiness.set(true), resign.clone()));
    lead.while_elected(&scopes, &shutdown).await;
    resign.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.context("running the election")?;
    }
    Ok(())
}

impl Scope {
    fn all(namespaces: Vec<String>) -> Vec<Self> {
        let mut names: Vec<String> = namespaces
            .into_iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return vec![Self::Cluster];
        }
        names.into_iter().map(Self::Namespace).collect()
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(
        &self,
        client: &Client,
    ) -> Api<K> {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("all namespaces"),
            Self::Namespace(namespace) => f.write_str(namespace),
        }
    }
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
            self.metrics.leads(false, Vec::new());
            if stopped {
                return;
            }
            tracing::warn!("stopped reconciling: the lease is lost");
        }
    }

    /// Reconciles in all `scopes` until `shutdown`, and then ends what is running.
    async fn work(&self, scopes: &[Scope], shutdown: &CancellationToken) {
        let (works, stores): (Vec<_>, Vec<_>) = scopes
            .iter()
            .map(|scope| self.work_in(scope, shutdown))
            .unzip();
        self.metrics.leads(true, stores);
        let drained = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            _ = future::join_all(works) => {}
            () = drained => tracing::warn!("reconciles that did not end in time are dropped"),
        }
    }

    fn work_in<'a>(
        &self,
        scope: &Scope,
        shutdown: &'a CancellationToken,
    ) -> (impl Future<Output = ()> + use<'a>, Store<IdentityObject>) {
        let (identities, identity_writer) = reflector::store();
        let (policies, policy_writer) = reflector::store();
        let (pods, pod_writer) = reflector::store();
        let (identity_queue, identity_requests) = mpsc::unbounded();
        let (policy_queue, policy_requests) = mpsc::unbounded();
        let (count_queue, count_requests) = mpsc::unbounded();

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

        let ctx = Arc::new(Context {
            client: self.client.clone(),
            leadership: self.leadership.clone(),
            recorder: self.recorder.clone(),
            metrics: self.metrics.clone(),
            template: Arc::clone(&self.template),
            identities: identities.clone(),
            policies: policies.clone(),
            pods,
        });
        let store = identities.clone();
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
            let identity_work = reconcile_all(
                "AgentIdentity",
                identities,
                identity_requests,
                agent_identity::reconcile,
                Arc::clone(&ctx),
                shutdown,
            );
            let policy_work = reconcile_all(
                "EgressPolicy",
                policies,
                policy_requests,
                egress_policy::reconcile,
                ctx,
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
        (work, store)
    }
}

/// Reconciles what `requests` name until `shutdown`, never one object twice at the same time, and comes back when a reconcile says so.
async fn reconcile_all<K, F>(
    kind: &'static str,
    store: Store<K>,
    requests: UnboundedReceiver<ObjectRef<K>>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> F,
    ctx: Arc<Context>,
    shutdown: &CancellationToken,
) where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let metrics = ctx.metrics.clone();
    let one = |object: Arc<K>, ctx: Arc<Context>| {
        let started = Instant::now();
        let metrics = metrics.clone();
        timeout(RECONCILE_TIMEOUT, reconcile(object, ctx))
            .map(move |result| {
                let result = result.unwrap_or(Err(Error::TimedOut));
                metrics.reconciled(
                    kind,
                    result.as_ref().map_or_else(Error::reason, |_| "ok"),
                    started.elapsed(),
                );
                result
            })
            .boxed()
    };
    let queue = requests
        .map(Ok::<_, Infallible>)
        .take_until(shutdown.cancelled());
    let config = controller::Config::default().concurrency(CONCURRENCY);
    let results = applier(one, after_error, ctx, store, queue, config);
    log_results(kind, results).await;
}

/// A transient error is tried again soon. Any other waits for a person, whose doing the watches do not always see.
fn after_error<K>(_: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    Action::requeue(interval::jitter(if error.is_transient() {
        interval::SOON
    } else {
        interval::refresh(None)
    }))
}

async fn log_results<K: Resource>(
    kind: &'static str,
    results: impl Stream<Item = Result<(ObjectRef<K>, Action), controller::Error<Error, Infallible>>>,
) {
    let mut results = std::pin::pin!(results);
    while let Some(result) = results.next().await {
        match result {
            // It was deleted before its turn came.
            Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
            Err(controller::Error::ReconcilerFailed(error, object)) => {
                let namespace = object.namespace.as_deref().unwrap_or_default();
                tracing::warn!(kind, namespace, name = object.name, reason = error.reason(), error = %error, "a reconcile failed");
            }
            Err(error @ (controller::Error::QueueError(_) | controller::Error::RunnerError(_))) => {
                tracing::error!(kind, error = %error, "the queue failed");
            }
        }
    }
}

fn forget_managers<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

impl Context {
    /// The pods of an identity and the outdated ones among them; nothing, as long as no pods could be listed.
    fn count_pods(
        &self,
        namespace: &str,
        identity: &str,
        template: &str,
    ) -> (Option<i32>, Option<i32>) {
        if self.pods.wait_until_ready().now_or_never().is_none() {
            return (None, None);
        }
        let pods = self
            .pods
            .state_filter(|pod| pod.metadata.namespace.as_deref() == Some(namespace));
        let (bound, outdated) = pods::count(pods.iter().map(AsRef::as_ref), identity, template);
        (Some(bound), Some(outdated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespaces_are_all_of_them() {
        assert_eq!(Scope::all(vec![]), [Scope::Cluster]);
        assert_eq!(Scope::all(vec![String::new()]), [Scope::Cluster]);
        let two = [Scope::Namespace("a".into()), Scope::Namespace("b".into())];
        assert_eq!(Scope::all(vec!["b".into(), " a ".into(), "b".into()]), two);
    }
}

//! The queue of one kind of object: who is reconciled when, and what becomes of the result.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures::{FutureExt as _, Stream, StreamExt as _, channel::mpsc::UnboundedReceiver};
use kube::{
    Resource,
    runtime::{
        applier,
        controller::{self, Action},
        reflector::{ObjectRef, Store},
    },
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Error, Metrics, interval};

/// How many objects of a kind are reconciled at the same time.
const CONCURRENCY: u16 = 16;
/// How long one reconcile may take. The client itself waits for an answer as long as the connection lives.
const RECONCILE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reconciles what `requests` name until `shutdown`, never one object twice at the same time, and comes back when a reconcile says so.
pub(super) async fn run<K, C, F>(
    kind: &'static str,
    store: Store<K>,
    requests: UnboundedReceiver<ObjectRef<K>>,
    reconcile: impl Fn(Arc<K>, Arc<C>) -> F,
    ctx: Arc<C>,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    C: Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let one = |object: Arc<K>, ctx: Arc<C>| {
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
fn after_error<K, C>(_: Arc<K>, error: &Error, _: Arc<C>) -> Action {
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

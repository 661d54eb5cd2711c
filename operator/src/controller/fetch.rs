//! Hands a sidecar the newest bundle of its identity when it comes for it, before the kubelet brings it.
//!
//! Every replica answers, and keeps nothing: each answer is what the API server has at that moment.
//!
//! *Architecture invariant: nobody gets anything here that its pod does not mount.* Who asks shows a token that Kubernetes made for the one pod and for this
//! purpose, so that the pod is not taken from the question; the pod's own spec says whose bundle it mounts; and the ticket, which is in that bundle alone,
//! says that it is the sidecar, and not another container of the pod, who asks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use k8s_openapi::{
    ByteString,
    api::{
        authentication::v1::{TokenReview, TokenReviewSpec},
        core::v1::{Pod, Secret as SecretObject},
    },
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, PostParams},
};
use postern_crds::{
    Bundle,
    control::{FETCH_PATH, TICKET_HEADER},
    names::{BUNDLE_KEY, BUNDLE_SECRET_TYPE, TOKEN_AUDIENCE, bundle_secret},
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::metrics::Metrics;
use crate::{
    config::FetchArgs,
    constant_time::are_same,
    kube_error,
    tls::{server::Listener, serving::Serving},
};

mod asker;
mod authority;
mod mounted;
#[cfg(test)]
mod tests;

use asker::Asker;
use authority::Authority;

/// How many sidecars are answered at the same time: each costs the API server three calls.
const CONCURRENT: usize = 32;
/// How long one may take, its turn included. The sidecar does not wait longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest token that is shown to the API server.
const MAX_TOKEN: usize = 16 * 1024;

/// Where sidecars reach this operator, as bundles tell them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// [`Fetch::address`](postern_crds::bundle::Fetch::address).
    pub(crate) address: String,
    /// [`Fetch::authorities`](postern_crds::bundle::Fetch::authorities).
    pub(crate) authorities: String,
}

/// The endpoint, once there is a certificate.
pub(crate) type Endpoints = watch::Receiver<Option<Arc<Endpoint>>>;

/// Begins to answer in `tasks`, until `shutdown`. `None` if the flags do not ask for it.
///
/// # Errors
/// If the address cannot be bound.
pub(super) async fn start(
    args: FetchArgs,
    namespace: &str,
    client: Client,
    metrics: Metrics,
    tasks: &mut JoinSet<()>,
    shutdown: CancellationToken,
) -> anyhow::Result<Option<Endpoints>> {
    let FetchArgs {
        bundle_listen,
        bundle_service,
        bundle_ca_secret,
    } = args;
    let Some(service) = bundle_service else {
        return Ok(None);
    };
    let serving = Arc::new(Serving::default());
    let listener = Listener::bind(bundle_listen, Arc::clone(&serving))
        .await
        .with_context(|| format!("binding {bundle_listen}"))?;
    let address: SocketAddr = listener.address().context("reading the bound address")?;
    tracing::info!(%address, "serving bundles to sidecars");
    let (endpoint, endpoints) = watch::channel(None);
    let authority = Authority::new(
        Api::namespaced(client.clone(), namespace),
        bundle_ca_secret,
        format!("{service}.{namespace}.svc"),
        serving,
        endpoint,
    );
    tasks.spawn(authority.run(shutdown.clone()));
    let on_failure = {
        let metrics = metrics.clone();
        move || metrics.bundle_asked_for("handshake")
    };
    let router = router(client, metrics);
    tasks.spawn(listener.serve(router, on_failure, shutdown));
    Ok(Some(endpoints))
}

/// What is served.
fn router(client: Client, metrics: Metrics) -> Router {
    let desk = Arc::new(Desk {
        client,
        metrics,
        turns: Semaphore::new(CONCURRENT),
    });
    Router::new()
        .route(FETCH_PATH, get(answer))
        .with_state(desk)
}

struct Desk {
    client: Client,
    metrics: Metrics,
    turns: Semaphore,
}

/// Why a sidecar gets no bundle. It is told which of the two it is, and nothing more.
#[derive(Debug)]
enum Refusal {
    /// It did not show that it may have one; the reason is for the log of whoever looks for it.
    Denied(&'static str),
    /// That could not be found out.
    Unavailable,
}

async fn answer(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let looked = timeout(PATIENCE, desk.bundle(&headers)).await;
    let (outcome, mut response) = match looked.unwrap_or(Err(Refusal::Unavailable)) {
        Ok(bundle) => {
            let mut response = Response::new(Body::from(Bytes::from_owner(bundle)));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            ("answered", response)
        }
        Err(Refusal::Denied(reason)) => {
            tracing::debug!(reason, "a bundle was refused");
            ("denied", StatusCode::FORBIDDEN.into_response())
        }
        Err(Refusal::Unavailable) => (
            "unavailable",
            StatusCode::SERVICE_UNAVAILABLE.into_response(),
        ),
    };
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, never);
    desk.metrics.bundle_asked_for(outcome);
    response
}

impl Desk {
    /// The bundle that who sent `headers` may have.
    async fn bundle(&self, headers: &HeaderMap) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let (token, ticket) = shown(headers).ok_or(Refusal::Denied("no token or no ticket"))?;
        let _turn = self
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let asker = self.asker(token).await?;
        let identity = self.identity(&asker).await?;
        let namespace = &asker.namespace;
        let secrets = Api::<SecretObject>::namespaced(self.client.clone(), namespace);
        let object = secrets.get_opt(&bundle_secret(&identity)).await;
        let object = object
            .map_err(|error| unavailable("the bundle could not be read", &error))?
            .ok_or(Refusal::Denied("there is no bundle"))?;
        let (bytes, bundle) = read(object).ok_or(Refusal::Denied("the Secret has no bundle"))?;
        let is_of_identity = bundle.namespace == *namespace && bundle.identity == identity;
        let accounts = &bundle.spec.service_account_names;
        let fetch = bundle.fetch.as_ref();
        if !is_of_identity || !accounts.contains(&asker.account) {
            Err(Refusal::Denied("the bundle is not for this pod"))
        } else if !bundle.spec.is_nudged() {
            Err(Refusal::Denied("the identity does not ask for it"))
        } else if !fetch.is_some_and(|fetch| are_same(fetch.ticket.expose(), ticket)) {
            Err(Refusal::Denied("the ticket is another"))
        } else {
            Ok(bytes)
        }
    }

    /// Whose `token` it is.
    async fn asker(&self, token: &str) -> Result<Asker, Refusal> {
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec {
                audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]),
                token: Some(token.to_owned()),
            },
            status: None,
        };
        let reviews = Api::<TokenReview>::all(self.client.clone());
        let review = reviews
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| unavailable("a token could not be reviewed", &error))?;
        let asker = review.status.as_ref().and_then(Asker::of);
        asker.ok_or(Refusal::Denied("the token is of no pod"))
    }

    /// The identity whose bundle the pod of `asker` mounts.
    async fn identity(&self, asker: &Asker) -> Result<String, Refusal> {
        let pods = Api::<Pod>::namespaced(self.client.clone(), &asker.namespace);
        // One pod by its name; to `list` is a right that the controller has anyway, and to `get` is not.
        let name = format!("metadata.name={}", asker.pod);
        let found = pods.list(&ListParams::default().fields(&name)).await;
        let found = found.map_err(|error| unavailable("a pod could not be looked up", &error))?;
        let mut pods = found.items.iter();
        let identity = pods.find_map(|pod| mounted::identity(pod, asker));
        let identity = identity.ok_or(Refusal::Denied("the pod has no sidecar of an identity"))?;
        Ok(identity.to_owned())
    }
}

fn unavailable(what: &'static str, error: &kube::Error) -> Refusal {
    let error = kube_error::describe(error);
    tracing::warn!(error, "a sidecar asked for its bundle: {what}");
    Refusal::Unavailable
}

/// The token and the ticket in `headers`.
fn shown(headers: &HeaderMap) -> Option<(&str, &[u8])> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let token = token.strip_prefix("Bearer ")?;
    let ticket = headers.get(TICKET_HEADER)?.as_bytes();
    (!token.is_empty() && token.len() <= MAX_TOKEN).then_some((token, ticket))
}

/// The bundle in a Secret, and its bytes as they are mounted.
fn read(object: SecretObject) -> Option<(Zeroizing<Vec<u8>>, Bundle)> {
    if object.type_.as_deref() != Some(BUNDLE_SECRET_TYPE) {
        return None;
    }
    let ByteString(bytes) = object.data?.remove(BUNDLE_KEY)?;
    let bytes = Zeroizing::new(bytes);
    let bundle = Bundle::parse(&bytes).ok()?;
    Some((bytes, bundle))
}

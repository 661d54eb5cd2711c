//! The admin listener: whether the process lives, whether it is ready, which bundle it uses, and its metrics. It tells no secret, and all that it can be
//! told is that there may be a newer bundle.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use postern_crds::control::{BUNDLE_PATH, REFRESH_PATH};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};

use crate::{metrics::Metrics, snapshot::Snapshot};

/// Probes and a scraper or two.
const MAX_CONNECTIONS: usize = 32;

/// What the admin listener tells.
pub(crate) struct Admin {
    /// Says whether a bundle is in use.
    pub(crate) is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// The bundle in use.
    pub(crate) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// The metrics.
    pub(crate) metrics: Arc<Metrics>,
    /// Brings those up to date that change with time alone.
    pub(crate) refresh: Box<dyn Fn() + Send + Sync>,
    /// Is rung when somebody says that there may be a newer bundle; `None` where nobody would hear it.
    pub(crate) bell: Option<Arc<Notify>>,
}

impl Admin {
    /// Serves until the task is dropped.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let permit = Arc::clone(&permits)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            let admin = Arc::clone(&self);
            connections.spawn(async move {
                let _permit = permit;
                let service = service_fn(|request| {
                    std::future::ready(Ok::<_, Infallible>(admin.answer(&request)))
                });
                let served = http1::Builder::new()
                    .timer(hyper_util::rt::TokioTimer::new())
                    .header_read_timeout(std::time::Duration::from_secs(30))
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection to the admin listener ended early");
                }
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let plain = "text/plain; charset=utf-8";
        if let (&Method::POST, REFRESH_PATH, Some(bell)) =
            (request.method(), request.uri().path(), &self.bell)
        {
            bell.notify_one();
            return response(
                StatusCode::ACCEPTED,
                plain,
                "a newer bundle is looked for\n",
            );
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return response(StatusCode::METHOD_NOT_ALLOWED, plain, "only GET\n");
        }
        match request.uri().path() {
            "/livez" => response(StatusCode::OK, plain, "ok\n"),
            "/readyz" if (self.is_ready)() => response(StatusCode::OK, plain, "ok\n"),
            "/readyz" => response(
                StatusCode::SERVICE_UNAVAILABLE,
                plain,
                "no bundle is loaded, or the process is stopping\n",
            ),
            "/metrics" => {
                (self.refresh)();
                response(
                    StatusCode::OK,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                    self.metrics.encode(),
                )
            }
            BUNDLE_PATH => self.bundle(),
            _ => response(
                StatusCode::NOT_FOUND,
                plain,
                "there are /livez, /readyz, /bundle and /metrics\n",
            ),
        }
    }

    fn bundle(&self) -> Response<Full<Bytes>> {
        match self.snapshots.borrow().as_deref() {
            Some(snapshot) => response(
                StatusCode::OK,
                "application/json",
                serde_json::to_vec(&snapshot.in_use())
                    .expect("it has string keys only, so it always serialises"),
            ),
            None => response(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                "no bundle is loaded\n",
            ),
        }
    }
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

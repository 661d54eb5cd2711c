//! `POST /inject` over TLS, HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    admit::Admission,
    metrics::Metrics,
    review::{Answer, Review},
    serving::Serving,
};

/// The API server accepts objects of 3 MiB; a review has one, and some more about who creates it.
const BODY_LIMIT: usize = 4 << 20;
/// How long a client may take for its handshake, and for the head of a request.
const SLOW: Duration = Duration::from_secs(10);

/// How a stop goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    /// How long connections are still accepted: the Service sends some after the pod was told to stop.
    pub(super) linger: Duration,
    /// How long open connections may take to end after that.
    pub(super) patience: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            linger: Duration::from_secs(5),
            patience: Duration::from_secs(10),
        }
    }
}

/// The bound listener.
pub(super) struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    drain: Drain,
    metrics: Metrics,
}

impl Server {
    /// Takes the address. Handshakes fail until `serving` holds a certificate.
    ///
    /// # Errors
    /// If it is taken, or not ours.
    pub(super) async fn bind(
        address: SocketAddr,
        serving: Arc<Serving>,
        drain: Drain,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_no_client_auth()
                .with_cert_resolver(serving);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            tls: TlsAcceptor::from(Arc::new(config)),
            drain,
            metrics,
        })
    }

    /// The address that was bound; tells the port when 0 was asked for.
    ///
    /// # Errors
    /// If the operating system does not know.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, and then drains.
    pub(super) async fn serve(self, admission: Arc<Admission>, shutdown: CancellationToken) {
        let Self {
            listener,
            tls,
            drain,
            metrics,
        } = self;
        let router = Router::new()
            .route("/inject", post(inject))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(admission);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut lingered = std::pin::pin!(async {
            shutdown.cancelled().await;
            tokio::time::sleep(drain.linger).await;
        });
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, most likely: others will be closed.
                        tracing::warn!(error = %error, "accepting a connection failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
                () = &mut lingered => break,
            };
            connections.spawn(connection(
                stream,
                tls.clone(),
                router.clone(),
                graceful.watcher(),
                metrics.clone(),
            ));
        }
        drop(listener);
        if timeout(drain.patience, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "connections that did not end in time are closed"
            );
        }
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
    metrics: Metrics,
) {
    // An answer is one small write: nothing is gained by holding it back.
    let stream = stream.set_nodelay(true).map(|()| stream);
    let handshake = async { tls.accept(stream?).await };
    let Ok(Ok(stream)) = timeout(SLOW, handshake).await else {
        metrics.handshake_failed();
        return;
    };
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOW);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(256);
    let connection = server
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

async fn inject(
    State(admission): State<Arc<Admission>>,
    Json(review): Json<Review>,
) -> Result<Json<Answer>, Infallible> {
    Ok(Json(admission.answer(&review.request).await))
}

#[cfg(test)]
mod tests;

//! `POST /inject` over TLS, HTTP/1.1 and HTTP/2, and where it is wanted `POST /v1/stores/NAME/refresh`.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::Uri,
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
    events::{self, Events},
    metrics::Metrics,
    review::{Answer, Review},
    serving::Serving,
};

/// The API server accepts objects of 3 MiB; a review has one, and some more about who creates it.
const BODY_LIMIT: usize = 4 << 20;
/// How long open connections may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take for its handshake, and for the head of a request.
const SLOW: Duration = Duration::from_secs(10);

/// The bound listener.
pub(super) struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
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
    pub(super) async fn serve(
        self,
        admission: Arc<Admission>,
        events: Option<Arc<Events>>,
        shutdown: CancellationToken,
    ) {
        let Self {
            listener,
            tls,
            metrics,
        } = self;
        let router = Router::new()
            .route("/inject", post(inject))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(admission)
            .merge(events.map(events::router).unwrap_or_default());
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
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
                () = shutdown.cancelled() => break,
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
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
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
    uri: Uri,
    Json(review): Json<Review>,
) -> Json<Answer> {
    let answer = admission.answer(&review.request, patience(uri.query()));
    Json(answer.await)
}

/// How long an admission may wait: the API server says in the query how long it waits for us, as `timeout=5s`.
fn patience(query: Option<&str>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(3);
    const MARGIN: Duration = Duration::from_secs(2);
    let seconds = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| {
            pair.strip_prefix("timeout=")?
                .strip_suffix('s')?
                .parse()
                .ok()
        });
    seconds.map_or(LONGEST, |seconds| {
        Duration::from_secs(seconds)
            .saturating_sub(MARGIN)
            .min(LONGEST)
    })
}

#[cfg(test)]
mod tests;

//! A listener that serves over TLS, HTTP/1.1 and HTTP/2.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
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

use super::serving::Serving;

/// How long open connections may take to end after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a client may take for its handshake, and for the head of a request.
const SLOW: Duration = Duration::from_secs(10);

/// The bound listener.
pub(crate) struct Listener {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Listener {
    /// Takes the address. Handshakes fail until `serving` holds a certificate.
    ///
    /// # Errors
    /// If it is taken, or not ours.
    pub(crate) async fn bind(address: SocketAddr, serving: Arc<Serving>) -> io::Result<Self> {
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
        })
    }

    /// The address that was bound; tells the port when 0 was asked for.
    ///
    /// # Errors
    /// If the operating system does not know.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves `router` until `shutdown`, and then drains. `on_failure` hears of each client that does not get through the handshake.
    pub(crate) async fn serve(
        self,
        router: Router,
        on_failure: impl Fn() + Clone + Send + 'static,
        shutdown: CancellationToken,
    ) {
        let Self { listener, tls } = self;
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
                on_failure.clone(),
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
    watcher: Watcher,
    on_failure: impl Fn(),
) {
    // An answer is one small write: nothing is gained by holding it back.
    let stream = stream.set_nodelay(true).map(|()| stream);
    let handshake = async { tls.accept(stream?).await };
    let Ok(Ok(stream)) = timeout(SLOW, handshake).await else {
        on_failure();
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

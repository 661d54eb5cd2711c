//! Accepts the application's connections and serves HTTP/1.1 and HTTP/2 with prior knowledge on them.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{metrics::Metrics, proxy::Proxy};

pub(crate) mod framing;
mod gate;

pub(crate) use framing::HeadError;
use gate::{Gate, Protocol};

/// The most that hyper holds of what a connection reads, and of what it writes. Its reads grow to this while a long body comes; a head, which it
/// has to hold whole, is half of it at most.
const HTTP1_BUFFER: usize = 2 * framing::MAX_HEAD;

/// What all listeners share.
pub(crate) struct Server {
    proxy: Arc<Proxy>,
    metrics: Arc<Metrics>,
    permits: Arc<Semaphore>,
    head_timeout: Duration,
    /// Cancelled when no new work is taken any more.
    draining: CancellationToken,
    /// Cancelled when what is still open must close.
    aborting: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    /// A server of `proxy` with at most `max_connections` at a time, which must send the head of a request within `head_timeout` of its
    /// first byte.
    pub(crate) fn new(
        proxy: Arc<Proxy>,
        metrics: Arc<Metrics>,
        max_connections: usize,
        head_timeout: Duration,
    ) -> Self {
        Self {
            proxy,
            metrics,
            permits: Arc::new(Semaphore::new(max_connections)),
            head_timeout,
            draining: CancellationToken::new(),
            aborting: CancellationToken::new(),
            connections: TaskTracker::new(),
        }
    }

    /// Accepts connections until [`drain`](Self::drain).
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            // The permit comes first: beyond the limit, connections wait in the kernel's queue and not in our memory.
            let permit = tokio::select! {
                () = self.draining.cancelled() => return,
                permit = Arc::clone(&self.permits).acquire_owned() => permit.expect("the semaphore is never closed"),
            };
            let stream = tokio::select! {
                () = self.draining.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, or the peer is gone already: neither is a reason to stop, nor to spin.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let server = Arc::clone(&self);
            self.connections.spawn(async move {
                let _permit = permit;
                server.metrics.connections.inc();
                let ended = server
                    .aborting
                    .run_until_cancelled(server.serve(stream))
                    .await;
                server.metrics.connections.dec();
                if let Some(Err(error)) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
    }

    /// Takes no new work, lets what runs come to its end, and cuts off what is not there after `timeout`. Says whether nothing was cut off.
    pub(crate) async fn drain(&self, timeout: Duration) -> bool {
        self.draining.cancel();
        self.connections.close();
        if tokio::time::timeout(timeout, self.connections.wait())
            .await
            .is_ok()
        {
            return true;
        }
        self.aborting.cancel();
        self.connections.wait().await;
        false
    }

    async fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let opened = tokio::select! {
            () = self.draining.cancelled() => return Ok(()),
            opened = Gate::open(stream, self.head_timeout) => opened?,
        };
        let Some((gate, protocol)) = opened else {
            return Ok(());
        };
        match protocol {
            Protocol::Http1(heads) => {
                let service = service_fn(|request| {
                    let head = heads.next();
                    async move { Ok::<_, Infallible>(self.proxy.handle(head, request).await) }
                });
                // No half-close: a client that closes its side has gone, and its call must not go on to cost money.
                let connection = http1::Builder::new()
                    .max_buf_size(HTTP1_BUFFER)
                    .serve_connection(TokioIo::new(gate), service);
                tokio::pin!(connection);
                tokio::select! {
                    ended = connection.as_mut() => return ended.map_err(io::Error::other),
                    () = self.draining.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                connection.await.map_err(io::Error::other)
            }
            Protocol::Http2 => {
                let proxy = Arc::clone(&self.proxy);
                let service = service_fn(move |request| {
                    let proxy = Arc::clone(&proxy);
                    async move { Ok::<_, Infallible>(proxy.handle(Ok(()), request).await) }
                });
                let connection = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .max_header_list_size(framing::MAX_HEAD as u32)
                    // Bounds what a slow upstream makes us hold: this much a stream, and a connection.
                    .initial_stream_window_size(256 * 1024)
                    .initial_connection_window_size(1024 * 1024)
                    .max_concurrent_streams(256)
                    .serve_connection(TokioIo::new(gate), service);
                tokio::pin!(connection);
                tokio::select! {
                    ended = connection.as_mut() => return ended.map_err(io::Error::other),
                    () = self.draining.cancelled() => connection.as_mut().graceful_shutdown(),
                }
                connection.await.map_err(io::Error::other)
            }
        }
    }
}

/// Binds `address`; `None` where the host has no such address family.
///
/// # Errors
/// Any other reason not to listen there.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<Option<TcpListener>> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if address.is_ipv6() && is_without_ipv6(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

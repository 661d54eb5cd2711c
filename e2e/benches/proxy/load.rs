//! Callers that wait for each answer before they ask again, over connections that stay open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::fixture::Fixture;

/// How callers reach the provider.
pub(crate) struct Way {
    /// Where to connect to.
    pub(crate) address: SocketAddr,
    /// TLS and the name to verify; absent on the way through a proxy on loopback.
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Path of the request.
    pub(crate) path: Uri,
    /// The `Host` header.
    pub(crate) host: HeaderValue,
    /// The `Authorization` header.
    pub(crate) authorization: HeaderValue,
}

/// Open connections, each with its caller.
pub(crate) struct Load {
    callers: Vec<SendRequest<Full<Bytes>>>,
    /// The tasks that move the connections' bytes; dropping them closes the connections.
    _connections: JoinSet<()>,
    request: Request<Full<Bytes>>,
    fixture: Arc<Fixture>,
}

impl Load {
    /// Opens `connections`.
    pub(crate) async fn open(
        way: &Way,
        fixture: &Arc<Fixture>,
        connections: usize,
    ) -> Result<Self> {
        let mut tasks = JoinSet::new();
        let mut callers = Vec::with_capacity(connections);
        for _ in 0..connections {
            callers.push(connect(way, &mut tasks).await?);
        }
        let mut request = Request::new(Full::new(fixture.request.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = way.path.clone();
        *request.headers_mut() = fixture.request_headers.clone();
        request.headers_mut().insert(HOST, way.host.clone());
        request
            .headers_mut()
            .insert(AUTHORIZATION, way.authorization.clone());
        Ok(Self {
            callers,
            _connections: tasks,
            request,
            fixture: Arc::clone(fixture),
        })
    }

    /// Makes `count` calls, spread over all connections, and returns how long each took, from before its first byte is written until
    /// its answer was read and found to be the right one.
    pub(crate) async fn run(&mut self, count: usize) -> Result<Vec<Duration>> {
        let left = Arc::new(AtomicUsize::new(count));
        let share = count / self.callers.len();
        let mut tasks = JoinSet::new();
        for mut caller in self.callers.drain(..) {
            let (left, request, fixture) = (
                Arc::clone(&left),
                self.request.clone(),
                Arc::clone(&self.fixture),
            );
            tasks.spawn(async move {
                // Room for twice the fair share: growing it would be measured too.
                let mut times = Vec::with_capacity(share * 2);
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    times.push(call(&mut caller, request.clone(), &fixture).await?);
                }
                anyhow::Ok((caller, times))
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(done) = tasks.join_next().await {
            let (caller, times) = done.context("waiting for a caller")??;
            self.callers.push(caller);
            all.extend(times);
        }
        Ok(all)
    }

    /// Makes one call to `path` and returns its status, whatever it is.
    pub(crate) async fn probe(&mut self, path: Uri) -> Result<hyper::StatusCode> {
        let mut request = self.request.clone();
        *request.uri_mut() = path;
        let caller = self
            .callers
            .first_mut()
            .context("a probe needs a connection")?;
        let response = caller.send_request(request).await.context("probing")?;
        let status = response.status();
        response
            .into_body()
            .collect()
            .await
            .context("reading the probe's answer")?;
        Ok(status)
    }
}

async fn call(
    caller: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    fixture: &Fixture,
) -> Result<Duration> {
    let start = Instant::now();
    caller.ready().await.context("waiting for the connection")?;
    let response = caller.send_request(request).await.context("calling")?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .context("reading the answer")?
        .to_bytes();
    let time = start.elapsed();
    ensure!(
        status.is_success(),
        "the answer is {status}: {}",
        String::from_utf8_lossy(&body)
    );
    ensure!(
        body == fixture.response,
        "the answer's {} bytes are not the provider's",
        body.len()
    );
    Ok(time)
}

async fn connect(way: &Way, tasks: &mut JoinSet<()>) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(way.address)
        .await
        .with_context(|| format!("connecting to {}", way.address))?;
    stream.set_nodelay(true)?;
    match &way.tls {
        None => handshake(stream, tasks).await,
        Some((connector, name)) => {
            let stream = connector
                .connect(name.clone(), stream)
                .await
                .context("in the TLS handshake")?;
            handshake(stream, tasks).await
        }
    }
}

async fn handshake<S>(stream: S, tasks: &mut JoinSet<()>) -> Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (caller, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tasks.spawn(async move {
        // A connection that breaks makes the call on it fail, which reports it.
        let _ = connection.await;
    });
    Ok(caller)
}

//! The open connections to one host: which have room for a request, and how a request goes onto one.
//!
//! Not hyper-util's client: it keeps one HTTP/2 connection a host and queues when the host's limit of streams is reached, which long
//! answers of models do reach; and it hides which of its errors came before the first byte.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, Uri, Version, header, uri::PathAndQuery};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::task::TaskTracker;

use super::{Origin, dial::Stream};
use crate::body::RequestBody;

/// How often idle connections are looked through; one that was idle at [`MAX_IDLE_SWEEPS`] looks in a row is closed.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_secs(30);
/// 60 to 90 seconds: less than the time after which load balancers and address translators silently forget a connection.
const MAX_IDLE_SWEEPS: u8 = 3;
/// How many connections that turn out to be closed a request passes over before it is given up.
pub(super) const MAX_STALE: usize = 3;
/// Requests at a time on one HTTP/2 connection. Servers allow 100 at the least by recommendation (RFC 9113 section 6.5.2).
const MAX_STREAMS: usize = 100;

/// The open connections to one host.
pub(super) struct Pool {
    /// HTTP/1.1, the most recently used last. A connection stands here while its response is still being read; it is taken only when ready.
    h1: Mutex<Vec<H1>>,
    h2: Mutex<Vec<Arc<H2>>>,
    /// The host turned HTTP/2 down, so every request at a time needs a connection of its own.
    h1_only: AtomicBool,
    turns: Semaphore,
}

struct H1 {
    sender: http1::SendRequest<RequestBody>,
    idle_sweeps: u8,
}

struct H2 {
    sender: http2::SendRequest<RequestBody>,
    streams: AtomicUsize,
    idle_sweeps: AtomicUsize,
}

/// A connection with room for one request.
pub(super) enum Connection {
    H1(http1::SendRequest<RequestBody>),
    H2(http2::SendRequest<RequestBody>, Lease),
}

/// A request's place on an HTTP/2 connection, given back when dropped. An HTTP/1.1 connection needs none: it becomes ready by itself.
pub(crate) struct Lease(Option<Arc<H2>>);

/// A request on its way to an upstream, without anything that depends on the connection.
pub(crate) struct Outgoing {
    /// The method.
    pub(crate) method: Method,
    /// Path and query as the upstream will see them.
    pub(crate) target: PathAndQuery,
    /// The headers without `Host`.
    pub(crate) headers: http::HeaderMap,
    /// The caller said that it reads trailers.
    pub(crate) accepts_trailers: bool,
    /// The body.
    pub(crate) body: RequestBody,
}

/// Why a request was not answered.
pub(super) struct Failed {
    pub(super) error: hyper::Error,
    /// The request, if no byte of it was written.
    pub(super) unsent: Option<Outgoing>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            h1: Mutex::default(),
            h2: Mutex::default(),
            h1_only: AtomicBool::new(false),
            turns: Semaphore::new(1),
        }
    }
}

impl Pool {
    /// A connection that has room now.
    pub(super) fn take(&self) -> Option<Connection> {
        if !self.h1_only.load(Ordering::Relaxed)
            && let Some(connection) = self.take_h2()
        {
            return Some(connection);
        }
        let mut connections = self.h1.lock().expect("no panic while the lock is held");
        connections.retain(|connection| !connection.sender.is_closed());
        let ready = connections
            .iter()
            .rposition(|connection| connection.sender.is_ready())?;
        Some(Connection::H1(connections.remove(ready).sender))
    }

    fn take_h2(&self) -> Option<Connection> {
        let mut connections = self.h2.lock().expect("no panic while the lock is held");
        connections.retain(|connection| !connection.sender.is_closed());
        // The first with room, not the least busy, so that those at the end fall idle.
        let connection = connections
            .iter()
            .find(|connection| connection.streams.load(Ordering::Relaxed) < MAX_STREAMS)?;
        Some(connection.lease())
    }

    /// Waits for this request's turn to open a connection, where they are opened one by one.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if self.h1_only.load(Ordering::Relaxed) {
            return None;
        }
        let turn = self
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        (!self.h1_only.load(Ordering::Relaxed)).then_some(turn)
    }

    /// Makes a connection of `stream`; `tasks` drives it until it closes.
    pub(super) async fn handshake(
        &self,
        stream: Stream,
        tasks: &TaskTracker,
    ) -> Result<Connection, hyper::Error> {
        let is_h2 = stream.speaks_h2();
        self.h1_only.store(!is_h2, Ordering::Relaxed);
        let io = TokioIo::new(stream);
        if !is_h2 {
            let (sender, connection) = http1::Builder::new().handshake(io).await?;
            tasks.spawn(connection);
            return Ok(Connection::H1(sender));
        }
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            // A stream that waits for a model is quiet for minutes; the probe tells quiet from gone.
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20))
            // Bounds what a slow reader makes us hold: this much a stream.
            .initial_stream_window_size(512 * 1024)
            .initial_connection_window_size(2 * 1024 * 1024)
            .handshake(io)
            .await?;
        tasks.spawn(connection);
        let connection = Arc::new(H2 {
            sender,
            streams: AtomicUsize::new(0),
            idle_sweeps: AtomicUsize::new(0),
        });
        self.h2
            .lock()
            .expect("no panic while the lock is held")
            .push(Arc::clone(&connection));
        Ok(connection.lease())
    }

    fn give_back(&self, sender: http1::SendRequest<RequestBody>) {
        let mut connections = self.h1.lock().expect("no panic while the lock is held");
        connections.push(H1 {
            sender,
            idle_sweeps: 0,
        });
    }

    /// Closes what was idle for long.
    pub(super) fn sweep(&self) {
        let mut h1 = self.h1.lock().expect("no panic while the lock is held");
        h1.retain_mut(|connection| {
            connection.idle_sweeps = if connection.sender.is_ready() {
                connection.idle_sweeps + 1
            } else {
                0
            };
            !connection.sender.is_closed() && connection.idle_sweeps < MAX_IDLE_SWEEPS
        });
        drop(h1);
        let mut h2 = self.h2.lock().expect("no panic while the lock is held");
        h2.retain(|connection| {
            let idle = connection.streams.load(Ordering::Relaxed) == 0;
            let sweeps = if idle {
                connection.idle_sweeps.fetch_add(1, Ordering::Relaxed) + 1
            } else {
                0
            };
            !connection.sender.is_closed() && sweeps < usize::from(MAX_IDLE_SWEEPS)
        });
    }
}

impl H2 {
    fn lease(self: &Arc<Self>) -> Connection {
        self.streams.fetch_add(1, Ordering::Relaxed);
        self.idle_sweeps.store(0, Ordering::Relaxed);
        Connection::H2(self.sender.clone(), Lease(Some(Arc::clone(self))))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Connection {
    /// Sends `request` and waits for the head of its response.
    pub(super) async fn send(
        self,
        origin: &Origin,
        request: Outgoing,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let accepts_trailers = request.accepts_trailers;
        match self {
            Self::H1(mut sender) => match sender.try_send_request(request.for_h1(origin)).await {
                Ok(response) => {
                    origin.pool.give_back(sender);
                    Ok((response, Lease(None)))
                }
                Err(error) => Err(Failed::new(error, accepts_trailers)),
            },
            Self::H2(mut sender, lease) => {
                match sender.try_send_request(request.for_h2(origin)).await {
                    Ok(response) => Ok((response, lease)),
                    Err(error) => Err(Failed::new(error, accepts_trailers)),
                }
            }
        }
    }
}

impl Failed {
    fn new(
        mut failed: hyper::client::conn::TrySendError<Request<RequestBody>>,
        accepts_trailers: bool,
    ) -> Self {
        let unsent = failed
            .take_message()
            .map(|request| Outgoing::from_request(request, accepts_trailers));
        Self {
            error: failed.into_error(),
            unsent,
        }
    }
}

impl Outgoing {
    /// Origin form with `Host`, for HTTP/1.1.
    fn for_h1(mut self, origin: &Origin) -> Request<RequestBody> {
        let host = HeaderValue::from_str(origin.authority.as_str())
            .expect("an authority is printable ASCII");
        self.headers.insert(header::HOST, host);
        // hyper takes a GET with a body of unknown length for one without a body unless told otherwise.
        if !self.body.is_end_stream() && self.body.size_hint().exact().is_none() {
            self.headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::from(self.target);
        *request.headers_mut() = self.headers;
        request
    }

    /// Absolute target, from which hyper writes `:scheme` and `:authority`, for HTTP/2.
    fn for_h2(mut self, origin: &Origin) -> Request<RequestBody> {
        // RFC 9113 section 8.2.2: the one value of TE that may stand in HTTP/2. gRPC servers insist on it.
        if self.accepts_trailers {
            self.headers
                .insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let mut target = http::uri::Parts::default();
        target.scheme = Some(origin.scheme.clone());
        target.authority = Some(origin.authority.clone());
        target.path_and_query = Some(self.target);
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() =
            Uri::from_parts(target).expect("scheme, authority and path are all there");
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers;
        request
    }

    /// Back from a connection that did not take it.
    fn from_request(request: Request<RequestBody>, accepts_trailers: bool) -> Self {
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        for name in [header::HOST, header::TRANSFER_ENCODING, header::TE] {
            headers.remove(name);
        }
        Self {
            method: parts.method,
            target: parts
                .uri
                .into_parts()
                .path_and_query
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
            headers,
            accepts_trailers,
            body,
        }
    }
}

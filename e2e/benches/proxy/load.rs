//! Callers over connections that stay open: each waits for its answer before it asks again, at once or when the next call is due.

mod answer;
mod caller;
mod pace;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, HOST};
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::fixture::{Fidelity, Fixture, Kind, REQUEST_HEADERS};
use caller::Caller;
use pace::Pace;

/// How callers reach the provider.
pub(crate) struct Way {
    /// Where to connect to.
    pub(crate) address: SocketAddr,
    /// TLS and the name to verify; absent on the way through a proxy on loopback.
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// What stands before the provider's own paths.
    pub(crate) prefix: String,
    /// The `Host` header.
    pub(crate) host: String,
    /// The secret in the `Authorization` header.
    pub(crate) secret: String,
    /// Headers that only this way needs, or has with another value.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// How much of an answer arrives as it was.
    pub(crate) fidelity: Fidelity,
}

/// What the callers of one run saw.
#[derive(Default)]
pub(crate) struct Times {
    /// Each call.
    pub(crate) calls: Vec<Timing>,
    /// From one read of a body to the next, of all calls: what a person waits between two words.
    pub(crate) gaps: Vec<Duration>,
}

/// How long one call took, from when its time counts.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// Until the first byte of the answer's body was read.
    pub(crate) first: Duration,
    /// Until the last was.
    pub(crate) whole: Duration,
}

/// Open connections, each with its caller.
pub(crate) struct Load {
    callers: Vec<Caller>,
    request: Arc<Vec<u8>>,
    fixture: Arc<Fixture>,
    kind: Kind,
    fidelity: Fidelity,
}

impl Way {
    /// The request for a provider's `path`, as it stands on the connection.
    fn request(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let mut text = format!(
            "POST {}{path} HTTP/1.1\r\n{HOST}: {}\r\nauthorization: Bearer {}\r\n{CONTENT_LENGTH}: {}\r\n",
            self.prefix,
            self.host,
            self.secret,
            body.len()
        );
        let own = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let common = REQUEST_HEADERS
            .iter()
            .copied()
            .filter(|(name, _)| self.headers.iter().all(|(own, _)| own != name));
        for (name, value) in common.chain(own) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.as_bytes(), body].concat()
    }

    /// Makes one call over a connection of its own and returns status and body of its answer, whatever they are.
    pub(crate) async fn ask(&self, path: &str, body: &[u8]) -> Result<(u16, Bytes)> {
        let mut caller = Caller::connect(self).await?;
        let reply = caller
            .call(&self.request(path, body), Instant::now())
            .await?;
        Ok((reply.status, Bytes::copy_from_slice(reply.body)))
    }
}

impl Load {
    /// Opens `connections` for calls to `path` that are answered by `kind`.
    pub(crate) async fn open(
        way: &Way,
        path: &str,
        fixture: &Arc<Fixture>,
        kind: Kind,
        connections: usize,
    ) -> Result<Self> {
        let mut callers = Vec::with_capacity(connections);
        for _ in 0..connections {
            callers.push(Caller::connect(way).await?);
        }
        Ok(Self {
            callers,
            request: Arc::new(way.request(path, &fixture.call(kind).request)),
            fixture: Arc::clone(fixture),
            kind,
            fidelity: way.fidelity,
        })
    }

    /// Makes `count` calls, or as many as are begun within `limit`, spread over all connections, `rate` a second if it is given. Fails on any
    /// answer but the right one.
    pub(crate) async fn run(
        &mut self,
        count: usize,
        limit: Duration,
        rate: Option<u32>,
    ) -> Result<Times> {
        // Room for twice the fair share: growing it would be measured too.
        let room = count / self.callers.len() * 2;
        let apart = match (self.kind, rate) {
            // Streams that all begin together would have their events together too.
            (Kind::Sse, None) => self.fixture.call(self.kind).lasts() / self.callers.len() as u32,
            _ => Duration::ZERO,
        };
        let (kind, fidelity) = (self.kind, self.fidelity);
        let pace = Arc::new(Pace::new(count, limit, rate));
        let mut tasks = JoinSet::new();
        for (number, mut caller) in self.callers.drain(..).enumerate() {
            let (pace, request, fixture) = (
                Arc::clone(&pace),
                Arc::clone(&self.request),
                Arc::clone(&self.fixture),
            );
            tasks.spawn(async move {
                let mut times = Times {
                    calls: Vec::with_capacity(room),
                    gaps: Vec::new(),
                };
                tokio::time::sleep(apart * number as u32).await;
                while let Some(start) = pace.next().await {
                    let reply = caller.call(&request, start).await?;
                    times.calls.push(reply.timing);
                    if kind == Kind::Sse {
                        times.gaps.extend(reply.gaps);
                    }
                    ensure!(
                        reply.status == 200,
                        "the answer is {}: {}",
                        reply.status,
                        String::from_utf8_lossy(reply.body)
                    );
                    fixture.call(kind).check(reply.body, false, fidelity)?;
                }
                anyhow::Ok((caller, times))
            });
        }
        let mut all = Times::default();
        while let Some(done) = tasks.join_next().await {
            let (caller, times) = done.context("waiting for a caller")??;
            self.callers.push(caller);
            all.calls.extend(times.calls);
            all.gaps.extend(times.gaps);
        }
        Ok(all)
    }
}

//! Callers that wait for each answer before they ask again, over connections that stay open.
//!
//! They write HTTP/1.1 by hand: load and upstream share a core, so what a caller spends lowers the rate at which a proxy can be asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hyper::header::{CONTENT_LENGTH, HOST};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::fixture::Fixture;

/// Room for an answer's head and body.
const ANSWER: usize = 16 * 1024;
/// The most headers that an answer may have.
const HEADERS: usize = 64;

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
}

/// Open connections, each with its caller.
pub(crate) struct Load {
    callers: Vec<Caller>,
    request: Arc<Vec<u8>>,
    fixture: Arc<Fixture>,
}

impl Way {
    /// The request for a provider's `path`, as it stands on the connection.
    fn request(&self, path: &str, fixture: &Fixture) -> Vec<u8> {
        let mut text = format!(
            "POST {}{path} HTTP/1.1\r\n{HOST}: {}\r\nauthorization: Bearer {}\r\n{CONTENT_LENGTH}: {}\r\n",
            self.prefix,
            self.host,
            self.secret,
            fixture.request.len()
        );
        for (name, value) in fixture.request_headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &fixture.request].concat()
    }
}

impl Load {
    /// Opens `connections` for calls to `path`.
    pub(crate) async fn open(
        way: &Way,
        path: &str,
        fixture: &Arc<Fixture>,
        connections: usize,
    ) -> Result<Self> {
        let mut callers = Vec::with_capacity(connections);
        for _ in 0..connections {
            callers.push(Caller::connect(way).await?);
        }
        Ok(Self {
            callers,
            request: Arc::new(way.request(path, fixture)),
            fixture: Arc::clone(fixture),
        })
    }

    /// Makes `count` calls, spread over all connections, and returns how long each took, from before its first byte is written until
    /// the last of its answer was read. Fails on any answer but the right one.
    pub(crate) async fn run(&mut self, count: usize) -> Result<Vec<Duration>> {
        let left = Arc::new(AtomicUsize::new(count));
        let share = count / self.callers.len();
        let mut tasks = JoinSet::new();
        for mut caller in self.callers.drain(..) {
            let (left, request, fixture) = (
                Arc::clone(&left),
                Arc::clone(&self.request),
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
                    let start = Instant::now();
                    let answer = caller.call(&request).await?;
                    times.push(start.elapsed());
                    ensure!(
                        answer.status == 200,
                        "the answer is {}: {}",
                        answer.status,
                        String::from_utf8_lossy(answer.body)
                    );
                    ensure!(
                        answer.body == fixture.response,
                        "the answer's {} bytes are not the provider's",
                        answer.body.len()
                    );
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

    /// Makes one call and returns its answer's status, whatever it is.
    pub(crate) async fn probe(&mut self) -> Result<u16> {
        let caller = self
            .callers
            .first_mut()
            .context("a probe needs a connection")?;
        Ok(caller.call(&self.request).await?.status)
    }
}

/// One connection.
struct Caller {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Answer<'a> {
    status: u16,
    body: &'a [u8],
}

impl Caller {
    async fn connect(way: &Way) -> Result<Self> {
        let stream = TcpStream::connect(way.address)
            .await
            .with_context(|| format!("connecting to {}", way.address))?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &way.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(
                connector
                    .connect(name.clone(), stream)
                    .await
                    .context("in the TLS handshake")?,
            ),
        };
        Ok(Self {
            stream,
            buffer: vec![0; ANSWER],
        })
    }

    async fn call(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await.context("calling")?;
        self.stream.flush().await.context("calling")?;
        let mut filled = 0;
        let (status, start, end) = loop {
            let read = self
                .stream
                .read(&mut self.buffer[filled..])
                .await
                .context("reading the answer")?;
            ensure!(
                read > 0,
                "the connection ended within an answer of {filled} bytes or more"
            );
            filled += read;
            if let Some((status, head, length)) = parse_head(&self.buffer[..filled])? {
                ensure!(
                    head + length <= self.buffer.len(),
                    "an answer of {length} bytes is too long"
                );
                if filled >= head + length {
                    break (status, head, filled);
                }
            }
        };
        Ok(Answer {
            status,
            body: &self.buffer[start..end],
        })
    }
}

/// Status, length of the head and length of the body; `None` while the head is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) =
        response.parse(bytes).context("reading an answer's head")?
    else {
        return Ok(None);
    };
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()));
    let Some(length) = length else {
        // The provider says how long its answer is; so must who passes it on.
        bail!("an answer without a length")
    };
    let length = std::str::from_utf8(length.value)?
        .parse()
        .context("an answer's length")?;
    Ok(Some((response.code.unwrap_or_default(), head, length)))
}

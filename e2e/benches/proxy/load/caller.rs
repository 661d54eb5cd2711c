//! One connection, and one call after the other on it.
//!
//! HTTP/1.1 is written by hand: load and upstream share a core, so what a caller spends lowers the rate at which a proxy can be asked.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::Reader;
use super::{Timing, Way};

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// One connection.
pub(super) struct Caller {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    reader: Reader,
    gaps: Vec<Duration>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An answer that was read to its end.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    pub(super) timing: Timing,
    /// Between the reads that brought its body.
    pub(super) gaps: &'a [Duration],
}

impl Caller {
    pub(super) async fn connect(way: &Way) -> Result<Self> {
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
            buffer: vec![0; READ],
            reader: Reader::default(),
            gaps: Vec::new(),
        })
    }

    /// Sends `request` and reads its answer. Time counts from `start`.
    pub(super) async fn call(&mut self, request: &[u8], start: Instant) -> Result<Reply<'_>> {
        self.stream.write_all(request).await.context("calling")?;
        self.stream.flush().await.context("calling")?;
        self.reader.clear();
        self.gaps.clear();
        let (mut first, mut last, mut had) = (None, start, 0);
        loop {
            let read = self
                .stream
                .read(&mut self.buffer)
                .await
                .context("reading the answer")?;
            ensure!(
                read > 0,
                "the connection ended within an answer: {}",
                String::from_utf8_lossy(self.reader.body())
            );
            let is_whole = self.reader.push(&self.buffer[..read])?;
            let has = self.reader.body().len();
            if has > had {
                let now = Instant::now();
                match first {
                    None => first = Some(now - start),
                    Some(_) => self.gaps.push(now - last),
                }
                (last, had) = (now, has);
            }
            if is_whole {
                break;
            }
        }
        let whole = start.elapsed();
        Ok(Reply {
            status: self.reader.status(),
            body: self.reader.body(),
            timing: Timing {
                first: first.unwrap_or(whole),
                whole,
            },
            gaps: &self.gaps,
        })
    }
}

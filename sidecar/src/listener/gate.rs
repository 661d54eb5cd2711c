//! Stands between the socket and hyper and lets only heads through that can be read in one way.
//!
//! hyper answers a broken head by itself, without reason or id, and silently drops a `Content-Length` beside a `Transfer-Encoding`. Here such
//! a head never reaches it: an empty request goes in its stead, together with the verdict, and takes the normal way to an answer of ours.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

use super::framing::{Framing, HeadError, Step};

/// How HTTP/2 with prior knowledge begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What hyper reads in a refused head's stead.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
/// Read from the socket at a time, where what is read has to be looked at.
const READ: usize = 8 * 1024;
/// How long and how much is still read after an answer that ends the connection, so that the caller can read it before a reset.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// A connection of the application.
pub(super) struct Gate {
    stream: TcpStream,
    /// What was read and not yet handed on.
    read: BytesMut,
    /// So many bytes of `read` may be handed on.
    cleared: usize,
    mode: Mode,
    heads: Heads,
    head_timeout: Duration,
    /// Runs while a part of a head is there. A head that arrives whole, as nearly all do, never arms it.
    deadline: Option<Pin<Box<Sleep>>>,
    lingered: usize,
}

enum Mode {
    Http1(Framing),
    /// HTTP/2 has one way only to say where things end.
    Http2,
    /// A head was refused; nothing more is read.
    Refused,
}

/// What the connection speaks.
pub(super) enum Protocol {
    /// HTTP/1, with a verdict a head.
    Http1(Heads),
    /// HTTP/2.
    Http2,
}

/// The verdicts on the heads of one connection, in their order.
#[derive(Clone, Default)]
pub(super) struct Heads(Arc<Mutex<VecDeque<Result<(), HeadError>>>>);

impl Heads {
    /// The verdict on the head that hyper just read. None left means that it read one which never was let through.
    pub(super) fn next(&self) -> Result<(), HeadError> {
        let mut verdicts = self.0.lock().expect("no panic while the lock is held");
        verdicts.pop_front().unwrap_or(Err(HeadError::Malformed))
    }

    fn push(&self, verdict: Result<(), HeadError>) {
        self.0
            .lock()
            .expect("no panic while the lock is held")
            .push_back(verdict);
    }
}

impl Gate {
    /// Waits for the first bytes and tells by them what the connection speaks; `None` when it closes without any.
    ///
    /// # Errors
    /// What reading meets.
    pub(super) async fn open(
        mut stream: TcpStream,
        head_timeout: Duration,
    ) -> io::Result<Option<(Self, Protocol)>> {
        let mut read = BytesMut::with_capacity(READ);
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
        let preface = async {
            while read.len() < PREFACE.len() && PREFACE.starts_with(&read) {
                if stream.read_buf(&mut read).await? == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        };
        // What is cut short here is no preface, and so a head that will be found too slow in its turn.
        if let Ok(read) = tokio::time::timeout(head_timeout, preface).await {
            read?;
        }
        let is_h2 = read.starts_with(PREFACE);
        let heads = Heads::default();
        let mut gate = Self {
            stream,
            cleared: if is_h2 { read.len() } else { 0 },
            read,
            mode: if is_h2 {
                Mode::Http2
            } else {
                Mode::Http1(Framing::new())
            },
            heads: heads.clone(),
            head_timeout,
            deadline: None,
            lingered: 0,
        };
        gate.advance()?;
        Ok(Some((
            gate,
            if is_h2 {
                Protocol::Http2
            } else {
                Protocol::Http1(heads)
            },
        )))
    }

    /// Clears as much of what was read as can be.
    fn advance(&mut self) -> io::Result<()> {
        while let Mode::Http1(framing) = &mut self.mode {
            match framing.step(&self.read[self.cleared..]) {
                Step::Pass(length) => self.cleared += length,
                Step::Head(length) => {
                    self.cleared += length;
                    self.deadline = None;
                    self.heads.push(Ok(()));
                }
                // Only before a head, when all before it was handed on or will be: cutting them out there needs a copy, which is rare.
                Step::Skip(length) => {
                    let tail = self.read.split_off(self.cleared + length);
                    self.read.truncate(self.cleared);
                    self.read.unsplit(tail);
                }
                Step::Wait => break,
                Step::Refuse(error) => self.refuse(error),
                Step::Broken => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the body of a request is malformed",
                    ));
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, error: HeadError) {
        self.read.truncate(self.cleared);
        self.read.extend_from_slice(STAND_IN);
        self.cleared = self.read.len();
        self.deadline = None;
        self.heads.push(Err(error));
        self.mode = Mode::Refused;
    }

    /// Whether a head has begun and is not there yet.
    fn is_amid_head(&self) -> bool {
        matches!(&self.mode, Mode::Http1(framing) if framing.is_in_head())
            && self.read.len() > self.cleared
    }

    /// Whether the caller may still be sending what nobody will read: a head that was refused, or the body of a request that was answered
    /// before it was there.
    fn is_cut_short(&self) -> bool {
        match &self.mode {
            Mode::Http1(framing) => !framing.is_in_head() || !self.read.is_empty(),
            Mode::Http2 => false,
            Mode::Refused => true,
        }
    }

    fn hand_on(&mut self, out: &mut ReadBuf<'_>) {
        let length = self.cleared.min(out.remaining());
        out.put_slice(&self.read[..length]);
        self.read.advance(length);
        self.cleared -= length;
    }

    /// Reads what is sure to be a body's to where it is wanted, as much as there is room for: prompts are long.
    fn poll_body(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Mode::Http1(framing) = &mut self.mode else {
            return Poll::Ready(Ok(()));
        };
        let most = usize::try_from(framing.plain()).unwrap_or(usize::MAX);
        let mut body = out.limit(most);
        let mut reading = std::pin::pin!(self.stream.read_buf(&mut body));
        let length = ready!(reading.as_mut().poll(cx))?;
        framing.passed(length as u64);
        Poll::Ready(Ok(()))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_amid_head() {
            return Poll::Pending;
        }
        let timeout = self.head_timeout;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        deadline.as_mut().poll(cx)
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.cleared > 0 {
                this.hand_on(out);
                return Poll::Ready(Ok(()));
            }
            match &this.mode {
                Mode::Http2 => return Pin::new(&mut this.stream).poll_read(cx, out),
                // The answer closes the connection; an end here would make hyper give the request up before.
                Mode::Refused => return Poll::Pending,
                Mode::Http1(framing) if this.read.is_empty() && framing.plain() >= READ as u64 => {
                    return this.poll_body(cx, out);
                }
                Mode::Http1(_) => {}
            }
            this.read.reserve(READ);
            let length = {
                let mut read = std::pin::pin!(this.stream.read_buf(&mut this.read));
                read.as_mut().poll(cx)
            };
            match length {
                Poll::Ready(length) => match length? {
                    0 => return Poll::Ready(Ok(())),
                    _ => this.advance()?,
                },
                Poll::Pending => {
                    ready!(this.poll_deadline(cx));
                    this.refuse(HeadError::Slow);
                }
            }
        }
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        if !this.is_cut_short() {
            return Poll::Ready(Ok(()));
        }
        // Bytes that nobody read make the kernel reset the connection, and the caller would lose an answer that came before it had sent all.
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        let mut scratch = [0; READ];
        while this.lingered < LINGER_BYTES && deadline.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            this.lingered += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

//! Reads one answer of HTTP/1.1 as its bytes come: its length is given, or it comes in chunks (RFC 9112, section 7.1).

use anyhow::{Context, Result, bail, ensure};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// The most headers that an answer may have.
const HEADERS: usize = 64;
/// The longest body that is kept.
const BODY: usize = 1024 * 1024;

/// Reads one answer after the other.
#[derive(Default)]
pub(super) struct Reader {
    state: State,
    status: u16,
    /// What came and was not understood yet: a part of the head, or of a line between chunks.
    pending: Vec<u8>,
    body: Vec<u8>,
}

/// What comes next.
#[derive(Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of a body whose length is given.
    Rest(usize),
    /// A line with the size of a chunk.
    Size,
    /// So many bytes of a chunk.
    Chunk(usize),
    /// The line end of a chunk; whether it was the last.
    ChunkEnd(bool),
    Nothing,
}

impl Reader {
    /// Forgets the answer and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.state = State::Head;
        self.pending.clear();
        self.body.clear();
    }

    /// Status of the answer whose head was read.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// As much of the body as came.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes `bytes` and returns whether the answer is whole.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<bool> {
        loop {
            match self.state {
                State::Head => {
                    self.pending.extend_from_slice(bytes);
                    let Some((status, state, head)) = parse_head(&self.pending)? else {
                        return Ok(false);
                    };
                    let before = self.pending.len() - bytes.len();
                    // The head was not complete before these bytes: it ends within them.
                    bytes = bytes.get(head.saturating_sub(before)..).unwrap_or_default();
                    self.pending.clear();
                    (self.status, self.state) = (status, state);
                }
                State::Rest(left) => {
                    let left = left - self.take(left, &mut bytes)?;
                    if left > 0 {
                        self.state = State::Rest(left);
                        return Ok(false);
                    }
                    self.state = State::Nothing;
                }
                State::Size => {
                    let Some(line) = self.line(&mut bytes) else {
                        return Ok(false);
                    };
                    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
                    let size = usize::from_str_radix(std::str::from_utf8(digits)?.trim(), 16)
                        .context("a chunk's size")?;
                    self.state = match size {
                        0 => State::ChunkEnd(true),
                        size => State::Chunk(size),
                    };
                }
                State::Chunk(left) => {
                    let left = left - self.take(left, &mut bytes)?;
                    if left > 0 {
                        self.state = State::Chunk(left);
                        return Ok(false);
                    }
                    self.state = State::ChunkEnd(false);
                }
                State::ChunkEnd(is_last) => {
                    let Some(line) = self.line(&mut bytes) else {
                        return Ok(false);
                    };
                    ensure!(line.is_empty(), "more than a chunk's size, or a trailer");
                    self.state = if is_last { State::Nothing } else { State::Size };
                }
                State::Nothing => {
                    ensure!(bytes.is_empty(), "{} bytes after an answer", bytes.len());
                    return Ok(true);
                }
            }
        }
    }

    /// Moves at most `most` bytes to the body, and returns how many.
    fn take(&mut self, most: usize, bytes: &mut &[u8]) -> Result<usize> {
        let (taken, rest) = bytes.split_at(most.min(bytes.len()));
        self.body.extend_from_slice(taken);
        ensure!(self.body.len() <= BODY, "a body of more than {BODY} bytes");
        *bytes = rest;
        Ok(taken.len())
    }

    /// The next line without its end, once it is whole.
    fn line(&mut self, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.pending.extend_from_slice(bytes);
            *bytes = &[];
            return None;
        };
        self.pending.extend_from_slice(&bytes[..end]);
        *bytes = &bytes[end + 1..];
        let mut line = std::mem::take(&mut self.pending);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(line)
    }
}

/// Status, what comes next, and length of the head; `None` while the head is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, State, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) =
        response.parse(bytes).context("reading an answer's head")?
    else {
        return Ok(None);
    };
    let value = |name: &str| {
        let found = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value)
    };
    let state = match (
        value(CONTENT_LENGTH.as_str()),
        value(TRANSFER_ENCODING.as_str()),
    ) {
        (Some(length), None) => {
            let length = std::str::from_utf8(length)?.parse();
            State::Rest(length.context("an answer's length")?)
        }
        (None, Some(b"chunked")) => State::Size,
        _ => bail!("an answer that does not say how it ends"),
    };
    Ok(Some((response.code.unwrap_or_default(), state, head)))
}

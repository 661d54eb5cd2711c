//! Reads where an HTTP/1 message begins and ends, more strictly than a server has to, so that no two readers could disagree about it.

use http::{Method, StatusCode, Uri};

/// The longest head: request line and headers.
pub(crate) const MAX_HEAD: usize = 64 * 1024;
/// The most headers in a head.
const MAX_HEADERS: usize = 100;
/// The longest line with a chunk's size, extensions included.
const MAX_CHUNK_LINE: usize = 256;
/// The longest trailer section.
const MAX_TRAILERS: usize = 16 * 1024;

/// Why the head of a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// Longer than [`MAX_HEAD`], or more than [`MAX_HEADERS`] headers.
    #[error("its head is larger than 64 KiB or has more than 100 headers")]
    TooLarge,
    /// Not HTTP/1.
    #[error("it is not valid HTTP/1.1")]
    Malformed,
    /// Its length can be read in two ways (RFC 9112 section 6.3).
    #[error("Content-Length and Transfer-Encoding are doubled, conflicting or not understood")]
    Framing,
    /// It did not arrive in time.
    #[error("its head did not arrive in time")]
    Slow,
}

impl HeadError {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Malformed | Self::Framing => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// The reason in header, metric and log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "head_too_large",
            Self::Malformed => "head_malformed",
            Self::Framing => "framing_invalid",
            Self::Slow => "head_too_slow",
        }
    }
}

/// What the bytes before the current one belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Body(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers(usize),
}

/// Follows one direction of a connection.
#[derive(Debug)]
pub(crate) struct Framing {
    state: State,
}

/// What to do with the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first so many are part of a message that was begun.
    Pass(usize),
    /// The first so many are a whole head.
    Head(usize),
    /// The first so many are nothing: empty lines before a head (RFC 9112 section 2.2).
    Skip(usize),
    /// There are not enough yet.
    Wait,
    /// They are a head that is refused.
    Refuse(HeadError),
    /// They are a body that breaks off or makes no sense; the request that it belongs to is under way.
    Broken,
}

impl Framing {
    /// At the beginning of a connection.
    pub(crate) fn new() -> Self {
        Self { state: State::Head }
    }

    /// Whether the next byte belongs to a head.
    pub(super) fn is_in_head(&self) -> bool {
        self.state == State::Head
    }

    /// How many bytes come that are a body's and nothing else, so that nobody has to look at them.
    pub(super) fn plain(&self) -> u64 {
        match self.state {
            State::Body(left) | State::Chunk(left) => left,
            State::Head | State::ChunkSize | State::ChunkEnd | State::Trailers(_) => 0,
        }
    }

    /// Says that `length` bytes went by, of those that are [`plain`](Self::plain) and no more.
    pub(super) fn passed(&mut self, length: u64) {
        let left = self.plain().saturating_sub(length);
        self.state = match (self.state, left) {
            (State::Body(_), left) => State::after_body(left),
            (State::Chunk(_), 0) => State::ChunkEnd,
            (State::Chunk(_), left) => State::Chunk(left),
            (other, _) => other,
        };
    }

    /// Looks at `bytes`, which begin where the last step ended.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
        if bytes.is_empty() {
            return Step::Wait;
        }
        match self.state {
            State::Head => self.head(bytes),
            State::Body(left) | State::Chunk(left) => {
                let length = take(left, bytes);
                self.passed(length as u64);
                Step::Pass(length)
            }
            State::ChunkSize => match line(bytes, MAX_CHUNK_LINE) {
                Ok(Some(line)) => match chunk_size(line) {
                    Some(0) => self.pass(line.len() + 2, State::Trailers(0)),
                    Some(size) => self.pass(line.len() + 2, State::Chunk(size)),
                    None => Step::Broken,
                },
                Ok(None) => Step::Wait,
                Err(()) => Step::Broken,
            },
            State::ChunkEnd => match bytes {
                [b'\r', b'\n', ..] => self.pass(2, State::ChunkSize),
                [b'\r'] => Step::Wait,
                _ => Step::Broken,
            },
            State::Trailers(read) => match line(bytes, MAX_TRAILERS - read) {
                Ok(Some([])) => self.pass(2, State::Head),
                Ok(Some(line)) => self.pass(
                    line.len() + 2,
                    State::Trailers((read + line.len() + 2).min(MAX_TRAILERS)),
                ),
                Ok(None) => Step::Wait,
                Err(()) => Step::Broken,
            },
        }
    }

    fn pass(&mut self, length: usize, next: State) -> Step {
        self.state = next;
        Step::Pass(length)
    }

    fn head(&mut self, bytes: &[u8]) -> Step {
        match bytes {
            [b'\r'] => return Step::Wait,
            [b'\r', b'\n', ..] => return Step::Skip(2),
            _ => {}
        }
        let Some(length) = end_of_head(bytes) else {
            return if bytes.len() > MAX_HEAD {
                Step::Refuse(HeadError::TooLarge)
            } else {
                Step::Wait
            };
        };
        if length > MAX_HEAD {
            return Step::Refuse(HeadError::TooLarge);
        }
        match body_of(&bytes[..length]) {
            Ok(next) => {
                self.state = next;
                Step::Head(length)
            }
            Err(error) => Step::Refuse(error),
        }
    }
}

impl State {
    fn after_body(left: u64) -> Self {
        if left == 0 {
            Self::Head
        } else {
            Self::Body(left)
        }
    }
}

/// How many of `bytes` belong to the `left` bytes that are awaited.
fn take(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

/// The length of the head that `bytes` begin with: up to and with its empty line. A bare LF ends it too, only to be refused then.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        if matches!(&bytes[line_start..at], b"" | b"\r") {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

/// The first line of `bytes` without its CRLF; `Err` when it is longer than `limit` or not ended by CRLF.
fn line(bytes: &[u8], limit: usize) -> Result<Option<&[u8]>, ()> {
    match bytes.iter().take(limit).position(|byte| *byte == b'\n') {
        Some(end) => match bytes[..end].strip_suffix(b"\r") {
            Some(line) if !line.contains(&b'\r') => Ok(Some(line)),
            _ => Err(()),
        },
        None if bytes.len() >= limit => Err(()),
        None => Ok(None),
    }
}

/// The size in a chunk's first line; its extensions are allowed and mean nothing (RFC 9112 section 7.1.1).
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, rest) = line.split_at(digits);
    if digits.is_empty() || digits.len() > 15 || !(rest.is_empty() || rest[0] == b';') {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What follows `head`.
fn body_of(head: &[u8]) -> Result<State, HeadError> {
    let is_bare = |at: usize| match head[at] {
        b'\n' => at == 0 || head[at - 1] != b'\r',
        _ => head.get(at + 1) != Some(&b'\n'),
    };
    if memchr::memchr2_iter(b'\r', b'\n', head).any(is_bare) {
        return Err(HeadError::Malformed);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Ok(_) | Err(_) => return Err(HeadError::Malformed),
    }
    let target = request.path.ok_or(HeadError::Malformed)?;
    let method = request.method.ok_or(HeadError::Malformed)?;
    if Method::from_bytes(method.as_bytes()).is_err() || Uri::try_from(target).is_err() {
        return Err(HeadError::Malformed);
    }
    let mut length = None;
    let mut chunked = false;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = std::str::from_utf8(header.value)
                .ok()
                .filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
            let value: u64 = digits
                .and_then(|digits| digits.parse().ok())
                .ok_or(HeadError::Framing)?;
            if length.replace(value).is_some() {
                return Err(HeadError::Framing);
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            let is_first = !std::mem::replace(&mut chunked, true);
            if !is_first
                || !header.value.eq_ignore_ascii_case(b"chunked")
                || request.version != Some(1)
            {
                return Err(HeadError::Framing);
            }
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(HeadError::Framing),
        (Some(length), false) => Ok(State::after_body(length)),
        (None, true) => Ok(State::ChunkSize),
        (None, false) => Ok(State::Head),
    }
}

#[cfg(test)]
mod tests;

//! Event streams of AWS: messages with a prelude, headers, a payload and two checksums
//! (<https://smithy.io/2.0/aws/amazon-eventstream.html>).

use std::ops::Range;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use memchr::{memchr, memmem};

/// Lengths of the whole message and of its headers, and the checksum of the two.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TRAILER: usize = 4;
/// The longest message that is kept. The format allows 24 MiB; Bedrock's have a few hundred bytes.
const MAX_MESSAGE: usize = 1024 * 1024;

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The beginning of a message whose end was not seen yet.
    held: Vec<u8>,
    is_lost: bool,
}

/// One message with right checksums.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    headers: &'a [u8],
    /// Its content; JSON, at Bedrock.
    pub(crate) payload: &'a [u8],
}

impl Messages {
    /// Calls `each` for every whole message, with the bytes that it was made of.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&Message<'_>, &[u8])) {
        while !self.is_lost {
            // Whole messages are read where they stand; only what is cut is copied.
            let whole = if self.held.is_empty() {
                bytes
            } else {
                &self.held[..]
            };
            let needed = match length(whole) {
                Ok(Some(length)) => length,
                Ok(None) => PRELUDE,
                Err(NotAMessage) => {
                    self.lose();
                    return;
                }
            };
            if self.held.is_empty() && needed <= bytes.len() {
                let (message, rest) = bytes.split_at(needed);
                bytes = rest;
                self.read(message, &mut each);
            } else if needed > self.held.len() {
                let missing = (needed - self.held.len()).min(bytes.len());
                let (piece, rest) = bytes.split_at(missing);
                self.held.extend_from_slice(piece);
                bytes = rest;
                if missing == 0 {
                    return;
                }
            } else {
                let message = std::mem::take(&mut self.held);
                self.read(&message, &mut each);
                self.held = message;
                self.held.clear();
            }
        }
    }

    /// Whether all that came was whole messages.
    pub(crate) fn is_between(&self) -> bool {
        self.held.is_empty() && !self.is_lost
    }

    /// Whether something was no message, or too long a one: nothing after it is read.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }

    fn read(&mut self, message: &[u8], each: &mut impl FnMut(&Message<'_>, &[u8])) {
        match Message::parse(message) {
            Ok(parsed) => each(&parsed, message),
            Err(NotAMessage) => self.lose(),
        }
    }

    fn lose(&mut self) {
        self.is_lost = true;
        self.held = Vec::new();
    }
}

/// Finds where messages end, and keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// The first bytes of a message, which say its length.
    length: [u8; 4],
    /// How many bytes of the message were seen.
    seen: usize,
}

impl Ends {
    /// Calls `each` with every place in `bytes` where a message ends.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(usize)) {
        let mut at = 0;
        while at < bytes.len() {
            if let Some(place) = self.length.get_mut(self.seen) {
                *place = bytes[at];
                self.seen += 1;
                at += 1;
                continue;
            }
            // A length that is too short for its own prelude never ends: nothing more is known of such a stream.
            let total = u32::from_be_bytes(self.length) as usize;
            let missing = total
                .checked_sub(self.seen)
                .filter(|_| total >= PRELUDE + TRAILER);
            let rest = bytes.len() - at;
            match missing {
                Some(missing) if missing <= rest => {
                    at += missing;
                    self.seen = 0;
                    each(at);
                }
                _ => {
                    self.seen = self.seen.saturating_add(rest);
                    at = bytes.len();
                }
            }
        }
    }
}

/// Lengths or checksums are wrong, or it is too long.
#[derive(Debug, PartialEq, Eq)]
struct NotAMessage;

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The length of the message that `bytes` begins with, as soon as its prelude is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, NotAMessage> {
    let (Some(total), Some(headers), Some(checksum)) =
        (number(bytes, 0), number(bytes, 4), number(bytes, 8))
    else {
        return Ok(None);
    };
    let (total, headers) = (total as usize, headers as usize);
    let is_sound = checksum == crc32(&bytes[..8])
        && total <= MAX_MESSAGE
        && headers <= total
        && PRELUDE + headers + TRAILER <= total;
    is_sound.then_some(Some(total)).ok_or(NotAMessage)
}

impl<'a> Message<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, NotAMessage> {
        let end = bytes.len().checked_sub(TRAILER).ok_or(NotAMessage)?;
        if number(bytes, end) != Some(crc32(&bytes[..end])) {
            return Err(NotAMessage);
        }
        let headers = number(bytes, 4).ok_or(NotAMessage)? as usize;
        let content = bytes.get(PRELUDE..end).ok_or(NotAMessage)?;
        let (headers, payload) = content.split_at_checked(headers).ok_or(NotAMessage)?;
        Ok(Self { headers, payload })
    }

    /// The header `name`, if it is a string.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        loop {
            let (header, after) = Header::parse(rest)?;
            if header.name == name.as_bytes() && header.kind == STRING {
                return std::str::from_utf8(header.value).ok();
            }
            rest = after;
        }
    }

    /// Whether it tells of a failure (`:message-type` `exception` or `error`).
    pub(crate) fn is_failure(&self) -> bool {
        self.header(":message-type")
            .is_none_or(|kind| kind != "event")
    }
}

/// What a model itself wrote: InvokeModelWithResponseStream wraps it as `{"bytes":"<base64>"}`
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html>). `None` for any other message.
pub(crate) fn chunk_of(message: &Message<'_>) -> Option<Vec<u8>> {
    if message.header(":event-type") != Some("chunk") {
        return None;
    }
    BASE64_STANDARD
        .decode(&message.payload[chunk_in(message.payload)?])
        .ok()
}

/// Where the base64 of a chunk stands.
fn chunk_in(payload: &[u8]) -> Option<Range<usize>> {
    const BEFORE: &[u8] = b"\"bytes\":\"";
    let at = memmem::find(payload, BEFORE)? + BEFORE.len();
    Some(at..at + memchr(b'"', &payload[at..])?)
}

/// The message that `bytes` are, with another payload.
pub(crate) fn with_payload(bytes: &[u8], payload: &[u8]) -> Vec<u8> {
    let headers = number(bytes, 4).map_or(0, |length| length as usize);
    let headers = bytes.get(PRELUDE..PRELUDE + headers);
    compose(headers.unwrap_or_default(), payload)
}

/// The message that `bytes` are, in which a model wrote `inner`.
pub(crate) fn with_chunk(bytes: &[u8], inner: &[u8]) -> Vec<u8> {
    let Ok(message) = Message::parse(bytes) else {
        return Vec::new();
    };
    let Some(place) = chunk_in(message.payload) else {
        return Vec::new();
    };
    let written = BASE64_STANDARD.encode(inner);
    let payload = [
        &message.payload[..place.start],
        written.as_bytes(),
        &message.payload[place.end..],
    ];
    compose(message.headers, &payload.concat())
}

/// The type of a header that is a string.
const STRING: u8 = 7;

struct Header<'a> {
    name: &'a [u8],
    kind: u8,
    value: &'a [u8],
}

impl<'a> Header<'a> {
    /// The first header, and what follows it.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (&kind, rest) = rest.split_first()?;
        let (length, rest) = match kind {
            0 | 1 => (0, rest),
            2 => (1, rest),
            3 => (2, rest),
            4 => (4, rest),
            5 | 8 => (8, rest),
            6 | STRING => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            9 => (16, rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        Some((Self { name, kind, value }, rest))
    }
}

/// Writes a message whose headers are strings.
pub(crate) fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    for (name, value) in headers {
        written.push(u8::try_from(name.len()).expect("names of headers are short constants"));
        written.extend_from_slice(name.as_bytes());
        written.push(STRING);
        let length = u16::try_from(value.len()).expect("values of headers are short constants");
        written.extend_from_slice(&length.to_be_bytes());
        written.extend_from_slice(value.as_bytes());
    }
    compose(&written, payload)
}

/// A message of these headers, as they are written, and this payload.
fn compose(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let big_endian = |length: usize| {
        u32::try_from(length)
            .expect("messages that are kept have a million bytes at most, and ours a few hundred")
            .to_be_bytes()
    };
    let total = PRELUDE + headers.len() + payload.len() + TRAILER;
    let mut message = Vec::with_capacity(total);
    message.extend_from_slice(&big_endian(total));
    message.extend_from_slice(&big_endian(headers.len()));
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message.extend_from_slice(headers);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message
}

/// The CRC-32 of gzip (RFC 1952 section 8).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut entry = index as u32;
            let mut bit = 0;
            while bit < 8 {
                entry = if entry & 1 == 1 {
                    entry >> 1 ^ 0xEDB8_8320
                } else {
                    entry >> 1
                };
                bit += 1;
            }
            table[index] = entry;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| {
        crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest of the test vectors of AWS's own implementation (<https://github.com/awslabs/aws-c-event-stream/tree/main/tests>).
    const EMPTY: [u8; 16] = [
        0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
    ];

    fn found(stream: &[u8], cuts: &[usize]) -> (Vec<String>, bool) {
        let mut messages = Messages::default();
        let mut found = Vec::new();
        let mut from = 0;
        for upto in cuts.iter().copied().chain([stream.len()]) {
            messages.push(&stream[from..upto], |message, bytes| {
                let event = message.header(":event-type").unwrap_or("-");
                let payload = std::str::from_utf8(message.payload).unwrap();
                found.push(format!("{event} {payload} {}", bytes.len()));
            });
            from = upto;
        }
        (found, messages.is_lost())
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(write(&[], b""), EMPTY);
    }

    #[test]
    fn messages_are_found_wherever_the_stream_is_cut() {
        let mut stream = EMPTY.to_vec();
        let headers = [(":message-type", "event"), (":event-type", "metadata")];
        stream.extend(write(&headers, b"{\"a\":1}"));
        stream.extend(write(&headers[1..], b""));
        let expected: Vec<String> = ["-  16", "metadata {\"a\":1} 68", "metadata  39"]
            .map(str::to_owned)
            .into();
        for first in 0..=stream.len() {
            assert_eq!(
                found(&stream, &[first]),
                (expected.clone(), false),
                "{first}"
            );
            for second in (first..=stream.len()).step_by(7) {
                assert_eq!(found(&stream, &[first, second]).0, expected);
            }
        }
        let every: Vec<usize> = (0..stream.len()).collect();
        assert_eq!(found(&stream, &every), (expected, false));
    }

    #[test]
    fn a_wrong_checksum_ends_the_reading() {
        let stream = [write(&[], b"one"), write(&[], b"two"), write(&[], b"three")].concat();
        for byte in 19..38 {
            let mut broken = stream.clone();
            broken[byte] ^= 1;
            let (messages, is_lost) = found(&broken, &[]);
            assert_eq!(messages, ["- one 19"], "{byte}");
            assert!(is_lost, "{byte}");
        }
    }

    #[test]
    fn headers_of_every_type_are_passed_over() {
        let mut headers = Vec::new();
        for (kind, value) in [
            (0, &b""[..]),
            (1, b""),
            (2, b"1"),
            (3, b"12"),
            (4, b"1234"),
            (5, b"12345678"),
            (6, b"\0\x03abc"),
            (8, b"12345678"),
            (9, b"1234567890123456"),
            (7, b"\0\x05right"),
        ] {
            headers.extend([1, if kind == 7 { b'x' } else { b'y' }, kind]);
            headers.extend(value);
        }
        let message = Message {
            headers: &headers,
            payload: b"",
        };
        assert_eq!(message.header("x"), Some("right"));
        assert_eq!(message.header("y"), None);
        for end in 0..headers.len() {
            let cut = Message {
                headers: &headers[..end],
                payload: b"",
            };
            assert_eq!(cut.header("x"), None);
        }
    }
}

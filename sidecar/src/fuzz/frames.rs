//! Answers: their events, their JSON, and what is counted of them.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use postern_crds::facts::Operation;
use serde_json::Value;

use super::{calls::vendor, choice, pieces};
use crate::{
    frame::{
        aws, json,
        json::walk::{MAX_BARE, Step, Walk},
        sse,
    },
    meter::Meter,
};

/// Server-sent events: blocks are the stream, and the data of each is that of the stream.
pub(super) fn sse(data: &[u8]) {
    let (seed, data) = choice(data);
    let whole = events(&[data]);
    let cut = pieces(data, seed);
    assert_eq!(whole, events(&cut));

    let mut blocks = sse::Blocks::new(1 << 20);
    let mut all = Vec::new();
    let mut of_blocks = Vec::new();
    for piece in &cut {
        blocks.push(piece, |block, is_whole| {
            assert!(is_whole);
            all.extend_from_slice(block);
            // A byte order mark is one at the beginning alone: an event stands before the others.
            let begun = [b":\n" as &[u8], block, b"\n"].concat();
            let found = events(&[if of_blocks.is_empty() { block } else { &begun }, b"\n"]);
            of_blocks.extend(found);
        });
    }
    all.extend(blocks.finish());
    assert_eq!(all, data);

    let ends = |pieces: &[&[u8]]| {
        let (mut ends, mut found, mut at) = (sse::Ends::default(), Vec::new(), 0);
        for piece in pieces {
            ends.push(piece, |end| found.push(at + end));
            at += piece.len();
        }
        found
    };
    assert_eq!(ends(&[data]), ends(&cut));
}

fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut events, mut open, mut found) = (sse::Data::default(), Vec::new(), Vec::new());
    for piece in pieces {
        events.push(piece, |piece| match piece {
            sse::Piece::Data(data) => open.extend_from_slice(data),
            sse::Piece::End => found.push(std::mem::take(&mut open)),
        });
    }
    found
}

/// AWS's event stream: messages are where they are, and written anew with their own payload are what they were.
pub(super) fn aws(data: &[u8]) {
    let (seed, data) = choice(data);
    // A checksum that is right is no find of chance: the rest is read as a payload too.
    let built = aws::write(
        &[(":event-type", "chunk"), (":message-type", "event")],
        data,
    );
    for stream in [data, &built, &[&built, data].concat()] {
        let read = |pieces: &[&[u8]]| {
            let mut messages = aws::Messages::default();
            let (mut all, mut found) = (Vec::new(), Vec::new());
            for piece in pieces {
                messages.push(piece, |message, bytes| {
                    assert_eq!(aws::with_payload(bytes, message.payload), bytes);
                    if let Some(inner) = aws::chunk_of(message) {
                        aws::with_chunk(bytes, &inner);
                    }
                    found.push((message.payload.to_vec(), message.is_failure()));
                    all.extend_from_slice(bytes);
                });
            }
            assert!(stream.starts_with(&all));
            assert!(!messages.is_between() || all == stream);
            (found, messages.is_lost())
        };
        let cut = pieces(stream, seed);
        assert_eq!(read(&[stream]), read(&cut));
    }
}

/// Both readers of JSON in pieces: cut they find what they find in the whole, and in JSON all that there is.
pub(super) fn json(data: &[u8]) {
    let (seed, data) = choice(data);
    let cut = pieces(data, seed);
    let found = scanned(&[data]);
    assert_eq!(found, scanned(&cut));

    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let whole = walked(&[text]);
    let characters: Vec<String> = text.chars().map(String::from).collect();
    let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
    assert_eq!(whole, walked(&characters));

    let Ok(value) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    if whole.is_broken {
        let is_of_number = |byte: char| byte.is_ascii_digit() || "+-.eE".contains(byte);
        let longest = text.split(|c| !is_of_number(c)).map(str::len).max();
        assert!(longest > Some(MAX_BARE), "{text} is JSON");
        return;
    }
    let mut texts = Vec::new();
    strings(&value, &mut texts);
    // Of keys that stand twice serde keeps the last value.
    if texts.len() == whole.texts.len() {
        let mut walked: Vec<String> = whole.texts.iter().map(|raw| unescaped(raw)).collect();
        walked.sort_unstable();
        texts.sort_unstable();
        assert_eq!(walked, texts);
    } else {
        assert!(whole.texts.len() > texts.len());
    }
}

fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        Value::Object(members) => members.values().for_each(|item| strings(item, into)),
        _ => {}
    }
}

fn unescaped(raw: &str) -> String {
    serde_json::from_str(&format!("\"{raw}\"")).expect("it is a string of valid JSON")
}

fn scanned(pieces: &[&[u8]]) -> Vec<(u8, Vec<u8>)> {
    static PATHS: LazyLock<json::Paths<u8>> = LazyLock::new(|| {
        let paths = [("a", 0), ("a.b", 1), ("a.*", 2), ("*.a", 3), ("b.*.a", 4)];
        json::Paths::new(paths, [("c", 5), ("b.*.c", 6)])
    });
    let mut scanner = json::Scanner::new(&PATHS);
    let mut found: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut sizes = [0; 8];
    for piece in pieces {
        scanner.push(piece, |what, value| match value {
            json::Found::Bare(bytes) | json::Found::Text(bytes) => {
                found.push((what, bytes.to_vec()));
            }
            json::Found::Container => found.push((what, b"{".to_vec())),
            json::Found::Size(size) => sizes[usize::from(what)] += size,
        });
    }
    found.push((7, format!("{sizes:?}").into_bytes()));
    found
}

/// What a walk says, with the pieces of strings joined.
#[derive(Debug, Default, PartialEq)]
struct Walked {
    /// Every step but pieces.
    steps: Vec<String>,
    texts: Vec<String>,
    is_broken: bool,
}

fn walked(pieces: &[&str]) -> Walked {
    let mut walk = Walk::new();
    let mut walked = Walked::default();
    let mut each = |step: Step<'_>| match step {
        Step::Begin { at } => {
            walked.steps.push(format!("begin {at}"));
            walked.texts.push(String::new());
        }
        Step::Piece { raw, .. } => walked
            .texts
            .last_mut()
            .expect("a string has begun")
            .push_str(raw),
        // What was kept and what is left depend on the piece.
        Step::Broken { at, .. } => {
            walked.is_broken = true;
            walked.steps.push(format!("broken {at}"));
        }
        step => walked.steps.push(format!("{step:?}")),
    };
    let mut is_broken = false;
    for piece in pieces {
        walk.push(piece, |step| {
            is_broken |= matches!(step, Step::Broken { .. });
            each(step);
        });
        if is_broken {
            break;
        }
    }
    if !is_broken {
        walk.finish(each);
    }
    walked
}

/// What an answer used is the same in pieces.
pub(super) fn meter(data: &[u8]) {
    let (number, data) = choice(data);
    let (seed, data) = choice(data);
    let kind = [
        "application/json",
        "text/event-stream",
        "application/vnd.amazon.eventstream",
        "",
    ][number / 16 % 4];
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    let read = |pieces: &[&[u8]], is_whole: bool| {
        let (dialect, operation) = (vendor(number % 16), Operation::Chat);
        let mut meter =
            Meter::new(dialect, operation, StatusCode::OK, &headers, true).with_input(Some(7));
        for piece in pieces {
            meter.push(piece);
        }
        meter.so_far();
        meter.said();
        meter.finish(is_whole)
    };
    let cut = pieces(data, seed);
    for is_whole in [false, true] {
        assert_eq!(read(&[data], is_whole), read(&cut, is_whole));
    }
}

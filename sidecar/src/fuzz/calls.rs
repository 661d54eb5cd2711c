//! Requests: where they begin and end, and what is read of them.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, header};
use postern_crds::{
    facts::{Call, Models, Operation},
    provider::Dialect,
};
use serde_json::Value;

use super::{choice, pieces};
use crate::{
    body::{Bound, Decoder, Encoding, Undecodable},
    dialect::{self, Head, Request, query::decode as decode_query},
    listener::framing::{Framing, Step},
    percent,
    proxy::path::NormalPath,
};

const DIALECTS: [(Dialect, &str); 12] = [
    (Dialect::OpenAi, "/v1"),
    (Dialect::OpenRouter, "/v1"),
    (Dialect::AzureOpenAi, "/openai"),
    (Dialect::Anthropic, ""),
    (Dialect::Gemini, ""),
    (Dialect::Bedrock, ""),
    (Dialect::Mistral, "/v1"),
    (Dialect::Cohere, ""),
    (Dialect::Ollama, ""),
    (Dialect::Pinecone, ""),
    (Dialect::Qdrant, ""),
    (Dialect::Weaviate, ""),
];

/// The vendor that a number chooses.
pub(super) fn vendor(number: usize) -> Dialect {
    DIALECTS[number % DIALECTS.len()].0
}

/// `POST /path?query`, the content type on a line of its own, and the body: where it can be read, it is read alike each time, and no model
/// that a lenient reader finds in it is missing.
pub(super) fn request(data: &[u8]) {
    let (number, data) = choice(data);
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let (Some(first), Some(kind)) = (line(), line()) else {
        return;
    };
    let body = lines.next().unwrap_or_default();
    let Some((method, target)) = first.split_once(' ') else {
        return;
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let (Ok(path), Ok(kind)) = (NormalPath::parse(path), HeaderValue::from_str(kind)) else {
        return;
    };
    let (dialect, base_path) = match number % (DIALECTS.len() + 1) {
        12 => (Dialect::Plain, ""),
        number => DIALECTS[number],
    };
    let head = Head {
        dialect,
        method,
        path: path.as_str(),
        base_path,
        query,
        deployments: &BTreeMap::new(),
    };
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]);
    let read = || {
        dialect::read(&Request {
            head,
            headers: &headers,
            body,
        })
    };
    let call = read();
    assert_eq!(call, read());
    dialect::head(&head);
    if let Ok(call) = call {
        assert_eq!(call.body_bytes, body.len() as u64);
        names_the_model(dialect, &call, body);
    }
}

/// Whether `call` tells of the model that stands in its body, for those vendors whose chats name it there.
fn names_the_model(dialect: Dialect, call: &Call, body: &[u8]) {
    let is_named = matches!(
        dialect,
        Dialect::OpenAi
            | Dialect::OpenRouter
            | Dialect::Anthropic
            | Dialect::Mistral
            | Dialect::Ollama
    );
    if !is_named || call.operation != Operation::Chat {
        return;
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return;
    };
    if let (Some(Value::String(model)), Models::Named(models)) = (body.get("model"), &call.models) {
        let is_told = models.iter().any(|told| told.name == *model);
        assert!(is_told, "{model} is not among {models:?}");
    }
}

/// What is taken for strict JSON is JSON, and no key stands twice in it.
pub(super) fn strict_json(data: &[u8]) {
    let is_strict = dialect::json::read(data, |value| value.skip().map_err(Into::into)).is_ok();
    let lenient = serde_json::from_slice::<Value>(data);
    if is_strict {
        // A number that is too large for it is an error of its own.
        if let Err(error) = lenient {
            assert!(
                error.to_string().starts_with("number out of range"),
                "{error}"
            );
        }
    }
}

/// What is decoded is what another decoder makes of it.
pub(super) fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(decoded) = decode_query(text) {
        assert_eq!(decoded.as_bytes(), percent::decode(&text.replace('+', " ")));
    }
}

/// A path that is normal stays as it is, and has nothing that two servers read differently.
pub(super) fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(path) = NormalPath::parse(text) else {
        return;
    };
    let normal = path.as_str();
    assert_eq!(NormalPath::parse(normal).as_ref(), Ok(&path));
    assert!(normal.starts_with('/') && !normal.contains("//") && !normal.contains('\\'));
    assert!(
        !normal
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
    );
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()));
    assert_eq!(percent::decode(normal), percent::decode(text));
    if !path.has_arn() {
        let decoded = percent::decode(normal);
        let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
        assert_eq!(slashes(&decoded), slashes(normal.as_bytes()));
    }
}

/// What was encoded is decoded to the same.
pub(super) fn percent(data: &[u8]) {
    assert_eq!(percent::decode(&percent::encode(data, b"/")), data);
    assert_eq!(
        *percent::encode_wiped(data),
        percent::encode(data, b"").into_bytes()
    );
    percent::decode(&String::from_utf8_lossy(data));
}

/// A connection: its heads and its end are where they are, however its bytes come.
pub(super) fn framing(data: &[u8]) {
    let (seed, data) = choice(data);
    let whole = heads(&[data]);
    assert_eq!(whole, heads(&pieces(data, seed)));
    for (from, to) in whole.0 {
        // Every head ends in an empty line, and there is none before.
        let head = &data[from..to];
        assert!(head.ends_with(b"\r\n\r\n"));
        let ends = head.windows(4).filter(|window| *window == b"\r\n\r\n");
        assert_eq!(ends.count(), 1);
    }
}

/// Where heads begin and end, and what ended the reading.
fn heads(pieces: &[&[u8]]) -> (Vec<(usize, usize)>, Option<Step>) {
    let mut framing = Framing::new();
    let (mut held, mut at, mut heads) = (Vec::new(), 0, Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            let done = match framing.step(&held) {
                Step::Wait => break,
                Step::Pass(length) | Step::Skip(length) => length,
                Step::Head(length) => {
                    heads.push((at, at + length));
                    length
                }
                end @ (Step::Refuse(_) | Step::Broken) => return (heads, Some(end)),
            };
            assert!(done > 0, "nothing is done for ever");
            held.drain(..done);
            at += done;
        }
    }
    (heads, None)
}

/// A compressed body becomes the same in pieces, and no more than it may.
pub(super) fn decode(data: &[u8]) {
    const MOST: usize = 1 << 16;
    let (number, data) = choice(data);
    let (seed, data) = choice(data);
    let encoding = [
        Encoding::Gzip,
        Encoding::Deflate,
        Encoding::Brotli,
        Encoding::Zstd,
    ][number % 4];
    let bound = if number % 8 < 4 {
        Bound::request(MOST)
    } else {
        Bound::RESPONSE
    };
    let decoded = |pieces: &[&[u8]]| -> Result<Vec<u8>, Undecodable> {
        let mut decoder = Decoder::new(encoding, bound);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(decoder.push(piece)?);
        }
        decoder.finish().map(|()| out)
    };
    let whole = decoded(&[data]);
    if let (Ok(whole), 0..4) = (&whole, number % 8) {
        assert!(whole.len() <= MOST);
    }
    // The bound is one of a piece.
    if whole != Err(Undecodable::TooLong) {
        assert_eq!(whole, decoded(&pieces(data, seed)));
    }
}

//! What masks mean, told by the files in `sidecar/tests/masks`: this policy, this text, call or answer, and what arrives of it. Readable without Rust.
//!
//! A case with a `text` is carried by a call, by a whole answer and by the streams of several vendors. Every body goes through as a whole and byte by
//! byte, and cut in two at every byte where it is one of the first [`CUT`] carriers' or stands in a file. Beside every case in which something is masked stands one in which nothing is.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body_util::Full;
use postern_crds::{policy, provider::Dialect};
use regex_lite::{Captures, Regex};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Masker, Masking, Masks, request};

#[path = "../../tests/it/goldens.rs"]
mod goldens;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    /// `request.mask` of the policy, and `response.mask` where it puts nothing back.
    mask: Value,
    cases: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Why it stands there.
    name: String,
    /// A text in a call, and in an answer.
    text: Option<String>,
    /// What the provider gets of the text, where values are put back.
    sent: Option<String>,
    /// What it answers then; what it got, where nothing is said.
    answer: Option<String>,
    /// The body of a call.
    request: Option<Value>,
    /// The body of an answer: JSON, a list of events in a stream, or a text.
    response: Option<Value>,
    /// Whose: OpenAI's where nothing is said.
    dialect: Option<Dialect>,
    /// Its `Content-Type`; `application/json`, or `text/event-stream` of a list, where nothing is said.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// What arrives. `N` of several hashes and pseudonyms is `#N`. Nothing where the call is denied.
    arrives: Option<Value>,
}

impl Case {
    fn dialect(&self) -> Dialect {
        self.dialect.unwrap_or(Dialect::OpenAi)
    }

    /// Whether something is masked in it.
    fn changes(&self) -> bool {
        let came = [&self.request, &self.response];
        let came = came.into_iter().flatten().next().cloned();
        let came = came.or_else(|| self.text.clone().map(Value::String));
        self.sent.is_some() && self.sent != self.text || came != self.arrives
    }
}

/// What both directions of a file's policy mask.
struct Both {
    requests: Masks,
    /// The same in answers; what puts values back masks none.
    responses: Option<Masks>,
}

fn both(mask: &Value) -> Both {
    let restores = mask["restore"] == true;
    let mut spec = json!({"targetRefs": [{"kind": "AgentIdentity", "name": "bot"}], "request": {"mask": mask}});
    if !restores {
        spec["response"] = spec["request"].clone();
    }
    let named = json!([{"name": "egress", "spec": spec}]);
    let policies: Vec<policy::NamedPolicy> = serde_json::from_value(named).unwrap();
    let policy = policy::compile(&policies).unwrap_or_else(|found| panic!("{found:?}"));
    Both {
        requests: Masks::of_requests(policy.request_masks()).unwrap(),
        responses: Masks::of_responses(policy.response_masks()),
    }
}

/// How many carriers' bodies are cut in two at every byte: a whole answer, one inside of another text, a stream.
const CUT: usize = 3;

/// How a text travels in an answer.
struct Carrier {
    dialect: Dialect,
    kind: &'static str,
    /// One event with a piece of it, or all there is.
    event: fn(&str) -> String,
    /// How many characters an event has; all where it is no stream.
    piece: Option<usize>,
    /// Where it stands in the JSON of an event.
    place: &'static str,
}

const CARRIERS: [Carrier; 9] = [
    Carrier {
        dialect: Dialect::OpenAi,
        kind: "application/json",
        event: |text| json!({"choices": [{"message": {"content": text}}]}).to_string(),
        piece: None,
        place: "/choices/0/message/content",
    },
    Carrier {
        dialect: Dialect::Plain,
        kind: "application/json",
        event: |text| {
            let inner = json!({"deep": [text]}).to_string();
            json!({"text": inner}).to_string()
        },
        piece: None,
        place: "/text",
    },
    Carrier {
        dialect: Dialect::OpenAi,
        kind: "text/event-stream",
        event: |text| sent(&json!({"choices": [{"index": 0, "delta": {"content": text}}]})),
        piece: Some(7),
        place: "/choices/0/delta/content",
    },
    Carrier {
        dialect: Dialect::OpenAi,
        kind: "text/event-stream",
        event: |text| {
            sent(
                &json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}),
            )
        },
        piece: Some(1),
        place: "/delta",
    },
    Carrier {
        dialect: Dialect::Anthropic,
        kind: "text/event-stream",
        event: |text| {
            sent(
                &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
            )
        },
        piece: Some(2),
        place: "/delta/text",
    },
    Carrier {
        dialect: Dialect::Gemini,
        kind: "text/event-stream",
        event: |text| sent(&json!({"candidates": [{"content": {"parts": [{"text": text}]}}]})),
        piece: Some(3),
        place: "/candidates/0/content/parts/0/text",
    },
    Carrier {
        dialect: Dialect::Cohere,
        kind: "text/event-stream",
        event: |text| {
            sent(
                &json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}),
            )
        },
        piece: Some(5),
        place: "/delta/message/content/text",
    },
    Carrier {
        dialect: Dialect::Mistral,
        kind: "text/event-stream",
        event: |text| {
            sent(
                &json!({"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": text}]}}]}),
            )
        },
        piece: Some(4),
        place: "/choices/0/delta/content/0/text",
    },
    Carrier {
        dialect: Dialect::Ollama,
        kind: "application/x-ndjson",
        event: |text| json!({"message": {"content": text}, "done": false}).to_string() + "\n",
        piece: Some(6),
        place: "/message/content",
    },
];

fn sent(event: &Value) -> String {
    format!("data: {event}\n\n")
}

impl Carrier {
    fn body(&self, text: &str) -> String {
        let length = self.piece.unwrap_or(usize::MAX);
        let all: Vec<char> = text.chars().collect();
        let pieces = all.chunks(length.min(all.len()).max(1));
        pieces
            .map(|piece| (self.event)(&piece.iter().collect::<String>()))
            .collect()
    }

    /// The text that a program puts together.
    fn read(&self, body: &str) -> String {
        let text: String = values(body, self.piece.is_some())
            .iter()
            .filter_map(|event| Some(event.pointer(self.place)?.as_str()?.to_owned()))
            .collect();
        if self.dialect != Dialect::Plain {
            return text;
        }
        let inner: Value = serde_json::from_str(&text).unwrap();
        inner["deep"][0].as_str().unwrap().to_owned()
    }
}

/// The JSON of a body, or of each of its events.
fn values(body: &str, is_stream: bool) -> Vec<Value> {
    if !is_stream {
        return vec![serde_json::from_str(body).unwrap()];
    }
    body.lines()
        .map(|line| line.strip_prefix("data: ").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// An answer on its way: masked, or with what was masked in its call.
enum Way<'a> {
    Masked(&'a Masks),
    Restored(&'a Arc<Masker>),
}

impl Way<'_> {
    fn through(&self, dialect: Dialect, kind: &str, body: &str, cuts: &[usize]) -> String {
        let mut response = Response::builder()
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let expects_stream = !kind.ends_with("/json");
        let masking = match self {
            Self::Masked(masks) => {
                Masking::of(masks, dialect, expects_stream, &mut response).unwrap()
            }
            Self::Restored(masker) => {
                Masking::restoring(masker, dialect, expects_stream, &mut response)
            }
        };
        let mut masking = masking.unwrap();
        let (mut out, mut from) = (Vec::new(), 0);
        for upto in cuts {
            let piece = Bytes::copy_from_slice(&body.as_bytes()[from..*upto]);
            out.extend(masking.push(piece).unwrap());
            from = *upto;
        }
        let rest = Bytes::copy_from_slice(&body.as_bytes()[from..]);
        out.extend(masking.finish(rest).unwrap());
        String::from_utf8(out).unwrap()
    }

    /// What arrives of `body`, which is the same however it is cut: byte by byte, and in two everywhere if `is_cut`.
    fn arrives(&self, dialect: Dialect, kind: &str, body: &str, is_cut: bool) -> String {
        let whole = self.through(dialect, kind, body, &[]);
        let bytes: Vec<usize> = (1..body.len()).collect();
        assert_eq!(
            self.through(dialect, kind, body, &bytes),
            whole,
            "byte by byte: {body}"
        );
        for cut in (1..body.len()).filter(|_| is_cut) {
            assert_eq!(
                self.through(dialect, kind, body, &[cut]),
                whole,
                "cut at {cut}: {body}"
            );
        }
        whole
    }
}

/// `text` with `#1`, `#2` and so on for the letters and digits of hashes and pseudonyms, in their order.
fn numbered(text: &str) -> String {
    let drawn = Regex::new(":([0-9a-f]{8})\\]|[A-Z]-([bdfghjklmnprstvz]{8})\\b").unwrap();
    let mut known: Vec<String> = Vec::new();
    let number = |captures: &Captures<'_>| {
        let drawn = captures
            .get(1)
            .or_else(|| captures.get(2))
            .unwrap()
            .as_str();
        let at = known
            .iter()
            .position(|one| one == drawn)
            .unwrap_or_else(|| {
                known.push(drawn.to_owned());
                known.len() - 1
            });
        captures[0].replace(drawn, &format!("#{}", at + 1))
    };
    drawn.replace_all(text, number).into_owned()
}

/// `answer` with the pseudonyms that `sent` has in the places of `#1`, `#2` and so on.
fn answered(answer: &str, sent: &str) -> String {
    let drawn = Regex::new("[A-Z]-([bdfghjklmnprstvz]{8})\\b").unwrap();
    let mut known: Vec<&str> = Vec::new();
    for captures in drawn.captures_iter(sent) {
        let letters = captures.get(1).unwrap().as_str();
        if !known.contains(&letters) {
            known.push(letters);
        }
    }
    let mut answer = answer.to_owned();
    for (index, letters) in known.iter().enumerate() {
        answer = answer.replace(&format!("#{}", index + 1), letters);
    }
    answer
}

/// `value` with its hashes and pseudonyms numbered.
fn numbered_in(value: &Value) -> Value {
    serde_json::from_str(&numbered(&value.to_string())).unwrap()
}

fn of_text(both: &Both, case: &Case, text: &str) {
    let arrives = case.arrives.as_ref().and_then(Value::as_str).unwrap();
    let expected = case.sent.as_deref().unwrap_or(arrives);
    let mut restoring = None;
    let mut of_call = String::new();
    for (dialect, body, place) in [
        (
            Dialect::OpenAi,
            json!({"messages": [{"role": "user", "content": text}]}),
            "/messages/0/content",
        ),
        (
            Dialect::Anthropic,
            json!({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": text}]}]}]}),
            "/messages/0/content/0/content/0/text",
        ),
        (
            Dialect::Bedrock,
            json!({"system": [{"text": text}]}),
            "/system/0/text",
        ),
        (
            Dialect::Gemini,
            json!({"contents": [{"parts": [{"text": text}]}]}),
            "/contents/0/parts/0/text",
        ),
        (
            Dialect::Qdrant,
            json!({"points": [{"id": 1, "payload": {"a": text}}]}),
            "/points/0/payload/a",
        ),
        (Dialect::Plain, json!({"any": text}), "/any"),
    ] {
        let body = body.to_string();
        let sent = call(both, dialect, None, &body).unwrap();
        let bytes = sent.body.as_deref().unwrap_or(body.as_bytes());
        let value: Value = serde_json::from_slice(bytes).unwrap();
        of_call = value.pointer(place).unwrap().as_str().unwrap().to_owned();
        assert_eq!(numbered(&of_call), expected, "{}: {dialect:?}", case.name);
        restoring = sent.restoring;
    }
    let (way, answer) = match (&both.responses, &restoring) {
        (Some(masks), _) => (Way::Masked(masks), text.to_owned()),
        (None, Some(masker)) => {
            let answer = case.answer.as_deref().unwrap_or(expected);
            (Way::Restored(masker), answered(answer, &of_call))
        }
        // Nothing is to be put back.
        (None, None) => return assert_eq!(arrives, text, "{}", case.name),
    };
    for (index, carrier) in CARRIERS.iter().enumerate() {
        let body = carrier.body(&answer);
        let got = way.arrives(carrier.dialect, carrier.kind, &body, index < CUT);
        let at = format!("{}: {:?} {}", case.name, carrier.dialect, carrier.kind);
        assert_eq!(numbered(&carrier.read(&got)), arrives, "{at}");
        let is_stream = carrier.piece.is_some();
        assert_eq!(
            values(&got, is_stream).len(),
            values(&body, is_stream).len(),
            "{at}"
        );
    }
}

fn call(
    both: &Both,
    dialect: Dialect,
    kind: Option<&str>,
    body: &str,
) -> Result<super::Sent, super::Unsendable> {
    let mut headers = HeaderMap::new();
    let kind = kind.unwrap_or("application/json");
    headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
    request(&both.requests, dialect, &headers, body.as_bytes())
}

/// A body as it is sent: a text as it is, all else as JSON.
fn written(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn of_request(both: &Both, case: &Case, body: &Value) {
    let body = written(body);
    let sent = call(both, case.dialect(), case.kind.as_deref(), &body);
    let Some(arrives) = &case.arrives else {
        return assert!(sent.is_err(), "{}: it is sent", case.name);
    };
    let sent = sent.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let bytes = sent.body.unwrap_or_else(|| body.into());
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    match arrives {
        Value::String(expected) => assert_eq!(&numbered(&text), expected, "{}", case.name),
        expected => {
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(&numbered_in(&value), expected, "{}", case.name);
        }
    }
}

fn of_response(both: &Both, case: &Case, body: &Value) {
    let way = Way::Masked(both.responses.as_ref().unwrap());
    let arrives = case.arrives.as_ref().unwrap();
    let events = body.as_array().filter(|_| case.kind.is_none());
    let (text, kind) = match events {
        Some(events) => (events.iter().map(sent).collect(), "text/event-stream"),
        None => (
            written(body),
            case.kind.as_deref().unwrap_or("application/json"),
        ),
    };
    let got = way.arrives(case.dialect(), kind, &text, true);
    match (arrives, events) {
        (Value::String(expected), _) => assert_eq!(&numbered(&got), expected, "{}", case.name),
        (expected, Some(_)) => {
            let all = Value::Array(values(&got, true));
            assert_eq!(&numbered_in(&all), expected, "{}", case.name);
        }
        (expected, None) => {
            let value: Value = serde_json::from_str(&got).unwrap();
            assert_eq!(&numbered_in(&value), expected, "{}", case.name);
        }
    }
}

fn goldens() -> Vec<(String, Golden)> {
    goldens::all("tests/masks")
}

#[test]
fn what_arrives_is_what_the_files_say_however_it_is_cut() {
    for (file, golden) in goldens() {
        let both = both(&golden.mask);
        for case in &golden.cases {
            match (&case.text, &case.request, &case.response) {
                (Some(text), None, None) => of_text(&both, case, text),
                (None, Some(body), None) => of_request(&both, case, body),
                (None, None, Some(body)) => of_response(&both, case, body),
                _ => panic!(
                    "{file}: {} needs one of text, request and response",
                    case.name
                ),
            }
        }
    }
}

#[test]
fn beside_every_case_that_is_masked_stands_one_that_is_not() {
    let mut count = 0;
    for (file, golden) in goldens() {
        let cases = &golden.cases;
        count += cases.len();
        for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.changes()) {
            let beside = [at.checked_sub(1), Some(at + 1)];
            let mut beside = beside.into_iter().flatten().filter_map(|at| cases.get(at));
            assert!(beside.any(|case| !case.changes()), "{file}: {}", case.name);
        }
    }
    assert!(count >= 100, "{count}");
}

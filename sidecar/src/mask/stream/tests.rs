//! The law at the level of bodies: what a reader puts together of a masked answer is what masking the whole would have been, however the
//! answer was cut into events, and its events into bytes.

use std::{collections::BTreeSet, sync::LazyLock};

use postern_crds::{
    egress_policy::{Detector, FieldAction, MaskStyle},
    policy::{self, Field, MaskItem, Step},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{body::Masks, text},
    *,
};

mod delay;

fn item(what: policy::Masked) -> MaskItem {
    MaskItem {
        restore: false,
        what,
        style: MaskStyle::Label,
        enforce: true,
    }
}

fn field(path: &str, action: FieldAction) -> Field {
    let step = |step: &str| match step {
        "*" => Step::Every,
        name => Step::Name(name.to_owned()),
    };
    Field {
        path: path.split('.').map(step).collect(),
        action,
        enforce: true,
    }
}

fn policy(fields: Vec<Field>) -> policy::Masks {
    policy::Masks {
        items: vec![
            item(policy::Masked::Detector(Detector::Email)),
            item(policy::Masked::Detector(Detector::CreditCard)),
            item(policy::Masked::Pattern {
                name: "CASE_ID".to_owned(),
                regex: "CASE-[0-9]{4,8}".to_owned(),
            }),
            item(policy::Masked::Dictionary {
                name: "HOUSE".to_owned(),
                words: BTreeSet::from(["Bluebird".to_owned(), "é\"\\".to_owned()]),
                ignore_case: false,
            }),
        ],
        phone_regions: BTreeSet::new(),
        fields,
    }
}

static MASKS: LazyLock<Masks> = LazyLock::new(|| Masks::of_responses(&policy(Vec::new())).unwrap());

fn masks() -> &'static Masks {
    &MASKS
}

fn stream(masks: &Masks, dialect: Dialect, framing: Framing) -> Stream {
    Stream::new(&masks.masker, masks.rules.clone(), dialect, framing)
}

/// What comes out of `body`, cut at `cuts`.
fn through(stream: &mut Stream, body: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut out, mut from) = (Vec::new(), 0);
    for upto in cuts.into_iter().chain([body.len()]) {
        stream.push(&body[from..upto], &mut out).unwrap();
        from = upto;
    }
    stream.finish(&mut out).unwrap();
    out
}

fn whole(text: &str) -> String {
    text::mask(&masks().masker, text)
}

/// How a dialect's stream says a text.
struct Case {
    name: &'static str,
    dialect: Dialect,
    framing: Framing,
    /// An event with a piece of the text.
    event: fn(&str) -> Value,
    /// Where the piece stands.
    place: &'static str,
    /// The event that ends it, if there is one.
    end: Option<fn() -> Value>,
}

fn chat(delta: &Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1732521600, "model": "gpt-4o",
           "choices": [{"delta": delta, "index": 0, "finish_reason": null}]})
}

const CASES: &[Case] = &[
    Case {
        name: "chat",
        dialect: Dialect::OpenAi,
        framing: Framing::Events,
        event: |text| chat(&json!({"content": text})),
        place: "/choices/0/delta/content",
        end: Some(|| json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})),
    },
    Case {
        name: "chat of a server that says text/plain",
        dialect: Dialect::OpenAi,
        framing: Framing::EventsOrText,
        event: |text| chat(&json!({"content": text})),
        place: "/choices/0/delta/content",
        end: None,
    },
    Case {
        name: "reasoning",
        dialect: Dialect::OpenRouter,
        framing: Framing::Events,
        event: |text| chat(&json!({"reasoning_content": text, "content": null})),
        place: "/choices/0/delta/reasoning_content",
        end: None,
    },
    Case {
        name: "refusal",
        dialect: Dialect::AzureOpenAi,
        framing: Framing::Events,
        event: |text| chat(&json!({"refusal": text})),
        place: "/choices/0/delta/refusal",
        end: None,
    },
    Case {
        name: "completions",
        dialect: Dialect::Plain,
        framing: Framing::Events,
        event: |text| json!({"choices": [{"text": text, "index": 0, "logprobs": null}]}),
        place: "/choices/0/text",
        end: None,
    },
    Case {
        name: "responses",
        dialect: Dialect::OpenAi,
        framing: Framing::Events,
        event: |text| json!({"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "content_index": 0, "delta": text}),
        place: "/delta",
        end: Some(
            || json!({"type": "response.output_text.done", "item_id": "m1", "output_index": 0, "content_index": 0, "text": "x"}),
        ),
    },
    Case {
        name: "mistral",
        dialect: Dialect::Mistral,
        framing: Framing::Events,
        event: |text| chat(&json!({"content": [{"type": "text", "text": text}]})),
        place: "/choices/0/delta/content/0/text",
        end: None,
    },
    Case {
        name: "anthropic",
        dialect: Dialect::Anthropic,
        framing: Framing::Events,
        event: |text| json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}}),
        place: "/delta/text",
        end: Some(|| json!({"type": "content_block_stop", "index": 1})),
    },
    Case {
        name: "thinking",
        dialect: Dialect::Anthropic,
        framing: Framing::Events,
        event: |text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": text}}),
        place: "/delta/thinking",
        end: None,
    },
    Case {
        name: "gemini",
        dialect: Dialect::Gemini,
        framing: Framing::Events,
        event: |text| json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}}], "modelVersion": "g"}),
        place: "/candidates/0/content/parts/0/text",
        end: None,
    },
    Case {
        name: "gemini without alt=sse",
        dialect: Dialect::Gemini,
        framing: Framing::Elements,
        event: |text| json!({"candidates": [{"index": 0, "content": {"parts": [{"text": text, "thought": true}]}}]}),
        place: "/candidates/0/content/parts/0/text",
        end: Some(|| json!({"candidates": [{"index": 0, "finishReason": "STOP"}]})),
    },
    Case {
        name: "cohere",
        dialect: Dialect::Cohere,
        framing: Framing::Events,
        event: |text| json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}),
        place: "/delta/message/content/text",
        end: Some(|| json!({"type": "content-end", "index": 0})),
    },
    Case {
        name: "ollama",
        dialect: Dialect::Ollama,
        framing: Framing::Lines,
        event: |text| json!({"model": "m", "message": {"role": "assistant", "content": text}, "done": false}),
        place: "/message/content",
        end: Some(
            || json!({"model": "m", "message": {"role": "assistant", "content": ""}, "done": true}),
        ),
    },
    Case {
        name: "converse",
        dialect: Dialect::Bedrock,
        framing: Framing::Messages,
        event: |text| json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcd"}),
        place: "/delta/text",
        end: Some(|| json!({"contentBlockIndex": 0, "p": "ab"})),
    },
];

/// How a stream is written.
#[derive(Clone, Copy, Debug)]
struct Writing {
    /// What ends its lines.
    line_end: &'static str,
    /// Everything but ASCII is escaped.
    ascii: bool,
    /// Comments, names and ids stand between the lines of data, of which there may be several.
    busy: bool,
}

fn written(value: &Value, writing: Writing) -> String {
    let text = if writing.busy {
        serde_json::to_string_pretty(value).unwrap()
    } else {
        value.to_string()
    };
    if !writing.ascii {
        return text;
    }
    let mut ascii = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

/// The bytes of one event.
fn framed(value: &Value, framing: Framing, writing: Writing) -> Vec<u8> {
    match framing {
        Framing::Events | Framing::EventsOrText => {
            let mut block = String::new();
            if writing.busy {
                block.push_str(": keep-alive\nevent: x\n");
            }
            for line in written(value, writing).lines() {
                block.push_str(&format!("data: {line}\n"));
            }
            block.push('\n');
            block.replace('\n', writing.line_end).into_bytes()
        }
        Framing::Messages => {
            let kind = match value.get("delta") {
                Some(_) => "contentBlockDelta",
                None => "contentBlockStop",
            };
            let headers = [(":event-type", kind), (":message-type", "event")];
            aws::write(&headers, written(value, writing).as_bytes())
        }
        _ => {
            let line = written(
                value,
                Writing {
                    busy: false,
                    ..writing
                },
            );
            (line + "\n").into_bytes()
        }
    }
}

/// The events that a reader finds.
fn events(bytes: &[u8], framing: Framing) -> Vec<Value> {
    let mut found = Vec::new();
    match framing {
        Framing::Events | Framing::EventsOrText => {
            let mut open = Vec::new();
            // A CR at the end is no end of a line before the next byte.
            sse::Data::default().push(&[bytes, b"\n"].concat(), |piece| match piece {
                sse::Piece::Data(data) => open.extend_from_slice(data),
                sse::Piece::End => found.push(std::mem::take(&mut open)),
            });
        }
        Framing::Messages => {
            let mut messages = aws::Messages::default();
            messages.push(bytes, |message, _| {
                let inner = aws::chunk_of(message);
                found.push(inner.unwrap_or_else(|| message.payload.to_vec()));
            });
            assert!(messages.is_between());
        }
        Framing::Elements => return serde_json::from_slice(bytes).unwrap(),
        _ => found.extend(bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec)),
    }
    let parse = |event: &Vec<u8>| {
        serde_json::from_slice(event)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(event)))
    };
    found.iter().map(parse).collect()
}

/// Pieces of `text`, cut near `cuts`.
fn pieces<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
    let mut cuts: Vec<usize> = cuts
        .iter()
        .map(|cut| text.floor_char_boundary(cut % (text.len() + 1)))
        .collect();
    cuts.sort_unstable();
    // An empty piece at the most at a place.
    cuts.dedup();
    let mut from = 0;
    let mut pieces = Vec::new();
    for upto in cuts.into_iter().chain([text.len()]) {
        pieces.push(&text[from..upto]);
        from = upto;
    }
    pieces
}

fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("alice@example.com"),
        Just("bob.b+x@mail.example.org"),
        Just("4111 1111 1111 1111"),
        Just("4111111111111111"),
        Just("4111111111111112"),
        Just("CASE-12345678"),
        Just("CASE-123"),
        Just("Bluebird"),
        Just("Blue"),
        Just("é\"\\"),
        Just("é\""),
        Just(" "),
        Just("\n"),
        Just("\t"),
        Just("\u{1F600}"),
        Just("é"),
        Just("@"),
        Just("."),
        Just("hello"),
        Just("{\"a\":\"b\"}"),
        Just("\\u0040"),
        Just("\u{0}"),
        Just("a@b"),
    ];
    // What begins like JSON is read as JSON, of which the tests of arguments speak.
    prop::collection::vec(part, 0..12).prop_map(|parts| format!("-{}", parts.concat()))
}

fn writings() -> impl Strategy<Value = Writing> {
    let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (line_end, any::<bool>(), any::<bool>()).prop_map(|(line_end, ascii, busy)| Writing {
        line_end,
        ascii,
        busy,
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(any::<usize>(), 0..12),
        Just((0..400).collect()),
    ]
}

/// What streams are made of, and what breaks them.
const FRAGMENTS: &[&[u8]] = &[
    b"data: ",
    b"\n",
    b"\r",
    b"{\"delta\":\"",
    b"\"}",
    b"{\"choices\":[",
    b"alice@example.com",
    b"\xFF",
    b"\xC3",
    b"\xA9",
    b"\\u00",
    b"40",
    b"[1,",
    b"4111111111111111",
    b" ",
    b"[",
    b"]",
    b",",
    b"\xEF\xBB\xBF",
    b"\\",
    b"\"",
    b": ",
    b"{",
    b"}",
    b"\"logprobs\":{",
    b"null",
    b"event: ",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_says_what_masking_the_whole_would_have_said(
        case in 0..CASES.len(),
        text in texts(),
        inner in cuts(),
        outer in cuts(),
        writing in writings(),
    ) {
        let case = &CASES[case];
        let said = pieces(&text, &inner);
        let mut sent: Vec<Value> = said.iter().map(|piece| (case.event)(piece)).collect();
        sent.extend(case.end.map(|end| end()));
        let body: Vec<u8> = sent
            .iter()
            .flat_map(|event| framed(event, case.framing, writing))
            .collect();
        let body = match case.framing {
            Framing::Elements => {
                let lines = String::from_utf8(body).unwrap();
                format!("[{}]\n", lines.trim_end().replace('\n', "\n,\r\n")).into_bytes()
            }
            _ => body,
        };
        let mut stream = stream(masks(), case.dialect, case.framing);
        let masked = through(&mut stream, &body, &outer);
        let got = events(&masked, case.framing);
        prop_assert_eq!(got.len(), sent.len(), "{}: events neither come nor go", case.name);
        let joined: String = got
            .iter()
            .filter_map(|event| event.pointer(case.place)?.as_str())
            .collect();
        prop_assert_eq!(&joined, &whole(&text), "{}", case.name);
        for (mut got, mut sent) in got.into_iter().zip(sent) {
            for event in [&mut got, &mut sent] {
                if let Some(place) = event.pointer_mut(case.place) {
                    *place = Value::Null;
                }
            }
            prop_assert_eq!(got, sent, "{}: nothing else changes", case.name);
        }
        if whole(&text) == text {
            prop_assert_eq!(masked, body, "{}: what has nothing in it stays as it came", case.name);
        }
    }

    #[test]
    fn arguments_of_tools_are_masked_inside_their_own_strings(
        values in prop::collection::vec(texts(), 1..4),
        inner in cuts(),
        outer in cuts(),
        writing in writings(),
        nested in any::<bool>(),
    ) {
        let arguments = json!({"to": values, "n": 4111111111111111_u64, "note": {"CASE-12345678": values[0]}});
        let expected: Vec<String> = values.iter().map(|value| whole(value)).collect();
        let expected = json!({"to": expected, "n": "[CREDIT_CARD]", "note": {"CASE-12345678": expected[0]}});
        let arguments = written(&arguments, writing);
        let arguments = if nested { json!({"inner": arguments}).to_string() } else { arguments };
        let sent: Vec<Value> = pieces(&arguments, &inner)
            .iter()
            .map(|piece| chat(&json!({"tool_calls": [{"function": {"arguments": piece}, "index": 3}]})))
            .collect();
        let body: Vec<u8> = sent
            .iter()
            .flat_map(|event| framed(event, Framing::Events, writing))
            .collect();
        let mut stream = stream(masks(), Dialect::OpenAi, Framing::Events);
        let masked = through(&mut stream, &body, &outer);
        let joined: String = events(&masked, Framing::Events)
            .iter()
            .map(|event| event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap())
            .collect();
        let mut got: Value = serde_json::from_str(&joined).unwrap();
        if nested {
            got = serde_json::from_str(got["inner"].as_str().unwrap()).unwrap();
        }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_json_body_is_masked_string_by_string(
        values in prop::collection::vec(texts(), 1..5),
        outer in cuts(),
        writing in writings(),
    ) {
        let body = written(&json!({"a": values, "b": {"c": values[0], "d": [1, null, true, "x"]}}), writing);
        let masked = through(&mut stream(masks(), Dialect::Plain, Framing::Json), body.as_bytes(), &outer);
        let got: Value = serde_json::from_slice(&masked).unwrap();
        let expected: Vec<String> = values.iter().map(|value| whole(value)).collect();
        prop_assert_eq!(got, json!({"a": expected, "b": {"c": expected[0], "d": [1, null, true, "x"]}}));
        if expected == values {
            prop_assert_eq!(masked, body.into_bytes());
        }
    }

    #[test]
    fn a_plain_body_is_masked_as_one_text(
        text in texts(),
        outer in cuts(),
        framing in prop_oneof![Just(Framing::Text), Just(Framing::EventsOrText)],
    ) {
        let masked = through(&mut stream(masks(), Dialect::Plain, framing), text.as_bytes(), &outer);
        prop_assert_eq!(String::from_utf8(masked).unwrap(), whole(&text));
    }

    #[test]
    fn any_bytes_at_all_come_out_the_same_wherever_they_are_cut(
        framing in prop_oneof![
            Just(Framing::Text),
            Just(Framing::Json),
            Just(Framing::Events),
            Just(Framing::EventsOrText),
            Just(Framing::Lines),
            Just(Framing::Elements),
        ],
        parts in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..30),
        outer in cuts(),
    ) {
        let body = parts.concat();
        let once = through(&mut stream(masks(), Dialect::Plain, framing), &body, &[]);
        let cut = through(&mut stream(masks(), Dialect::Plain, framing), &body, &outer);
        prop_assert_eq!(
            String::from_utf8_lossy(&once),
            String::from_utf8_lossy(&cut)
        );
    }
}

fn chat_event(text: &str) -> Vec<u8> {
    let writing = Writing {
        line_end: "\n",
        ascii: false,
        busy: false,
    };
    framed(&chat(&json!({"content": text})), Framing::Events, writing)
}

#[test]
fn the_replacement_stands_where_the_match_begins_and_the_others_lose_their_part() {
    let mut stream = stream(masks(), Dialect::OpenAi, Framing::Events);
    let body: Vec<u8> = ["write to ali", "ce@exam", "", "ple.com now"]
        .iter()
        .flat_map(|piece| chat_event(piece))
        .collect();
    let masked = through(&mut stream, &body, &[]);
    let said: Vec<Value> = events(&masked, Framing::Events)
        .iter()
        .map(|event| event["choices"][0]["delta"]["content"].clone())
        .collect();
    assert_eq!(said, ["write to [EMAIL]", "", "", " now"]);
    let counts = stream.counts();
    assert_eq!(counts.len(), 1);
    assert_eq!(
        (counts[0].name.as_str(), counts[0].applied, counts[0].count),
        ("EMAIL", true, 1)
    );
    assert!(stream.counts().is_empty());
}

#[test]
fn what_stands_for_itself_is_masked_where_events_are_written_alike() {
    let body = |noises: [&str; 7]| -> String {
        let event = |noise: &str| {
            let said = r#""choices":[{"index":0,"delta":{"content":"a"}}]"#;
            format!("data: {{\"id\":\"c1\",{said},\"n\":1,\"noise\":\"{noise}\"}}\n\n")
        };
        noises.map(event).concat()
    };
    let sent = body([
        "a1",
        "b2",
        "bob@example.com",
        "c3",
        "CASE-1234",
        "\\u0040",
        "d4",
    ]);
    let expected = body(["a1", "b2", "[EMAIL]", "c3", "[CASE_ID]", "\\u0040", "d4"]);
    let mut stream = stream(masks(), Dialect::OpenAi, Framing::Events);
    let out = through(&mut stream, sent.as_bytes(), &[]);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn two_answers_in_one_stream_are_two_texts() {
    let mut stream = stream(masks(), Dialect::OpenAi, Framing::Events);
    let body = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ali\"}},{\"index\":1,\"delta\":{\"content\":\"bo\"}}]}\n\n\
                data: {\"choices\":[{\"delta\":{\"content\":\"b@example.org\"},\"index\":1},{\"delta\":{\"content\":\"ce@example.com\"},\"index\":0}]}\n\n\
                data: [DONE]\n\n";
    let masked = through(&mut stream, body.as_bytes(), &[]);
    assert_eq!(
        String::from_utf8(masked).unwrap(),
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"[EMAIL]\"}},{\"index\":1,\"delta\":{\"content\":\"[EMAIL]\"}}]}\n\n\
         data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"index\":1},{\"delta\":{\"content\":\"\"},\"index\":0}]}\n\n\
         data: [DONE]\n\n"
    );
}

#[test]
fn what_says_the_text_again_is_masked_whole_and_probabilities_are_emptied() {
    let mut stream = stream(masks(), Dialect::OpenAi, Framing::Events);
    let body = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a@example.com\",\"logprobs\":[{\"token\":\"a\"}],\"output_index\":0}\n\n\
                event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"a@example.com\",\"output_index\":0,\"logprobs\":[]}\n\n\
                data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"logprobs\":{\"content\":[{\"token\":\"x\",\"bytes\":[1]}]}}]}\n\n";
    let masked = String::from_utf8(through(&mut stream, body.as_bytes(), &[])).unwrap();
    assert_eq!(
        masked,
        body.replace("a@example.com", "[EMAIL]")
            .replace("[{\"token\":\"a\"}]", "[]")
            .replace("{\"content\":[{\"token\":\"x\",\"bytes\":[1]}]}", "null")
    );
}

#[test]
fn a_chunk_of_an_invoked_model_is_written_anew_with_right_checksums() {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let mut stream = stream(masks(), Dialect::Bedrock, Framing::Messages);
    let headers = [(":event-type", "chunk"), (":message-type", "event")];
    let body: Vec<u8> = ["x ali", "ce@example.com y"]
        .iter()
        .flat_map(|piece| {
            let inner =
                json!({"type": "content_block_delta", "index": 0, "delta": {"text": piece}});
            let inner = BASE64_STANDARD.encode(inner.to_string());
            aws::write(
                &headers,
                format!("{{\"bytes\":\"{inner}\",\"p\":\"abc\"}}").as_bytes(),
            )
        })
        .collect();
    for cuts in [vec![], (0..500).collect()] {
        let masked = through(&mut stream, &body, &cuts);
        let texts: Vec<Value> = events(&masked, Framing::Messages)
            .iter()
            .map(|event| event["delta"]["text"].clone())
            .collect();
        assert_eq!(texts, ["x [EMAIL]", " y"]);
    }
    let mut out = Vec::new();
    let broken = aws::write(&headers, b"{\"bytes\":17}");
    assert_eq!(stream.push(&broken, &mut out), Err(Unreadable));
}

#[test]
fn an_error_where_an_array_was_expected_is_one_json_text() {
    let body = r#"{"error":{"message":"al\u0069ce@example.com"},"details":[{"a":"b"}]}"#;
    for cut in 0..body.len() {
        let mut stream = stream(masks(), Dialect::Gemini, Framing::Elements);
        let masked = through(&mut stream, body.as_bytes(), &[cut]);
        assert_eq!(
            String::from_utf8(masked).unwrap(),
            r#"{"error":{"message":"[EMAIL]"},"details":[{"a":"b"}]}"#
        );
    }
}

#[test]
fn white_space_is_not_kept_for_ever() {
    let mut stream = stream(masks(), Dialect::Gemini, Framing::Elements);
    let mut out = Vec::new();
    stream.push(&[b' '; MAX_SPACE], &mut out).unwrap();
    assert!(out.is_empty());
    stream.push(b" ", &mut out).unwrap();
    assert_eq!(out.len(), MAX_SPACE + 1);
}

#[test]
fn members_are_masked_or_left_out_whole() {
    let fields = vec![
        field("user.email", FieldAction::Mask),
        field("user.notes", FieldAction::Mask),
        field("items.*.owner", FieldAction::Drop),
        field("first", FieldAction::Drop),
        field("last", FieldAction::Drop),
        field("gone", FieldAction::Mask),
    ];
    let masks = Masks::of_responses(&policy(fields)).unwrap();
    let body = r#"{"first" : {"a":[1,2]} , "user":{"email":"none","notes":{"a":["b",{"c":1}]},"age":7},"items":[{"owner":"x","id":1},{"id":2,"owner":[3]},{"owner":4}],"gone":null,"n": 12 , "last":"z"}"#;
    let expected = r#"{ "user":{"email":"[FIELD]","notes":"[FIELD]","age":7},"items":[{"id":1},{"id":2},{}],"gone":null,"n": 12 }"#;
    for cut in 0..=body.len() {
        for framing in [Framing::Json, Framing::Lines] {
            let mut stream = stream(&masks, Dialect::Plain, framing);
            let masked = through(&mut stream, body.as_bytes(), &[cut]);
            assert_eq!(
                String::from_utf8(masked).unwrap(),
                expected,
                "{framing:?} {cut}"
            );
            let counts = stream.counts();
            assert_eq!((counts[0].name.as_str(), counts[0].count), ("FIELD", 7));
        }
    }
    let bytes: Vec<usize> = (0..body.len()).collect();
    let masked = through(
        &mut stream(&masks, Dialect::Plain, Framing::Json),
        body.as_bytes(),
        &bytes,
    );
    assert_eq!(String::from_utf8(masked).unwrap(), expected);
}

#[test]
fn a_hidden_member_of_what_is_no_json_any_more_stays_hidden() {
    let masks = Masks::of_responses(&policy(vec![field("a", FieldAction::Mask)])).unwrap();
    for body in [
        r#"{"a":{"secret" "#,
        r#"{"a":{"b" 1 secret"#,
        r#"{"a":"secret"#,
    ] {
        for framing in [Framing::Json, Framing::Lines, Framing::Events] {
            let event = match framing {
                Framing::Events => format!("data: {body}\n\n"),
                _ => body.to_owned(),
            };
            for cut in 0..event.len() {
                let mut stream = stream(&masks, Dialect::Plain, framing);
                let masked = through(&mut stream, event.as_bytes(), &[cut]);
                assert!(
                    !String::from_utf8(masked).unwrap().contains("secret"),
                    "{event}"
                );
            }
        }
    }
}

#[test]
fn what_is_only_counted_is_not_changed() {
    let mut policy = policy(vec![field("a", FieldAction::Drop)]);
    policy
        .items
        .iter_mut()
        .for_each(|item| item.enforce = false);
    policy.fields[0].enforce = false;
    let masks = Masks::of_responses(&policy).unwrap();
    let body = r#"{"a":"alice@example.com","n":4111111111111111,"logprobs":{"x":"y"}}"#;
    let mut stream = stream(&masks, Dialect::Plain, Framing::Json);
    assert_eq!(through(&mut stream, body.as_bytes(), &[]), body.as_bytes());
    let counts: Vec<(String, bool, u64)> = stream
        .counts()
        .into_iter()
        .map(|masked| (masked.name, masked.applied, masked.count))
        .collect();
    assert_eq!(
        counts,
        [("EMAIL", 1), ("CREDIT_CARD", 1), ("FIELD", 1)].map(|(name, count)| (
            name.to_owned(),
            false,
            count
        ))
    );
}

#[test]
fn more_than_may_wait_breaks_the_answer_off() {
    let mut stream = stream(masks(), Dialect::OpenAi, Framing::Events);
    let mut out = Vec::new();
    // A text of its own for every event, none of which is over.
    let result = (0..2000).try_for_each(|index| {
        let event = format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"ab\"}}}}]}}\n\n"
        );
        stream.push(event.as_bytes(), &mut out)
    });
    assert_eq!(result, Err(Unreadable));

    let mut stream = self::stream(masks(), Dialect::OpenAi, Framing::Events);
    let long = vec![b'x'; MAX_HELD];
    let result = stream
        .push(b"data: \"", &mut out)
        .and(stream.push(&long, &mut out));
    assert_eq!(result, Err(Unreadable));

    let mut stream = self::stream(masks(), Dialect::Ollama, Framing::Lines);
    assert_eq!(
        stream.push(&vec![b'x'; MAX_HELD + 1], &mut out),
        Err(Unreadable)
    );

    let mut stream = self::stream(masks(), Dialect::Bedrock, Framing::Messages);
    assert_eq!(stream.push(b"no message at all", &mut out), Err(Unreadable));
}

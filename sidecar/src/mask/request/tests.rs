//! What is masked in a call, what is kept, and what comes back.

use std::collections::BTreeSet;

use http::Response;
use http_body_util::Full;
use postern_crds::{
    egress_policy::{Detector, FieldAction, MaskStyle},
    policy::{self, Field, MaskItem, Step as PathStep},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::mask::Masking;

fn item(what: policy::Masked, style: MaskStyle) -> MaskItem {
    MaskItem {
        what,
        style,
        enforce: true,
        restore: style == MaskStyle::Pseudonym,
    }
}

/// Masks of mail, cases and people in one style, which are put back if they are pseudonyms.
fn masks(style: MaskStyle) -> Masks {
    let items = vec![
        item(policy::Masked::Detector(Detector::Email), style),
        item(policy::Masked::Detector(Detector::Phone), style),
        item(
            policy::Masked::Pattern {
                name: "CASE_ID".to_owned(),
                regex: "CASE-[0-9]{4,8}".to_owned(),
            },
            style,
        ),
        item(
            policy::Masked::Dictionary {
                name: "PERSON".to_owned(),
                words: BTreeSet::from(["Ann \"Quo\\te\"".to_owned(), "José".to_owned()]),
                ignore_case: false,
            },
            style,
        ),
    ];
    let path = vec![PathStep::Name("metadata".to_owned())];
    Masks::of_requests(&policy::Masks {
        items,
        phone_regions: BTreeSet::new(),
        fields: vec![Field {
            path,
            action: FieldAction::Drop,
            enforce: true,
        }],
    })
    .unwrap()
}

fn headers(kind: Option<&str>) -> HeaderMap {
    let kind = kind.map(|kind| (header::CONTENT_TYPE, kind.parse().unwrap()));
    kind.into_iter().collect()
}

fn sent(masks: &Masks, body: &str) -> Sent {
    request(
        masks,
        Dialect::OpenAi,
        &headers(Some("application/json")),
        body.as_bytes(),
    )
    .unwrap()
}

fn body_of(sent: &Sent) -> Json {
    serde_json::from_slice(sent.body.as_ref().unwrap()).unwrap()
}

#[test]
fn every_text_is_masked_and_what_the_provider_goes_by_is_kept() {
    let arguments =
        json!({"to": "bob@example.com", "id": "CASE-1234", "type": 4_915_123_456_789_u64});
    let body = json!({
        "model": "CASE-1234",
        "seed": 4_915_123_456_789_u64,
        "user": "bob@example.com",
        "metadata": {"owner": "x"},
        "messages": [
            {"role": "system", "content": "about CASE-1234"},
            {"role": "user", "content": [{"type": "text", "text": "mail bob@example.com"}]},
            {"role": "assistant", "tool_calls": [{"id": "CASE-1234", "type": "function",
                "function": {"name": "CASE-1234", "arguments": arguments.to_string()}}]},
            {"role": "tool", "tool_call_id": "CASE-1234", "content": "{\"mail\":\"bob\\u0040example.com\"}"},
        ],
        "tools": [{"type": "function", "function": {"name": "CASE-1234", "description": "for José", "parameters":
            {"type": "object", "required": ["CASE-1234"], "properties": {"CASE-1234": {"type": "string", "maximum": 4_915_123_456_789_u64,
             "description": "CASE-1234"}}}}}],
    });
    let sent = sent(&masks(MaskStyle::Label), &body.to_string());
    assert_eq!(
        body_of(&sent),
        json!({
            "model": "CASE-1234",
            "seed": 4_915_123_456_789_u64,
            "user": "[EMAIL]",
            "messages": [
                {"role": "system", "content": "about [CASE_ID]"},
                {"role": "user", "content": [{"type": "text", "text": "mail [EMAIL]"}]},
                {"role": "assistant", "tool_calls": [{"id": "CASE-1234", "type": "function",
                    "function": {"name": "CASE-1234", "arguments":
                        "{\"id\":\"[CASE_ID]\",\"to\":\"[EMAIL]\",\"type\":4915123456789}"}}]},
                {"role": "tool", "tool_call_id": "CASE-1234", "content": "{\"mail\":\"[EMAIL]\"}"},
            ],
            "tools": [{"type": "function", "function": {"name": "CASE-1234", "description": "for [PERSON]", "parameters":
                {"type": "object", "required": ["CASE-1234"], "properties": {"CASE-1234": {"type": "string", "maximum": 4_915_123_456_789_u64,
                 "description": "[CASE_ID]"}}}}}],
        })
    );
    assert!(sent.restoring.is_none());
    let counts: Vec<_> = sent
        .masked
        .iter()
        .map(|one| (one.name.as_str(), one.count))
        .collect();
    assert_eq!(
        counts,
        [("EMAIL", 4), ("CASE_ID", 3), ("PERSON", 1), ("FIELD", 1)]
    );
}

#[test]
fn a_text_that_only_begins_like_json_hides_nothing() {
    for (text, masked) in [
        ("{\" bob@example.com", "{\" [EMAIL]"),
        (
            "{\"a\": \"Jos\\u00e9\", \"bob@example.com",
            "{\"a\": \"[PERSON]\", \"[EMAIL]",
        ),
        ("[CASE-1234] José", "[[CASE_ID]] [PERSON]"),
        ("{'mail': 'bob@example.com'}", "{'mail': '[EMAIL]'}"),
        (
            "{\"a\": \"{\\\"bob@example.com\"}",
            "{\"a\": \"{\\\"[EMAIL]\"}",
        ),
    ] {
        let body = json!({"input": text}).to_string();
        let sent = sent(&masks(MaskStyle::Label), &body);
        assert_eq!(body_of(&sent)["input"], masked, "{text}");
        let count: u64 = sent.masked.iter().map(|one| one.count).sum();
        assert_eq!(
            count,
            masked.matches("_ID]").count() as u64
                + masked.matches("[EMAIL]").count() as u64
                + masked.matches("[PERSON]").count() as u64
        );
    }
    // The names of members stay.
    let body = json!({"input": "{\"bob@example.com\":1}"}).to_string();
    assert!(sent(&masks(MaskStyle::Label), &body).body.is_none());
}

#[test]
fn what_has_nothing_to_mask_is_sent_as_it_came() {
    let nothing = sent(
        &masks(MaskStyle::Label),
        r#"{ "model":"a", "input": ["\u0041"] }"#,
    );
    assert!(nothing.body.is_none() && nothing.masked.is_empty() && nothing.restoring.is_none());
}

#[test]
fn of_a_service_that_is_not_known_every_string_but_the_model_is_masked() {
    let masks = masks(MaskStyle::Label);
    let masked = |kind, body: &str| {
        let sent = request(&masks, Dialect::Plain, &headers(kind), body.as_bytes());
        sent.map(|sent| String::from_utf8(sent.body.unwrap().to_vec()).unwrap())
    };
    let json = Some("application/json; charset=UTF-8");
    assert_eq!(
        masked(
            json,
            r#"{"model":"CASE-1234","id":"CASE-1234","CASE-1234":[1]}"#
        )
        .unwrap(),
        r#"{"model":"CASE-1234","id":"[CASE_ID]","CASE-1234":[1]}"#
    );
    assert_eq!(
        masked(
            Some("application/x-ndjson"),
            "{\"a\":\"CASE-1234\"}\n{\"b\":\"CASE-1234\"}\n"
        )
        .unwrap(),
        "{\"a\":\"[CASE_ID]\"}\n{\"b\":\"[CASE_ID]\"}\n"
    );
    assert_eq!(
        masked(Some("text/plain"), "see CASE-1234").unwrap(),
        "see [CASE_ID]"
    );
    assert_eq!(
        masked(None, r#"["CASE-1234"]"#).unwrap(),
        r#"["[CASE_ID]"]"#
    );
}

#[test]
fn what_can_be_read_in_more_ways_than_one_is_not_sent() {
    let masks = masks(MaskStyle::Label);
    let refused = |dialect, kind, body: &[u8]| {
        request(&masks, dialect, &headers(kind), body)
            .err()
            .unwrap_or_else(|| panic!("{kind:?} {}", String::from_utf8_lossy(body)))
    };
    for kind in [
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/grpc",
        "image/png",
        "audio/wav",
        "text/event-stream",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "text/plain; charset=\"utf-7\"",
        "json",
        "",
    ] {
        assert_eq!(
            refused(Dialect::OpenAi, Some(kind), b"{}"),
            Unsendable::Type,
            "{kind}"
        );
    }
    let json = Some("application/json");
    for body in [
        &br#"{"a":1,"a":2}"#[..],
        b"{} {}",
        b"{",
        b"",
        b"hello",
        b"\xef\xbb\xbf{}",
    ] {
        assert!(matches!(
            refused(Dialect::OpenAi, json, body),
            Unsendable::Text(_)
        ));
        assert!(matches!(
            refused(Dialect::OpenAi, None, body),
            Unsendable::Text(_)
        ));
    }
    assert_eq!(
        refused(Dialect::OpenAi, json, b"{\"a\":\"\xff\"}"),
        Unsendable::Type
    );
    assert!(matches!(
        refused(Dialect::Ollama, Some("text/plain"), b"hello"),
        Unsendable::Text(_)
    ));
    let lines = Some("application/x-ndjson");
    assert!(matches!(
        refused(Dialect::Pinecone, lines, b"{}\n{"),
        Unsendable::Text(_)
    ));
}

#[test]
fn what_is_observed_is_counted_and_stays() {
    let mut observed = item(policy::Masked::Detector(Detector::Email), MaskStyle::Label);
    observed.enforce = false;
    let masks = Masks::of_requests(&policy::Masks {
        items: vec![observed],
        ..policy::Masks::default()
    })
    .unwrap();
    assert!(!masks.enforce());
    let sent = sent(&masks, r#"{"input":"bob@example.com"}"#);
    assert!(sent.body.is_none());
    assert_eq!((sent.masked[0].count, sent.masked[0].applied), (1, false));
}

/// The answer that starts with these headers, after what was masked in its call is put back.
fn restored(masker: &Arc<Masker>, kind: &'static str, body: &[u8], cuts: &[usize]) -> String {
    let mut response = Response::builder()
        .header("content-type", kind)
        .header("content-length", body.len())
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let stream = kind == "text/event-stream";
    let mut masking = Masking::restoring(masker, Dialect::OpenAi, stream, &mut response).unwrap();
    assert!(!response.headers().contains_key("content-length"));
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    cuts.sort_unstable();
    let (mut out, mut from) = (Vec::new(), 0);
    for upto in cuts {
        let piece = Bytes::copy_from_slice(&body[from..upto]);
        out.extend(masking.push(piece).unwrap());
        from = upto;
    }
    out.extend(
        masking
            .finish(Bytes::copy_from_slice(&body[from..]))
            .unwrap(),
    );
    String::from_utf8(out).unwrap()
}

/// What a call with this text sends of it, and what puts the rest back.
fn through(text: &str) -> (String, Option<Arc<Masker>>) {
    let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
    let sent = sent(&masks(MaskStyle::Pseudonym), &body);
    let body = sent.body.as_deref().unwrap_or(body.as_bytes());
    let body: Json = serde_json::from_slice(body).unwrap();
    let content = body["messages"][0]["content"].as_str().unwrap().to_owned();
    (content, sent.restoring)
}

/// Events that say `text` in pieces of so many characters, as content and as the arguments of a tool.
fn events(text: &str, pieces: &[usize]) -> String {
    let mut pieces = pieces.iter().cycle();
    let arguments = json!({"text": text, "inner": json!([text]).to_string()}).to_string();
    let mut stream = String::new();
    for (all, is_content) in [(text, true), (arguments.as_str(), false)] {
        let mut rest = all;
        while !rest.is_empty() {
            let length = *pieces.next().unwrap();
            let end = rest
                .char_indices()
                .nth(length)
                .map_or(rest.len(), |(at, _)| at);
            let delta = if is_content {
                json!({"content": &rest[..end]})
            } else {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": &rest[..end]}}]})
            };
            let event = json!({"choices": [{"index": 0, "delta": delta}]});
            stream += &format!("data: {event}\n\n");
            rest = &rest[end..];
        }
    }
    stream + "data: [DONE]\n\n"
}

/// What a program puts together: the content, and both texts in the arguments.
fn read(stream: &str) -> [String; 3] {
    let joined = |place: &str| -> String {
        stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter_map(|data| serde_json::from_str::<Json>(data).ok())
            .filter_map(|event| Some(event.pointer(place)?.as_str()?.to_owned()))
            .collect()
    };
    let arguments = joined("/choices/0/delta/tool_calls/0/function/arguments");
    let arguments: Json = serde_json::from_str(&arguments).unwrap();
    let inner: Json = serde_json::from_str(arguments["inner"].as_str().unwrap()).unwrap();
    [
        joined("/choices/0/delta/content"),
        arguments["text"].as_str().unwrap().to_owned(),
        inner[0].as_str().unwrap().to_owned(),
    ]
}

#[test]
fn a_model_may_write_a_pseudonym_in_any_case_and_anywhere() {
    let (content, restoring) = through("Ann \"Quo\\te\"");
    let masker = restoring.unwrap();
    assert!(content.starts_with("PERSON-") && content.len() == "PERSON-bdfghjkl".len());
    let (small, capital) = (content.to_lowercase(), content.to_uppercase());
    let answer = json!({"text": format!("[{content}]({small}), *{capital}*s")}).to_string();
    let answer = restored(&masker, "application/json", answer.as_bytes(), &[]);
    let answer: Json = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer["text"],
        "[Ann \"Quo\\te\"](Ann \"Quo\\te\"), *Ann \"Quo\\te\"*s"
    );
    let plain = restored(&masker, "text/plain", content.as_bytes(), &[3]);
    assert_eq!(plain, "Ann \"Quo\\te\"");
}

#[test]
fn the_same_value_has_the_same_pseudonym_in_every_call() {
    let (one, _) = through("to bob@example.com");
    let (other, _) = through("again: bob@example.com, José, BOB@example.com");
    let name = one.strip_prefix("to ").unwrap();
    assert_eq!(other.matches(name).count(), 2, "{one} {other}");
    let (none, restoring) = through("nothing here");
    assert_eq!(none, "nothing here");
    assert!(restoring.is_none());
}

#[test]
fn the_spelling_that_a_call_had_first_comes_back() {
    let (content, restoring) = through("+49 30 901820 and +49-30-901820");
    let (first, second) = content.split_once(" and ").unwrap();
    assert_eq!(first, second);
    let answer = restored(&restoring.unwrap(), "text/plain", second.as_bytes(), &[]);
    assert_eq!(answer, "+49 30 901820");
}

/// Values and what stands between them.
fn text() -> impl Strategy<Value = String> {
    let planted = prop::sample::select(vec![
        "bob@example.com",
        "jörg@exämple.co.uk",
        "CASE-1234",
        "CASE-12345678",
        "Ann \"Quo\\te\"",
        "José",
    ]);
    let piece = prop_oneof![
        planted.prop_map(str::to_owned),
        "[ .,:a-zA-Z\\\\\"né中😀{}\\[\\]\n-]{0,12}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn no_value_is_sent_whatever_stands_around_it(text in text()) {
        let (content, _) = through(&text);
        for value in ["bob@", "jörg@", "CASE-1", "Ann \"Quo", "José"] {
            prop_assert!(!content.contains(value), "{}", content);
        }
    }

    #[test]
    fn what_was_masked_comes_back_however_the_answer_is_cut(
        text in text(),
        pieces in prop::collection::vec(1_usize..9, 1..6),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        // What stands where a name would in an answer that begins like JSON is not looked at.
        let text = format!("- {text}");
        let (content, restoring) = through(&text);
        for value in ["bob@", "jörg@", "CASE-1", "Ann \"Quo", "José"] {
            prop_assert!(!content.contains(value), "{}", content);
        }
        let Some(masker) = restoring else {
            prop_assert_eq!(content, text);
            return Ok(());
        };
        let stream = events(&content, &pieces);
        let kind = "text/event-stream";
        let whole = restored(&masker, kind, stream.as_bytes(), &[]);
        prop_assert_eq!(&read(&whole)[0], &text);
        prop_assert_eq!(&read(&whole)[1], &text);
        prop_assert_eq!(&read(&whole)[2], &text);
        prop_assert_eq!(whole.matches("\n\n").count(), stream.matches("\n\n").count());
        prop_assert_eq!(&restored(&masker, kind, stream.as_bytes(), &cuts), &whole);
        let bytes: Vec<usize> = (0..stream.len()).collect();
        prop_assert_eq!(&restored(&masker, kind, stream.as_bytes(), &bytes), &whole);

        let answer = json!({"choices": [{"message": {"content": content}}]}).to_string();
        let answer = restored(&masker, "application/json", answer.as_bytes(), &cuts);
        let answer: Json = serde_json::from_str(&answer).unwrap();
        prop_assert_eq!(answer["choices"][0]["message"]["content"].as_str().unwrap(), &text);
    }
}

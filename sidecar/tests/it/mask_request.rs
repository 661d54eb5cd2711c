//! What a policy masks in a call does not reach the provider, and comes back where a policy says so.

use std::io::Write;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::{Response, request::Parts};
use http_body::Frame;
use serde_json::{Value, json};

use crate::support::{
    Answer, Body, Identity, Protocol, Sidecar, Upstream, full, line_of, stream, whole_log,
};

const CHAT: &str = "/openai/v1/chat/completions";
const MAIL: &str = "bob.of.the-request@example.com";

/// The policy of most tests: mail and names are pseudonyms on the way out.
fn restoring(identity: Identity) -> Identity {
    identity.member(
        "request",
        json!({"mask": {
            "restore": true,
            "detectors": ["EMAIL", "CREDIT_CARD"],
            "dictionaries": [{"name": "PERSON", "words": ["Ann \"Quote\" Bell"]}],
        }}),
    )
}

/// An upstream that answers with what `answer` makes of the call's body.
async fn upstream(answer: fn(&Parts, &Value) -> Response<Body>) -> Upstream {
    Upstream::answering(Protocol::Http1, move |parts, body| {
        answer(parts, &serde_json::from_slice(body).unwrap_or_default())
    })
    .await
}

/// Server-sent events in frames of a few bytes.
fn events(events: &[Value]) -> Response<Body> {
    let (sender, body) = stream();
    let mut text = String::new();
    for event in events {
        if let Some(kind) = event["type"].as_str() {
            text += &format!("event: {kind}\n");
        }
        text += &format!("data: {event}\n\n");
    }
    for piece in text.as_bytes().chunks(11) {
        let piece = Frame::data(Bytes::copy_from_slice(piece));
        sender.send(Ok(piece)).unwrap();
    }
    Response::builder()
        .header("content-type", "text/event-stream")
        .body(body)
        .unwrap()
}

fn json_answer(body: &Value) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/json")
        .header("content-length", body.to_string().len())
        .body(full(body.to_string()))
        .unwrap()
}

/// What a model says that repeats the last message, in pieces of three characters.
fn pieces(request: &Value) -> Vec<String> {
    let last = request["messages"].as_array().unwrap().last().unwrap();
    let said: Vec<char> = last["content"].as_str().unwrap().chars().collect();
    said.chunks(3).map(|piece| piece.iter().collect()).collect()
}

async fn post(sidecar: &Sidecar, path: &str, body: &Value) -> Answer {
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", path)
        .header("content-type", "application/json")
        .header("content-digest", "sha-256=:x:")
        .body(full(body.to_string()))
        .unwrap();
    client.send(request).await
}

/// The data of a stream's events.
fn data(stream: &str) -> Vec<Value> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

fn joined(events: &[Value], place: &str) -> String {
    let pieces = events
        .iter()
        .filter_map(|event| event.pointer(place)?.as_str());
    pieces.collect()
}

#[tokio::test]
async fn a_chat_reaches_the_provider_without_what_is_masked_and_its_answer_has_it_again() {
    let upstream = upstream(|_, request| {
        let content = pieces(request).concat();
        json_answer(&json!({"id": "1", "model": "gpt-4o", "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}],
                            "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}}))
    })
    .await;
    let sidecar = restoring(Identity::openai_at(&upstream)).serve().await;
    let said =
        format!("Tell {MAIL} and Ann \"Quote\" Bell of 4111 1111 1111 1111, and {MAIL} again");
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": said}]});
    let answer = post(&sidecar, CHAT, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], said);
    assert_eq!(answer.json()["usage"]["total_tokens"], 11);

    let seen = upstream.saw_one();
    let sent = String::from_utf8(seen.body.to_vec()).unwrap();
    for value in [MAIL, "Quote", "4111"] {
        assert!(!sent.contains(value), "{sent}");
    }
    assert!(
        sent.contains("CREDIT_CARD-") && sent.contains("PERSON-"),
        "{sent}"
    );
    assert_eq!(sent.matches("EMAIL-").count(), 2);
    assert_eq!(
        seen.header("content-length"),
        Some(sent.len().to_string().as_str())
    );
    assert_eq!(seen.header("content-digest"), None);

    let line = line_of(answer.request_id()).await;
    assert_eq!(
        (&line["request_masked"], &line["restored"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(line["masked"], Value::Null);
    assert_eq!(line["bytes_in"], sent.len());
    let metrics = sidecar.metrics().await;
    for line in [
        r#"postern_request_masked_total{detector="EMAIL",route="openai"} 2"#,
        r#"postern_request_masked_total{detector="PERSON",route="openai"} 1"#,
        r#"postern_mask_restored_total{route="openai"} 4"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(!metrics.contains(MAIL) && !whole_log().contains(MAIL));

    // The next turn says the same of the same.
    let again = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": said}, {"role": "user", "content": "go on"}]});
    post(&sidecar, CHAT, &again).await;
    let second: Value = serde_json::from_slice(&upstream.seen()[1].body).unwrap();
    let first: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(second["messages"][0], first["messages"][0]);
}

#[tokio::test]
async fn a_stream_of_chat_and_a_call_of_a_tool_get_back_what_was_masked() {
    let upstream = upstream(|_, request| {
        let chunk = |delta: Value, finish: Value| {
            json!({"id": "1", "object": "chat.completion.chunk", "model": "gpt-4o",
                   "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        };
        let mut all: Vec<Value> = pieces(request)
            .iter()
            .map(|piece| chunk(json!({"content": piece}), Value::Null))
            .collect();
        let said = pieces(request).concat();
        let arguments = json!({"to": said, "note": json!({"deep": said}).to_string()}).to_string();
        for piece in arguments.as_bytes().chunks(4) {
            let piece = std::str::from_utf8(piece).unwrap();
            let call = json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
            all.push(chunk(call, Value::Null));
        }
        all.push(chunk(json!({}), json!("tool_calls")));
        events(&all)
    })
    .await;
    let sidecar = restoring(Identity::openai_at(&upstream)).serve().await;
    let said = format!("{MAIL}, Ann \"Quote\" Bell");
    let body = json!({"model": "gpt-4o", "stream": true, "messages": [
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function":
            {"name": "send", "arguments": json!({"to": MAIL}).to_string()}}]},
        {"role": "user", "content": said},
    ]});
    let answer = post(&sidecar, CHAT, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let events = data(&answer.text());
    assert_eq!(joined(&events, "/choices/0/delta/content"), said);
    let arguments = joined(&events, "/choices/0/delta/tool_calls/0/function/arguments");
    let arguments: Value = serde_json::from_str(&arguments).unwrap();
    assert_eq!(arguments["to"], said);
    let deep: Value = serde_json::from_str(arguments["note"].as_str().unwrap()).unwrap();
    assert_eq!(deep["deep"], said);
    let sent = upstream.saw_one().body;
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert!(!sent.to_string().contains(MAIL) && !sent.to_string().contains("Quote"));
    assert_eq!(sent["messages"][0]["tool_calls"][0]["id"], "call_1");
    assert_eq!(
        sent["messages"][0]["tool_calls"][0]["function"]["name"],
        "send"
    );
}

#[tokio::test]
async fn a_stream_of_anthropic_gets_back_what_was_masked_in_text_and_in_input() {
    let upstream = upstream(|_, request| {
        let said = pieces(request).concat();
        let mut all = vec![
            json!({"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 3}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ];
        for piece in pieces(request) {
            all.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}));
        }
        all.push(json!({"type": "content_block_stop", "index": 0}));
        all.push(json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "send", "input": {}}}));
        for piece in json!({"to": [said]}).to_string().as_bytes().chunks(5) {
            let piece = std::str::from_utf8(piece).unwrap();
            all.push(json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}));
        }
        all.push(json!({"type": "content_block_stop", "index": 1}));
        all.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}}));
        all.push(json!({"type": "message_stop"}));
        events(&all)
    })
    .await;
    let identity = Identity::new()
        .credential("claude", "anthropic", &upstream, "sk-ant-real")
        .allowing_all();
    let sidecar = restoring(identity).serve().await;
    let said = format!("Ann \"Quote\" Bell <{MAIL}>");
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true, "system": [{"type": "text", "text": MAIL}],
                      "messages": [{"role": "user", "content": said}]});
    let answer = post(&sidecar, "/claude/v1/messages", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let events = data(&answer.text());
    assert_eq!(joined(&events, "/delta/text"), said);
    let input: Value = serde_json::from_str(&joined(&events, "/delta/partial_json")).unwrap();
    assert_eq!(input["to"][0], said);
    let sent = String::from_utf8(upstream.saw_one().body.to_vec()).unwrap();
    assert!(!sent.contains(MAIL) && !sent.contains("Quote"), "{sent}");
    assert!(sent.contains("claude-sonnet-4-5"));
}

#[tokio::test]
async fn what_the_program_said_itself_comes_back_and_what_else_is_masked_does_not() {
    let upstream = upstream(|_, request| {
        let said = pieces(request).concat();
        json_answer(
            &json!({"choices": [{"message": {"content": format!("{said} or eve@example.com")}}]}),
        )
    })
    .await;
    let identity = restoring(Identity::openai_at(&upstream))
        .member("response", json!({"mask": {"detectors": ["EMAIL", "PHONE", "US_SSN", "IBAN"], "phoneRegions": ["US", "DE"]}}));
    let sidecar = identity.serve().await;
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": MAIL}]});
    let answer = post(&sidecar, CHAT, &body).await;
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        format!("{MAIL} or [EMAIL]")
    );
    let line = line_of(answer.request_id()).await;
    assert_eq!(
        (&line["request_masked"], &line["masked"], &line["restored"]),
        (&json!(1), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_call_that_cannot_be_masked_is_not_made_and_one_without_a_body_is() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity =
        restoring(Identity::openai_at(&upstream)).member("maxInspectedBytes", json!(4096));
    let sidecar = identity.serve().await;
    let long = format!(r#"{{"input":"{}"}}"#, "a".repeat(5000));
    let twice = format!(r#"{{"input":"a","input":"{MAIL}"}}"#);
    let mut client = sidecar.client().await;
    for (kind, encoding, body) in [
        ("multipart/form-data; boundary=x", "", MAIL),
        ("application/octet-stream", "", MAIL),
        ("image/png", "", MAIL),
        ("application/x-www-form-urlencoded", "", "a=b"),
        ("application/json; charset=utf-16", "", "{}"),
        ("application/json", "", twice.as_str()),
        ("application/json", "", MAIL),
        ("application/json", "", long.as_str()),
        ("application/json", "gzip", "{}"),
        ("application/json", "compress", "{}"),
    ] {
        let mut request = client.request("POST", CHAT).header("content-type", kind);
        if !encoding.is_empty() {
            request = request.header("content-encoding", encoding);
        }
        let answer = client
            .send(request.body(full(body.to_owned())).unwrap())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason()),
            (403, Some("unmaskable")),
            "{kind} {encoding} {}",
            answer.text()
        );
        assert!(!answer.text().contains(MAIL));
        let line = line_of(answer.request_id()).await;
        assert_eq!(line["decision"], "deny");
    }
    assert!(upstream.seen().is_empty());
    let answer = client.get("/openai/v1/models").await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_compressed_call_is_masked_and_sent_without_its_encoding() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = restoring(Identity::openai_at(&upstream)).serve().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": MAIL}]});
    gzip.write_all(body.to_string().as_bytes()).unwrap();
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(full(gzip.finish().unwrap()))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.saw_one();
    assert_eq!(seen.header("content-encoding"), None);
    let sent: Value = serde_json::from_slice(&seen.body).unwrap();
    let content = sent["messages"][0]["content"].as_str().unwrap();
    assert!(content.starts_with("EMAIL-"), "{content}");
}

#[tokio::test]
async fn the_bytes_that_are_sent_are_the_ones_that_are_signed() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let keys = r#"{"accessKeyId": "AKIDREAL", "secretAccessKey": "aws-key-of-the-test"}"#;
    let identity = Identity::new()
        .credential("bedrock", "bedrock", &upstream, keys)
        .overriding(
            "bedrock",
            &json!({"awsSigV4": {"service": "bedrock", "region": "eu-central-1"}}),
        )
        .allowing_all();
    let sidecar = restoring(identity).serve().await;
    let body = json!({"messages": [{"role": "user", "content": [{"text": MAIL}]}]});
    let path = "/bedrock/model/anthropic.claude-v2/converse";
    let answer = post(&sidecar, path, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.saw_one();
    assert!(!String::from_utf8_lossy(&seen.body).contains(MAIL));
    let hash = digest(&SHA256, &seen.body);
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(seen.header("x-amz-content-sha256"), Some(hash.as_str()));
}

#[tokio::test]
async fn a_policy_that_observes_counts_and_changes_nothing() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = Identity::openai_at(&upstream)
        .trial(json!({"request": {"mask": {"detectors": ["EMAIL"]}}}));
    let sidecar = identity.serve().await;
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": MAIL}]});
    let answer = post(&sidecar, CHAT, &body).await;
    assert_eq!(upstream.saw_one().body, body.to_string());
    let line = line_of(answer.request_id()).await;
    assert_eq!(line["request_mask_observed"], 1);
    let metrics = sidecar.metrics().await;
    let expected = r#"postern_request_mask_observed_total{detector="EMAIL",route="openai"} 1"#;
    assert!(metrics.contains(expected), "{metrics}");
    // What it cannot read passes as it came.
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", "/openai/v1/files")
        .header("content-type", "application/octet-stream")
        .body(full(MAIL))
        .unwrap();
    assert_eq!(client.send(request).await.status, 200);
    assert_eq!(upstream.seen()[1].body, MAIL);
}

#[tokio::test]
async fn a_call_that_would_ask_for_something_else_is_not_made() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = Identity::new()
        .credential("weaviate", "weaviate", &upstream, "key")
        .allowing_all()
        .member(
            "request",
            json!({"mask": {"dictionaries": [{"name": "WORD", "words": ["Article", "secret"]}]}}),
        );
    let sidecar = identity.serve().await;
    let query = |text: &str| json!({"query": format!("{{ Get {{ {text}(where: {{path: \"a\", operator: Equal, valueText: \"secret\"}}) {{ title }} }} }}")});
    let answer = post(&sidecar, "/weaviate/v1/graphql", &query("Article")).await;
    assert_eq!(answer.reason(), Some("unmaskable"), "{}", answer.text());
    assert!(upstream.seen().is_empty());
    let answer = post(&sidecar, "/weaviate/v1/graphql", &query("Paper")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = String::from_utf8(upstream.saw_one().body.to_vec()).unwrap();
    assert!(sent.contains("Paper") && sent.contains("[WORD]"), "{sent}");
}

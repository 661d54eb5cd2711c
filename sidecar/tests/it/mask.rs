//! What a policy masks does not reach the program, in streams and in whole answers.

use std::{io::Write, sync::Mutex};

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::support::{
    Answer, Body, Client, Identity, Protocol, Sidecar, Upstream, eventually, full, line_of, soon,
    stream,
};

const CHAT: &str = "/openai/v1/chat/completions";

fn masking(upstream: &Upstream) -> Identity {
    Identity::openai_at(upstream).member(
        "response",
        json!({"mask": {
            "detectors": ["EMAIL", "CREDIT_CARD"],
            "patterns": [{"name": "CASE_ID", "regex": "CASE-[0-9]{4,8}"}],
            "fields": [{"path": "$.internal", "action": "Drop"}],
        }}),
    )
}

/// An upstream that answers every call with `body` and these headers.
async fn answering(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<Bytes>,
) -> Upstream {
    let body = body.into();
    Upstream::answering(Protocol::Http1, move |_, _| {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(full(body.clone())).unwrap()
    })
    .await
}

/// An upstream whose one answer is a stream of this type, and the sender of that.
async fn streaming(
    content_type: &'static str,
) -> (Upstream, UnboundedSender<std::io::Result<Frame<Bytes>>>) {
    let (sender, body) = stream();
    let body: Mutex<Option<Body>> = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        Response::builder()
            .header("content-type", content_type)
            .body(body.lock().unwrap().take().unwrap())
            .unwrap()
    })
    .await;
    (upstream, sender)
}

async fn ask(sidecar: &Sidecar) -> Answer {
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("range", "bytes=0-99")
        .body(full(r#"{"model":"gpt-4o","stream":true,"messages":[]}"#))
        .unwrap();
    client.send(request).await
}

fn chunk(delta: &Value) -> String {
    let chunk = json!({"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o",
                       "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

fn content(text: &str) -> String {
    chunk(&json!({"content": text}))
}

/// What a reader puts together of the deltas.
fn joined(stream: &str, place: &str) -> String {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str::<Value>(data).unwrap())
        .filter_map(|event| Some(event.pointer(place)?.as_str()?.to_owned()))
        .collect()
}

/// The next bytes of a stream.
async fn next(
    response: &mut Response<hyper::body::Incoming>,
) -> Option<Result<Bytes, hyper::Error>> {
    loop {
        let frame = soon("the next event came", response.body_mut().frame()).await?;
        match frame.map(|frame| frame.into_data().unwrap()) {
            Ok(data) if data.is_empty() => {}
            data => return Some(data),
        }
    }
}

#[tokio::test]
async fn what_is_spread_over_events_and_frames_is_masked_and_counted() {
    let arguments = r#"{"to":"al\u0069ce@example.com","card":4111111111111111}"#;
    let mut body = String::new();
    for piece in [
        "Write to ali",
        "ce@",
        "example",
        ".com about CA",
        "SE-1234",
        "5678, please.",
    ] {
        body += &content(piece);
    }
    for piece in arguments.as_bytes().chunks(3) {
        let piece = std::str::from_utf8(piece).unwrap();
        body += &chunk(&json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    }
    body += "data: [DONE]\n\n";
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for h2_caller in [false, true] {
            let sent = body.clone();
            let upstream = Upstream::answering(protocol, move |_, _| {
                let (sender, body) = stream();
                for piece in sent.as_bytes().chunks(7) {
                    sender
                        .send(Ok(Frame::data(Bytes::copy_from_slice(piece))))
                        .unwrap();
                }
                Response::builder()
                    .header("content-type", "text/event-stream")
                    .body(body)
                    .unwrap()
            })
            .await;
            let sidecar = masking(&upstream).serve().await;
            let mut client = if h2_caller {
                Client::http2(sidecar.address).await
            } else {
                sidecar.client().await
            };
            let request = client
                .request("POST", CHAT)
                .body(full(r#"{"model":"gpt-4o","stream":true}"#))
                .unwrap();
            let answer = client.send(request).await;
            let text = answer.text();
            assert_eq!(
                joined(&text, "/choices/0/delta/content"),
                "Write to [EMAIL] about [CASE_ID], please."
            );
            let arguments = joined(&text, "/choices/0/delta/tool_calls/0/function/arguments");
            assert_eq!(arguments, r#"{"to":"[EMAIL]","card":"[CREDIT_CARD]"}"#);
            assert_eq!(text.matches("\n\n").count(), body.matches("\n\n").count());
            assert!(text.ends_with("data: [DONE]\n\n"));

            assert_eq!(line_of(answer.request_id()).await["masked"], 4);
            let metrics = sidecar.metrics().await;
            for line in [
                r#"postern_masked_total{detector="EMAIL",route="openai"} 2"#,
                r#"postern_masked_total{detector="CREDIT_CARD",route="openai"} 1"#,
                r#"postern_masked_total{detector="CASE_ID",route="openai"} 1"#,
            ] {
                assert!(metrics.contains(line), "{line}: {metrics}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_is_passed_on_as_soon_as_the_next_settles_it_and_the_last_at_the_end() {
    let (upstream, sender) = streaming("text/event-stream").await;
    let sidecar = masking(&upstream).serve().await;
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", CHAT)
        .body(full(r#"{"stream":true}"#))
        .unwrap();
    let mut response = soon("the stream began", client.open(request))
        .await
        .unwrap();
    let send = |text: &str| sender.send(Ok(Frame::data(content(text).into()))).unwrap();
    let mut got = String::new();
    send("It");
    for word in [" is", " four", " o'clock", " now"] {
        send(word);
        // The one before it, whatever frames it comes in.
        let bytes = next(&mut response).await.unwrap().unwrap();
        got += std::str::from_utf8(&bytes).unwrap();
    }
    assert_eq!(
        joined(&got, "/choices/0/delta/content"),
        "It is four o'clock"
    );
    drop(sender);
    let bytes = next(&mut response).await.unwrap().unwrap();
    got += std::str::from_utf8(&bytes).unwrap();
    assert_eq!(
        joined(&got, "/choices/0/delta/content"),
        "It is four o'clock now"
    );
    assert!(next(&mut response).await.is_none());
}

#[tokio::test]
async fn a_whole_answer_is_masked_and_its_head_says_nothing_that_is_not_true_any_more() {
    let body =
        json!({"choices": [{"message": {"content": "alice@example.com"}}], "internal": {"a": 1}})
            .to_string();
    let length: &'static str = body.len().to_string().leak();
    let headers: &'static [(&str, &str)] = vec![
        ("content-type", "application/json"),
        ("content-length", length),
        ("etag", "\"v1\""),
        ("digest", "sha-256=x"),
        ("accept-ranges", "bytes"),
    ]
    .leak();
    let upstream = answering(200, headers, body).await;
    let sidecar = masking(&upstream).serve().await;
    let answer = ask(&sidecar).await;
    assert_eq!(
        answer.text(),
        r#"{"choices":[{"message":{"content":"[EMAIL]"}}]}"#
    );
    for gone in ["content-length", "etag", "digest", "accept-ranges"] {
        assert_eq!(answer.header(gone), None, "{gone}");
    }
    let seen = upstream.saw_one();
    assert_eq!(seen.header("range"), None);
    assert_eq!(seen.header("accept-encoding"), Some("identity"));

    // The head of an answer without a body is that of the one with it.
    let mut client = sidecar.client().await;
    let request = client.request("HEAD", CHAT).body(full("")).unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!((answer.header("etag"), answer.text().as_str()), (None, ""));
}

#[tokio::test]
async fn errors_and_pages_are_masked_too() {
    for (kind, body, expected) in [
        (
            "application/problem+json",
            r#"{"error":{"message":"no such user: alice@example.com"}}"#,
            r#"{"error":{"message":"no such user: [EMAIL]"}}"#,
        ),
        (
            "text/html; charset=utf-8",
            "<p>alice@example.com</p>",
            "<p>[EMAIL]</p>",
        ),
        (
            "application/xml",
            "<Error>CASE-12345</Error>",
            "<Error>[CASE_ID]</Error>",
        ),
    ] {
        let headers: &'static [(&str, &str)] = vec![("content-type", kind)].leak();
        let upstream = answering(404, headers, body).await;
        let answer = ask(&masking(&upstream).serve().await).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (404, expected)
        );
    }
}

#[tokio::test]
async fn a_compressed_answer_that_nobody_asked_for_is_decoded_and_masked() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(br#"{"a":"alice@example.com"}"#).unwrap();
    let headers = &[
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let upstream = answering(200, headers, gzip.finish().unwrap()).await;
    let answer = ask(&masking(&upstream).serve().await).await;
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.text(), r#"{"a":"[EMAIL]"}"#);
}

#[tokio::test]
async fn what_cannot_be_masked_is_denied() {
    for (status, headers) in [
        (200, &[("content-type", "application/octet-stream")][..]),
        (200, &[("content-type", "application/grpc")]),
        (200, &[("content-type", "multipart/mixed; boundary=x")]),
        (200, &[("content-type", "nonsense")]),
        (
            200,
            &[
                ("content-type", "application/json"),
                ("content-encoding", "compress"),
            ],
        ),
        (206, &[("content-type", "text/plain")]),
    ] {
        let upstream = answering(status, headers, "alice@example.com").await;
        let sidecar = masking(&upstream).serve().await;
        let answer = ask(&sidecar).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason()),
            (403, Some("unmaskable")),
            "{headers:?}"
        );
        assert!(!answer.text().contains("alice@example.com"));
        let line = line_of(answer.request_id()).await;
        assert_eq!(
            (&line["decision"], &line["reason"]),
            (&json!("deny"), &json!("unmaskable"))
        );
    }
    // Without a body there is nothing to mask.
    let upstream = answering(204, &[("content-type", "application/octet-stream")], "").await;
    let answer = ask(&masking(&upstream).serve().await).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (204, None));
    // And no text is looked for in a picture.
    let upstream = answering(200, &[("content-type", "image/png")], "alice@example.com").await;
    let answer = ask(&masking(&upstream).serve().await).await;
    assert_eq!(answer.text(), "alice@example.com");
}

#[tokio::test]
async fn a_stream_that_cannot_be_masked_any_further_breaks_off() {
    // The shortest message that there is: no header, no payload, and right checksums.
    const MESSAGE: &[u8] = &[
        0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff,
    ];
    let (upstream, sender) = streaming("application/vnd.amazon.eventstream").await;
    let sidecar = masking(&upstream).serve().await;
    let mut client = sidecar.client().await;
    let request = client.request("POST", CHAT).body(full("{}")).unwrap();
    let mut response = soon("the head came", client.open(request)).await.unwrap();
    let id = response.headers()["postern-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    sender.send(Ok(Frame::data(MESSAGE.into()))).unwrap();
    assert_eq!(next(&mut response).await.unwrap().unwrap(), MESSAGE);
    let nonsense = "alice@example.com is in no message";
    sender.send(Ok(Frame::data(nonsense.into()))).unwrap();
    assert!(
        next(&mut response).await.unwrap().is_err(),
        "a broken answer must not look whole"
    );
    let line = line_of(&id).await;
    assert_eq!(
        (&line["outcome"], &line["bytes_out"]),
        (&json!("unmaskable"), &json!(16))
    );
}

#[tokio::test]
async fn a_policy_that_observes_counts_and_changes_nothing() {
    let body = r#"{"a":"alice@example.com","internal":1}"#;
    for (status, content_type) in [(206, "text/plain"), (200, "application/octet-stream")] {
        let headers: &'static [(&str, &str)] = vec![("content-type", content_type)].leak();
        let upstream = answering(status, headers, body).await;
        let sidecar = masking(&upstream)
            .member("mode", json!("Observe"))
            .serve()
            .await;
        let answer = ask(&sidecar).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (status, body)
        );
        assert_eq!(upstream.saw_one().header("range"), Some("bytes=0-99"));
    }
    let headers = &[("content-type", "application/json"), ("etag", "\"v1\"")];
    let upstream = answering(200, headers, body).await;
    let sidecar = masking(&upstream)
        .member("mode", json!("Observe"))
        .serve()
        .await;
    let answer = ask(&sidecar).await;
    assert_eq!(answer.text(), body);
    assert_eq!(answer.header("etag"), Some("\"v1\""));
    assert_eq!(answer.header("content-length"), Some("38"));
    eventually("it is counted", async || {
        let metrics = sidecar.metrics().await;
        let is_counted = [
            r#"postern_mask_observed_total{detector="EMAIL",route="openai"} 1"#,
            r#"postern_mask_observed_total{detector="FIELD",route="openai"} 1"#,
        ]
        .iter()
        .all(|line| metrics.contains(line));
        is_counted.then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_limit_cuts_off_is_masked_up_to_its_end() {
    let mut body = String::new();
    for number in 0..400 {
        body += &content(&format!("mail number {number} from alice@example.com "));
    }
    let upstream = answering(200, &[("content-type", "text/event-stream")], body).await;
    let sidecar = masking(&upstream)
        .member(
            "limits",
            json!([{"name": "tokens", "scope": "Pod", "tokens": 2000, "per": "1h"}]),
        )
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .body(full(
            r#"{"model":"gpt-4o-mini","stream":true,"messages":[]}"#,
        ))
        .unwrap();
    let answer = client.send(request).await;
    let text = answer.text();
    assert!(text.contains("limit_exceeded"), "{text}");
    assert!(!text.contains("alice@example.com"), "{text}");
    assert!(text.contains("mail number 0 from [EMAIL]"), "{text}");
}

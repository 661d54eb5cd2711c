use http::{HeaderValue, header};

use super::*;

fn ending(dialect: Dialect, path: &str, content_type: &'static str) -> Option<Ending> {
    let value = HeaderValue::from_static(content_type);
    Ending::of(
        dialect,
        path,
        &HeaderMap::from_iter([(header::CONTENT_TYPE, value)]),
    )
}

/// What the caller sees of a stream that is passed up to `at` and then ended, with the rest of it in pieces of `size`.
fn ended(
    dialect: Dialect,
    content_type: &'static str,
    stream: &[u8],
    at: usize,
    size: usize,
) -> Vec<u8> {
    let mut ending = ending(dialect, "/v1/chat/completions", content_type).unwrap();
    ending.pass(&stream[..at]);
    let mut seen = stream[..at].to_vec();
    for piece in stream[at..].chunks(size).chain([&b""[..]]) {
        match ending.cut(piece, "limit_exceeded", "used up") {
            Cut::At(at, error) => {
                seen.extend_from_slice(&piece[..at]);
                seen.extend_from_slice(&error);
                return seen;
            }
            Cut::Later => seen.extend_from_slice(piece),
        }
    }
    seen
}

const EVENTS: &str = "text/event-stream";
const MESSAGES: &str = "application/vnd.amazon.eventstream";
const LINES: &str = "application/x-ndjson";

#[test]
fn a_stream_is_ended_between_two_events_wherever_that_is_asked() {
    let message = |text: &str| aws::write(&[(":event-type", "x")], text.as_bytes());
    for (dialect, content_type, events) in [
        (
            Dialect::OpenAi,
            EVENTS,
            [
                b"data: {\"a\":1}\n\n".to_vec(),
                b"event: b\r\ndata: 2\r\n\r\n".to_vec(),
                b": c\n\n".to_vec(),
            ],
        ),
        (
            Dialect::Bedrock,
            MESSAGES,
            ["one", "", "three"].map(message),
        ),
        (
            Dialect::Ollama,
            LINES,
            [b"{}\n".to_vec(), b"{\"a\":2}\n".to_vec(), b"{}\n".to_vec()],
        ),
    ] {
        let stream = events.concat();
        let mut bounds = vec![0];
        for event in &events {
            bounds.push(bounds[bounds.len() - 1] + event.len());
        }
        let error = ended(dialect, content_type, b"", 0, 1);
        assert!(!error.is_empty());
        for at in 0..=stream.len() {
            for size in [1, 2, 5, 1000] {
                let bound = *bounds.iter().find(|bound| **bound >= at).unwrap();
                let expected = [&stream[..bound], &error].concat();
                assert_eq!(
                    ended(dialect, content_type, &stream, at, size),
                    expected,
                    "{dialect:?} at {at} in pieces of {size}"
                );
            }
        }
    }
}

#[test]
fn an_event_that_never_ends_is_passed_on() {
    let stream = b"data: one\n\ndata: two\ndata";
    assert_eq!(ended(Dialect::OpenAi, EVENTS, stream, 12, 3), stream);
    let broken = b"\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(ended(Dialect::Bedrock, MESSAGES, broken, 1, 3), broken);
}

#[test]
fn every_dialect_says_it_its_own_way() {
    let error = |dialect, path, content_type| {
        let ending = ending(dialect, path, content_type).unwrap();
        String::from_utf8_lossy(&ending.error("limit_exceeded", "used \"up\"")).into_owned()
    };
    for (dialect, path, content_type, expected) in [
        (
            Dialect::OpenAi,
            "/v1/chat/completions",
            EVENTS,
            "data: {\"error\":{\"code\":\"limit_exceeded\",\"message\":\"used \\\"up\\\"\",\"param\":null,\"type\":\"insufficient_quota\"}}\n\n",
        ),
        (
            Dialect::OpenAi,
            "/v1/responses",
            EVENTS,
            "event: error\ndata: {\"code\":\"limit_exceeded\",\"error\":{\"code\":\"limit_exceeded\",\"message\":\"used \\\"up\\\"\",\"param\":null,\"type\":\"insufficient_quota\"},\"message\":\"used \\\"up\\\"\",\"param\":null,\"sequence_number\":0,\"type\":\"error\"}\n\n",
        ),
        (
            Dialect::Anthropic,
            "/v1/messages",
            EVENTS,
            "event: error\ndata: {\"error\":{\"message\":\"used \\\"up\\\"\",\"type\":\"rate_limit_error\"},\"type\":\"error\"}\n\n",
        ),
        (
            Dialect::Gemini,
            "/v1beta/models/x:streamGenerateContent",
            EVENTS,
            "data: {\"error\":{\"code\":403,\"message\":\"used \\\"up\\\"\",\"status\":\"PERMISSION_DENIED\"}}\r\n\r\n",
        ),
        (
            Dialect::Cohere,
            "/v2/chat",
            EVENTS,
            "event: message-end\ndata: {\"delta\":{\"error\":\"used \\\"up\\\"\",\"finish_reason\":\"ERROR\"},\"type\":\"message-end\"}\n\n",
        ),
        (
            Dialect::Ollama,
            "/api/chat",
            LINES,
            "{\"error\":\"used \\\"up\\\"\"}\n",
        ),
    ] {
        assert_eq!(error(dialect, path, content_type), expected, "{dialect:?}");
    }
    let openrouter = error(Dialect::OpenRouter, "/api/v1/chat/completions", EVENTS);
    assert!(openrouter.contains("\"code\":429"), "{openrouter}");
    // Below /v1 Ollama speaks OpenAI's format.
    assert_eq!(
        error(Dialect::Ollama, "/v1/chat/completions", EVENTS),
        error(Dialect::Mistral, "/v1/chat/completions", EVENTS)
    );
}

#[test]
fn bedrock_s_exception_is_a_message_like_its_own() {
    let ending = ending(Dialect::Bedrock, "/model/x/converse-stream", MESSAGES).unwrap();
    let error = ending.error("limit_exceeded", "used up");
    let mut found = 0;
    aws::Messages::default().push(&error, |message, _| {
        found += 1;
        assert!(message.is_failure());
        assert_eq!(
            message.header(":exception-type"),
            Some("throttlingException")
        );
        assert_eq!(message.payload, b"{\"message\":\"used up\"}");
    });
    assert_eq!(found, 1);
}

#[test]
fn what_cannot_be_ended_says_so() {
    for (dialect, content_type) in [
        (Dialect::Gemini, "application/json"),
        (Dialect::OpenAi, "application/json"),
        (Dialect::OpenAi, "audio/mpeg"),
        (Dialect::Plain, EVENTS),
    ] {
        assert!(ending(dialect, "/", content_type).is_none(), "{dialect:?}");
    }
    assert!(is_possible(Dialect::Gemini, Some("key=x&alt=sse")));
    assert!(!is_possible(Dialect::Gemini, None));
    assert!(is_possible(Dialect::Bedrock, None));
    assert!(!is_possible(Dialect::Qdrant, None));
}

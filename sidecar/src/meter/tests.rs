use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::frame::aws;

fn headers(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
}

/// What is read of a chat's answer with status 200, the same wherever it is cut.
fn read(dialect: Dialect, content_type: &'static str, answer: &[u8]) -> Metered {
    let meter = || {
        let headers = headers(content_type);
        Meter::new(dialect, Operation::Chat, StatusCode::OK, &headers, false).with_input(Some(7))
    };
    let mut whole = meter();
    whole.push(answer);
    let whole = whole.finish(true);
    for cut in 0..=answer.len() {
        let mut meter = meter();
        let (head, tail) = answer.split_at(cut);
        meter.push(head);
        meter.push(tail);
        assert_eq!(meter.finish(true), whole, "cut at {cut}");
    }
    whole
}

fn read_json(dialect: Dialect, answer: &str) -> Metered {
    read(
        dialect,
        "application/json; charset=utf-8",
        answer.as_bytes(),
    )
}

fn read_events(dialect: Dialect, events: &[&str]) -> Metered {
    let stream: String = events
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    read(dialect, "text/event-stream", stream.as_bytes())
}

#[track_caller]
fn used(metered: &Metered) -> Usage {
    metered.usage.expect("the usage is known")
}

/// Input, of it cached, written, written for long; output, of it reasoning.
fn usage(input: [u64; 4], output: [u64; 2]) -> Usage {
    Usage {
        input: input[0],
        cached_input: input[1],
        cache_write: input[2],
        cache_write_long: input[3],
        output: output[0],
        reasoning: output[1],
        source: UsageSource::Complete,
    }
}

#[test]
fn openai_chat_says_it_at_its_end() {
    let metered = read_json(
        Dialect::OpenAi,
        r#"{"id":"c","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"usage: {\"prompt_tokens\": 1}"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}},"service_tier":"default"}"#,
    );
    assert_eq!(used(&metered), usage([30, 8, 0, 0], [12, 5]));
    assert_eq!(metered.model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(metered.finish_reasons, ["stop"]);
    assert!(!metered.failed);

    let metered = read_events(
        Dialect::OpenAi,
        &[
            r#"{"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            r#"{"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
            r#"{"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":null}"#,
            r#"{"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#,
            "[DONE]",
        ],
    );
    assert_eq!(used(&metered), usage([9, 0, 0, 0], [1, 0]));
    assert_eq!(metered.finish_reasons, ["length"]);
}

#[test]
fn openai_responses_say_it_in_the_last_event() {
    let metered = read(
        Dialect::OpenAi,
        "text/event-stream; charset=utf-8",
        b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-5\",\"error\":null,\"usage\":null}}\n\n\
          event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\n\
          event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-5-2025-08-07\",\"error\":null,\"incomplete_details\":null,\"output\":[{\"content\":[{\"text\":\"Hello\"}]}],\
          \"usage\":{\"input_tokens\":20,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":11,\"output_tokens_details\":{\"reasoning_tokens\":6},\"total_tokens\":31}}}\n\n",
    );
    assert_eq!(used(&metered), usage([20, 4, 0, 0], [11, 6]));
    assert_eq!(metered.model.as_deref(), Some("gpt-5-2025-08-07"));
    assert!(!metered.failed);

    let failed = read_events(
        Dialect::OpenAi,
        &[
            r#"{"type":"response.failed","response":{"model":"gpt-5","error":{"code":"server_error","message":"x"},"usage":null}}"#,
        ],
    );
    assert!(failed.failed);
    assert_eq!(failed.usage, None, "nothing came, so nothing is billed");
}

#[test]
fn embeddings_have_an_input_only() {
    for (answer, input) in [
        (
            r#"{"data":[{"embedding":[0.1,-2e-3]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}"#,
            5,
        ),
        (
            r#"{"data":[{"embedding":"AAAA"}],"model":"m","usage":{"total_tokens":6}}"#,
            6,
        ),
    ] {
        let metered = read_json(Dialect::OpenAi, answer);
        assert_eq!(used(&metered), usage([input, 0, 0, 0], [0, 0]));
    }
}

#[test]
fn images_and_transcriptions_that_are_paid_by_tokens_say_them() {
    // https://platform.openai.com/docs/api-reference/images/object and /audio/json-object
    let image = r#"{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
    assert_eq!(
        used(&read_json(Dialect::OpenAi, image)),
        usage([50, 0, 0, 0], [50, 0])
    );
    let transcript = r#"{"type":"transcript.text.done","text":"Hi","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":4,"total_tokens":18}}"#;
    assert_eq!(
        used(&read_events(Dialect::OpenAi, &[transcript])),
        usage([14, 0, 0, 0], [4, 0])
    );
}

#[test]
fn vendors_that_speak_openai_s_format_their_own_way_are_understood() {
    // DeepSeek: https://api-docs.deepseek.com/api/create-chat-completion
    let deepseek = r#"{"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":4}}"#;
    // xAI counts reasoning beside the output.
    let xai = r#"{"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":113,"completion_tokens_details":{"reasoning_tokens":100}}}"#;
    // Groq, in the last chunk of a stream.
    let groq = r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}}"#;
    for (answer, expected) in [
        (deepseek, usage([10, 6, 0, 0], [3, 0])),
        (xai, usage([10, 0, 0, 0], [103, 100])),
        (groq, usage([10, 0, 0, 0], [3, 0])),
    ] {
        assert_eq!(used(&read_json(Dialect::OpenAi, answer)), expected);
        assert_eq!(used(&read_events(Dialect::Mistral, &[answer])), expected);
    }
}

#[test]
fn anthropic_counts_caches_beside_the_input_and_its_deltas_are_sums() {
    let expected = usage([10 + 100 + 50, 100, 30, 20], [42, 0]);
    let metered = read_json(
        Dialect::Anthropic,
        r#"{"type":"message","model":"claude-sonnet-4-5-20250929","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,
            "usage":{"input_tokens":10,"cache_creation_input_tokens":50,"cache_read_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":20},"output_tokens":42,"service_tier":"standard"}}"#,
    );
    assert_eq!(used(&metered), expected);
    assert_eq!(metered.finish_reasons, ["end_turn"]);

    let start = r#"{"type":"message_start","message":{"model":"claude-sonnet-4-5-20250929","stop_reason":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":50,"cache_read_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":20},"output_tokens":1}}}"#;
    let text = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there, how are you?"}}"#;
    let metered = read_events(
        Dialect::Anthropic,
        &[
            start,
            text,
            r#"{"type":"message_delta","delta":{"stop_reason":null},"usage":{"input_tokens":10,"output_tokens":20}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":50,"output_tokens":42}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(used(&metered), expected);
    assert_eq!(metered.model.as_deref(), Some("claude-sonnet-4-5-20250929"));

    // It broke off: the input is known, the output is what passed.
    let partial = used(&read_events(Dialect::Anthropic, &[start, text]));
    assert_eq!((partial.input, partial.output), (160, 9));
    assert_eq!(partial.source, UsageSource::Partial);
}

#[test]
fn gemini_counts_thoughts_beside_the_output_and_says_sums_in_every_chunk() {
    let first = r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2,"totalTokenCount":12},"modelVersion":"gemini-2.5-pro"}"#;
    let last = r#"{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"toolUsePromptTokenCount":5,"cachedContentTokenCount":4,"candidatesTokenCount":6,"thoughtsTokenCount":30,"totalTokenCount":51},"modelVersion":"gemini-2.5-pro"}"#;
    let expected = usage([15, 4, 0, 0], [36, 30]);
    let array = format!("[{first}\n,\r\n{last}]");
    for metered in [
        read_json(Dialect::Gemini, last),
        read_events(Dialect::Gemini, &[first, last]),
        read_json(Dialect::Gemini, &array),
    ] {
        assert_eq!(used(&metered), expected);
        assert_eq!(metered.model.as_deref(), Some("gemini-2.5-pro"));
        assert_eq!(metered.finish_reasons, ["STOP"]);
    }
    let partial = used(&read_events(Dialect::Gemini, &[first]));
    assert_eq!((partial.input, partial.output), (10, 2));
    assert_eq!(partial.source, UsageSource::Partial);
}

fn event(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [(":event-type", kind), (":message-type", "event")];
    aws::write(&headers, payload.as_bytes())
}

#[test]
fn bedrock_says_it_in_a_metadata_event() {
    const STREAM: &str = "application/vnd.amazon.eventstream";
    let tokens = r#"{"usage":{"inputTokens":10,"outputTokens":6,"totalTokens":21,"cacheReadInputTokens":3,"cacheWriteInputTokens":2},"metrics":{"latencyMs":1}}"#;
    let expected = usage([15, 3, 2, 0], [6, 0]);
    assert_eq!(used(&read_json(Dialect::Bedrock, tokens)), expected);
    let stream = [
        event("messageStart", r#"{"role":"assistant"}"#),
        event(
            "contentBlockDelta",
            r#"{"delta":{"text":"Hello"},"contentBlockIndex":0}"#,
        ),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
        event("metadata", tokens),
    ];
    let metered = read(Dialect::Bedrock, STREAM, &stream.concat());
    assert_eq!(used(&metered), expected);
    assert_eq!(metered.finish_reasons, ["end_turn"]);

    let exception = aws::write(
        &[
            (":exception-type", "throttlingException"),
            (":message-type", "exception"),
        ],
        b"{}",
    );
    let metered = read(
        Dialect::Bedrock,
        STREAM,
        &[&stream[..2].concat()[..], &exception].concat(),
    );
    assert!(metered.failed);
    assert_eq!(used(&metered).source, UsageSource::Estimated);
    assert_eq!(used(&metered).output, 2);
    // The chunks of InvokeModelWithResponseStream are the model's own, in base64:
    // {"type":"message_delta","delta":{"stop_reason":"end_turn"},"amazon-bedrock-invocationMetrics":{"inputTokenCount":10,"outputTokenCount":6,"cacheReadInputTokenCount":3,"cacheWriteInputTokenCount":2}}
    let chunk = "eyJ0eXBlIjoibWVzc2FnZV9kZWx0YSIsImRlbHRhIjp7InN0b3BfcmVhc29uIjoiZW5kX3R1cm4ifSwiYW1hem9uLWJlZHJvY2staW52b2NhdGlvbk1ldHJpY3MiOnsiaW5wdXRUb2tlbkNvdW50IjoxMCwib3V0cHV0VG9rZW5Db3VudCI6NiwiY2FjaGVSZWFkSW5wdXRUb2tlbkNvdW50IjozLCJjYWNoZVdyaXRlSW5wdXRUb2tlbkNvdW50IjoyfX0=";
    let stream = event("chunk", &format!(r#"{{"bytes":"{chunk}","p":"abc"}}"#));
    assert_eq!(used(&read(Dialect::Bedrock, STREAM, &stream)), expected);
}

#[test]
fn bedrock_says_it_in_headers_where_the_body_is_the_model_s_own() {
    let mut headers = headers("application/json");
    for (name, value) in [
        ("x-amzn-bedrock-input-token-count", "8"),
        ("x-amzn-bedrock-output-token-count", "9"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let mut meter = Meter::new(
        Dialect::Bedrock,
        Operation::Chat,
        StatusCode::OK,
        &headers,
        false,
    );
    meter.push(b"{\"completion\":\"x\"}");
    assert_eq!(used(&meter.finish(true)), usage([8, 0, 0, 0], [9, 0]));
}

#[test]
fn cohere_counts_what_it_bills() {
    let v2 = r#"{"finish_reason":"COMPLETE","message":{"content":[{"type":"text","text":"x"}]},"usage":{"billed_units":{"input_tokens":5,"output_tokens":3.0},"tokens":{"input_tokens":71,"output_tokens":5}}}"#;
    let v1 = r#"{"text":"x","meta":{"billed_units":{"input_tokens":5,"output_tokens":3},"tokens":{"input_tokens":71}}}"#;
    let end = r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":3}}}}"#;
    let expected = usage([5, 0, 0, 0], [3, 0]);
    assert_eq!(used(&read_json(Dialect::Cohere, v2)), expected);
    assert_eq!(used(&read_json(Dialect::Cohere, v1)), expected);
    assert_eq!(used(&read_events(Dialect::Cohere, &[end])), expected);
}

#[test]
fn ollama_says_it_in_its_last_line_and_in_openai_s_format_too() {
    let metered = read(
        Dialect::Ollama,
        "application/x-ndjson",
        b"{\"model\":\"llama3.2\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"done\":false}\n\
          {\"model\":\"llama3.2\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":26,\"eval_count\":2}\n",
    );
    assert_eq!(used(&metered), usage([26, 0, 0, 0], [2, 0]));
    assert_eq!(metered.model.as_deref(), Some("llama3.2"));
    assert_eq!(metered.finish_reasons, ["stop"]);
    let openai = r#"{"usage":{"prompt_tokens":26,"completion_tokens":2,"total_tokens":28}}"#;
    assert_eq!(
        used(&read_json(Dialect::Ollama, openai)),
        usage([26, 0, 0, 0], [2, 0])
    );
}

#[test]
fn what_is_not_said_is_estimated_and_marked_so() {
    let metered = read_events(
        Dialect::OpenAi,
        &[
            r#"{"choices":[{"delta":{"role":"assistant","content":"123456"}}]}"#,
            r#"{"choices":[{"delta":{"content":"789"}}],"usage":null}"#,
        ],
    );
    let expected = Usage {
        source: UsageSource::Estimated,
        ..usage([7, 0, 0, 0], [3, 0])
    };
    assert_eq!(used(&metered), expected);
}

#[test]
fn a_caller_that_leaves_has_used_what_passed() {
    let headers = headers("text/event-stream");
    let mut meter = Meter::new(
        Dialect::OpenAi,
        Operation::Chat,
        StatusCode::OK,
        &headers,
        true,
    )
    .with_input(Some(100));
    assert_eq!((meter.so_far().input, meter.so_far().output), (100, 0));
    meter.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"123456789\"}}]}\n\ndata: {\"choi");
    assert_eq!((meter.so_far().input, meter.so_far().output), (100, 3));
    let metered = meter.finish(false);
    assert_eq!(used(&metered).source, UsageSource::Estimated);
    assert_eq!(used(&metered).output, 3);
    assert!(!metered.failed);
}

#[test]
fn an_error_in_an_answer_of_status_200_is_a_failure() {
    for (dialect, answer) in [
        (Dialect::OpenAi, r#"{"error":{"message":"overloaded"}}"#),
        (
            Dialect::Anthropic,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
        ),
        (Dialect::Gemini, r#"[{"error":{"code":429}}]"#),
        (Dialect::Ollama, r#"{"error":"model not found"}"#),
    ] {
        for metered in [read_json(dialect, answer), read_events(dialect, &[answer])] {
            assert!(metered.failed, "{dialect:?}");
            assert_eq!(metered.usage, None, "{dialect:?}");
        }
    }
    // After text has come it was worked, and is billed.
    let metered = read_events(
        Dialect::OpenAi,
        &[
            r#"{"choices":[{"delta":{"content":"123"}}]}"#,
            r#"{"error":{"message":"x"}}"#,
        ],
    );
    assert!(metered.failed);
    assert_eq!(used(&metered).output, 1);
}

#[test]
fn an_error_s_status_is_a_failure_without_usage() {
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY] {
        let headers = headers("text/html");
        let mut meter = Meter::new(Dialect::OpenAi, Operation::Chat, status, &headers, false);
        meter.push(b"<html>");
        let metered = meter.finish(true);
        assert!(metered.failed);
        assert_eq!(metered.usage, None);
    }
}

#[test]
fn an_operation_without_tokens_has_no_usage() {
    let headers = headers("application/json");
    for operation in [Operation::Files, Operation::CountTokens, Operation::Models] {
        let mut meter = Meter::new(
            Dialect::Anthropic,
            operation,
            StatusCode::OK,
            &headers,
            false,
        );
        meter.push(b"{\"input_tokens\":2095}");
        assert_eq!(meter.finish(true).usage, None, "{operation:?}");
    }
}

#[test]
fn bytes_that_are_no_answer_harm_nothing() {
    for dialect in [
        Dialect::OpenAi,
        Dialect::Bedrock,
        Dialect::Plain,
        Dialect::Pinecone,
    ] {
        for content_type in [
            "text/event-stream",
            "application/json",
            "application/vnd.amazon.eventstream",
            "audio/mpeg",
        ] {
            read(
                dialect,
                content_type,
                b"\x00\xff{{\"usage\":[[\"data: \r\n\r\n\xf0\x28",
            );
        }
    }
}

/// Pieces of answers, so that what is generated is often nearly one.
const PIECES: [&[u8]; 14] = [
    b"data: ",
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b"event: x\n",
    b"{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
    b"{\"usage\":null,\"choices\":[]}",
    b"{\"choices\":[],\"usage\":{}}",
    b"[",
    b"}",
    b"\"",
    b"\\",
    b"\0\0\0\x10\0\0\0\0\x05\xc2\x48\xeb\x7d\x98\xc8\xff",
    b"\xef\xbb\xbf",
];

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (0..PIECES.len()).prop_map(|index| PIECES[index].to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_however_they_are_cut(answer in answer(), size in 1..20_usize) {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock] {
            for content_type in ["text/event-stream", "application/json", "application/vnd.amazon.eventstream"] {
                let meter = || Meter::new(dialect, Operation::Chat, StatusCode::OK, &headers(content_type), true);
                let (mut whole, mut pieces) = (meter(), meter());
                whole.push(&answer);
                answer.chunks(size).for_each(|piece| pieces.push(piece));
                prop_assert_eq!(whole.so_far(), pieces.so_far());
                prop_assert_eq!(whole.finish(false), pieces.finish(false));
            }
        }
    }

    #[test]
    fn any_bytes_are_filtered_the_same_however_they_are_cut(answer in answer(), size in 1..20_usize) {
        let filter = || stream_usage::UsageFilter::of(&mut headers("text/event-stream")).unwrap();
        let (mut whole, mut pieces) = (filter(), filter());
        let mut seen: Vec<u8> = answer.chunks(size).flat_map(|piece| pieces.push(piece)).collect();
        seen.extend(pieces.finish());
        let expected = [whole.push(&answer), whole.finish()].concat();
        prop_assert!(expected.len() <= answer.len());
        prop_assert_eq!(seen, expected);
    }
}

use http::HeaderValue;

use super::*;

fn asked(body: &str) -> Option<String> {
    ask(body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn a_stream_that_does_not_ask_is_asked_and_nothing_else_changes() {
    for (body, expected) in [
        (
            r#"{"model":"gpt-4o","stream":true}"#,
            r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "{ \"stream\" : true ,\n \"messages\": [{\"content\":\"} \\\" \\u00e9\"}], \"seed\": 1e2 }\n",
            "{ \"stream\" : true ,\n \"messages\": [{\"content\":\"} \\\" \\u00e9\"}], \"seed\": 1e2 ,\"stream_options\":{\"include_usage\":true}}\n",
        ),
        (
            r#"{"stream_options":null,"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream_options":{},"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options": { "include_obfuscation": false }}"#,
            r#"{"stream":true,"stream_options": {"include_usage":true, "include_obfuscation": false }}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage": false}}"#,
            r#"{"stream":true,"stream_options":{"include_obfuscation":false,"include_usage": true}}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ] {
        assert_eq!(asked(body).as_deref(), Some(expected));
        serde_json::from_str::<serde_json::Value>(expected).unwrap();
        assert_eq!(asked(expected), None, "asked once is enough");
    }
}

#[test]
fn where_there_is_nothing_to_ask_or_asking_may_harm_the_body_stays() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"model":"gpt-4o"}"#,
        r#"{"stream":false}"#,
        r#"{"stream":"true"}"#,
        r#"{"messages":[{"stream":true}]}"#,
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":true,"stream_options":{"include_usage":1}}"#,
        r#"{"stream":true,"stream_options":[]}"#,
        r#"{"stream":true,"stream_options":"x"}"#,
        r#"{"stream":true,"stream\u005foptions":{}}"#,
        r#"{"stream":true,"stream":true}"#,
        r#"{"stream":true,"stream_options":{"include\u005fusage":false}}"#,
        r#"{"stream":true,"data_sources":[{"type":"azure_search"}]}"#,
        r#"{"stream":true"#,
        r#"{"stream":true}}"#,
    ] {
        assert_eq!(asked(body), None, "{body}");
    }
}

#[test]
fn azure_is_asked_from_the_version_on_that_understands() {
    for (query, understands) in [
        (None, true),
        (Some(""), true),
        (Some("api-version=preview"), true),
        (Some("api-version=2024-10-21"), true),
        (Some("x=1&api-version=2024-09-01-preview"), true),
        (Some("api-version=2024-06-01"), false),
        (Some("api-version=2023-05-15&x"), false),
        (Some("api-version="), false),
    ] {
        assert_eq!(azure_understands(query), understands, "{query:?}");
    }
}

fn filter() -> UsageFilter {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CONTENT_LENGTH, "12"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let filter = UsageFilter::of(&mut headers).unwrap();
    assert!(!headers.contains_key(header::CONTENT_LENGTH));
    filter
}

/// What the caller sees, the same wherever the answer is cut.
fn seen(answer: &str) -> String {
    let answer = answer.as_bytes();
    let whole = {
        let mut filter = filter();
        [filter.push(answer), filter.finish()].concat()
    };
    for cut in 0..=answer.len() {
        let mut filter = filter();
        let (head, tail) = answer.split_at(cut);
        let seen = [filter.push(head), filter.push(tail), filter.finish()].concat();
        assert_eq!(seen, whole, "cut at {cut}");
    }
    String::from_utf8(whole).unwrap()
}

/// Two answers to the same question as OpenAI gives them, with and without usage.
fn answers(end: &str) -> (String, String) {
    let head = r#"data: {"id":"c","object":"chat.completion.chunk","model":"gpt-4o","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":"#;
    let asked = [
        &format!(
            r#"{head}{{"role":"assistant","content":""}},"finish_reason":null}}],"usage":null,"obfuscation":"x"}}"#
        ),
        &format!(
            r#"{head}{{"content":"\"usage\":null"}},"finish_reason":null}}],"usage":null,"obfuscation":"y"}}"#
        ),
        &format!(r#"{head}{{}},"finish_reason":"stop"}}],"usage":null}}"#),
        r#"data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":0}},"obfuscation":"z"}"#,
        "data: [DONE]",
        "",
    ];
    let unasked = [
        asked[0].replace(",\"usage\":null", ""),
        asked[1].replacen("],\"usage\":null", "]", 1),
        asked[2].replace(",\"usage\":null", ""),
        asked[4].to_owned(),
        String::new(),
    ];
    let between = format!("{end}{end}");
    (asked.join(&between), unasked.join(&between))
}

#[test]
fn the_caller_sees_what_it_would_have_seen() {
    for end in ["\n", "\r\n", "\r"] {
        let (asked, unasked) = answers(end);
        assert_eq!(seen(&asked), unasked, "{end:?}");
        assert_eq!(seen(&unasked), unasked, "{end:?}");
    }
}

#[test]
fn a_null_is_cut_with_its_comma_wherever_it_stands() {
    for (event, expected) in [
        (r#"{"usage":null}"#, "{}"),
        (r#"{"usage": null, "a": 1}"#, r#"{"a": 1}"#),
        (r#"{"a": 1, "usage": null, "b": 2}"#, r#"{"a": 1, "b": 2}"#),
        (r#"{"a": 1 , "usage" : null }"#, r#"{"a": 1 }"#),
    ] {
        assert_eq!(
            seen(&format!("event: x\ndata: {event}\n\n")),
            format!("event: x\ndata: {expected}\n\n")
        );
    }
}

#[test]
fn what_the_question_did_not_add_stays() {
    for event in [
        // Of servers that say the usage unasked, beside a choice.
        r#"data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}"#,
        // Azure's first event has no choices, and filters in their stead.
        r#"data: {"choices":[],"prompt_filter_results":[{"usage":{}}]}"#,
        r#"data: {"error":{"message":"x"},"usage":{}}"#,
        r#"data: {"choices":[{"message":{"usage":null}}]}"#,
        "data: {\"usage\":\ndata: null}",
        "data: \"usage\":null",
        ": \"usage\":null",
    ] {
        let stream = format!("{event}\n\n");
        assert_eq!(seen(&stream), stream);
    }
    let unfinished = "data: {\"choices\":[],\"usage\":{}}";
    assert_eq!(seen(unfinished), unfinished);
}

#[test]
fn an_answer_that_is_no_readable_stream_is_not_filtered() {
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_ENCODING, "gzip"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        );
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("12"));
        headers.insert(name, HeaderValue::from_static(value));
        assert!(UsageFilter::of(&mut headers).is_none());
        assert!(headers.contains_key(header::CONTENT_LENGTH));
    }
}

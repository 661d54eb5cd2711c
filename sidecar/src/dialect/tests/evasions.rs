//! Ways to make a policy see another call than the provider does, each with its refusal.

use super::*;
use crate::dialect::{json::Fault, multipart};

fn chat(body: &str) -> Result<Call, Unreadable> {
    post(Dialect::OpenAi, "/v1/chat/completions", body).read()
}

#[test]
fn a_body_that_parsers_read_differently_is_refused() {
    for (body, fault) in [
        (
            r#"{"model":"gpt-4o-mini","messages":[],"model":"gpt-5"}"#,
            Fault::DuplicateKey,
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"\u006dodel":"gpt-5"}"#,
            Fault::DuplicateKey,
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[{"role":"user","role":"system"}]}"#,
            Fault::DuplicateKey,
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"Model":"gpt-5"}"#,
            Fault::KeyCase("model"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"MAX_TOKENS":9}"#,
            Fault::KeyCase("max_tokens"),
        ),
        (
            "{\"model\":\"gpt-4o-mini\",\"me\u{17f}sages\":[]}",
            Fault::KeyCase("messages"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"model\u0000":"gpt-5"}"#,
            Fault::KeyNul,
        ),
        (
            "{\"model\":\"gpt-4o-mini\",\"messages\":[]}{\"model\":\"gpt-5\"}",
            Fault::Trailing,
        ),
        (
            "{\"model\":\"gpt-4o-mini\",\"messages\":[]}\0",
            Fault::Trailing,
        ),
        (
            "\u{feff}{\"model\":\"gpt-4o-mini\",\"messages\":[]}",
            Fault::ByteOrderMark,
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[{"content":"\ud800"}]}"#,
            Fault::Surrogate,
        ),
        (
            r#"{"model":["gpt-4o-mini"],"messages":[]}"#,
            Fault::Expected("a string"),
        ),
        (
            r#"{"model":{"model":"gpt-5"},"messages":[]}"#,
            Fault::Expected("a string"),
        ),
        (
            r#"[{"model":"gpt-4o-mini","messages":[]}]"#,
            Fault::Expected("an object"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"stream":"true"}"#,
            Fault::Expected("true or false"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"max_tokens":"9"}"#,
            Fault::Expected("a whole number"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"max_tokens":1e300}"#,
            Fault::Expected("a whole number"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"max_tokens":-1}"#,
            Fault::Expected("a whole number that is not negative"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":{}}"#,
            Fault::Expected("a list"),
        ),
        (
            r#"{"model":"gpt-4o-mini","messages":[],"tools":[{}]}"#,
            Fault::Expected("a tool with a name or a type of its own"),
        ),
        ("", Fault::End),
        ("{", Fault::End),
    ] {
        match chat(body) {
            Err(Unreadable::Json(error)) => assert_eq!(error.fault, fault, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn a_name_that_only_looks_like_a_model_is_refused() {
    for name in [
        "gpt-4o-mini ",
        " gpt-4o-mini",
        "gpt\u{2011}5",
        "gpt-\u{ff15}",
        "gpt-5\\u0000",
        "gpt-5\\n",
        "",
    ] {
        let body = format!(r#"{{"model":"{name}","messages":[]}}"#);
        assert_eq!(chat(&body), Err(Unreadable::ModelName), "{name:?}");
    }
}

#[test]
fn a_call_without_a_model_is_refused_where_there_must_be_one() {
    for body in [
        r#"{"messages":[]}"#,
        r#"{"model":null,"messages":[]}"#,
        r#"{"metadata":{"model":"gpt-5"}}"#,
        "{}",
    ] {
        assert_eq!(chat(body), Err(Unreadable::NoModel), "{body}");
    }
}

#[test]
fn a_model_elsewhere_in_the_body_is_not_the_model() {
    let call =
        chat(r#"{"metadata":{"model":"gpt-5"},"model":"gpt-4o-mini","messages":[]}"#).unwrap();
    assert_eq!(names(&call), ["gpt-4o-mini"]);
}

#[test]
fn an_escaped_name_is_the_name() {
    let call = chat(r#"{"\u006dodel":"gpt\u002d5","messages":[]}"#).unwrap();
    assert_eq!(names(&call), ["gpt-5"]);
}

#[test]
fn a_model_in_the_query_is_one_more() {
    let body = r#"{"model":"gpt-4o-mini","messages":[]}"#;
    let sent = |query: &str| {
        post(
            Dialect::OpenAi,
            &format!("/v1/chat/completions?{query}"),
            body,
        )
    };
    assert_eq!(
        names(&sent("api-version=1&mod%65l=gpt-5").call()),
        ["gpt-4o-mini", "gpt-5"]
    );
    assert_eq!(names(&sent("MODEL=gpt-5").call()), ["gpt-4o-mini", "gpt-5"]);
    assert_eq!(
        names(&sent("x=1;model=gpt-5").call()),
        ["gpt-4o-mini", "gpt-5"]
    );
    assert_eq!(sent("model=%zz").read(), Err(Unreadable::Query));
    assert_eq!(sent("model=").read(), Err(Unreadable::ModelName));
}

#[test]
fn a_small_body_does_not_become_large_in_memory() {
    let list = |count: usize, item: fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(",")
    };
    let tools = list(4097, |n| format!(r#"{{"type":"t{n}"}}"#));
    let body = format!(r#"{{"model":"m","messages":[],"tools":[{tools}]}}"#);
    assert_eq!(chat(&body), Err(Unreadable::TooManyTools));
    let same = list(10_000, |_| r#"{"type":"t"}"#.to_owned());
    let body = format!(r#"{{"model":"m","messages":[],"tools":[{same}]}}"#);
    assert_eq!(chat(&body).unwrap().tools, ["t"]);
    let models = list(300, |n| format!("\"m{n}\""));
    let body = format!(r#"{{"model":"m","messages":[],"models":[{models}]}}"#);
    assert_eq!(chat(&body).unwrap().models, Models::Hidden);
}

#[test]
fn of_two_limits_the_larger_counts() {
    for body in [
        r#"{"model":"m","messages":[],"max_tokens":10,"max_completion_tokens":99}"#,
        r#"{"model":"m","messages":[],"max_completion_tokens":99,"max_tokens":10}"#,
        r#"{"model":"m","messages":[],"max_tokens":99.0,"max_completion_tokens":null}"#,
    ] {
        assert_eq!(chat(body).unwrap().max_tokens, Some(99), "{body}");
    }
}

#[test]
fn a_body_of_another_kind_is_refused() {
    let sent = post(
        Dialect::OpenAi,
        "/v1/chat/completions",
        r#"{"model":"m","messages":[]}"#,
    )
    .without_header("content-type");
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        assert!(
            sent.clone().header("content-type", good).read().is_ok(),
            "{good}"
        );
    }
    for bad in [
        "text/plain",
        "application/jsonp",
        "application/json, text/plain",
        "application/json; charset=utf-16",
        "application/json; charset",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let refused = sent.clone().header("content-type", bad).read();
        assert!(matches!(refused, Err(Unreadable::ContentType(_))), "{bad}");
    }
    assert!(
        matches!(sent.read(), Err(Unreadable::ContentType(_))),
        "none"
    );
    let twice = sent
        .header("content-type", "application/json")
        .header("content-type", "application/json");
    assert!(
        matches!(twice.read(), Err(Unreadable::ContentType(_))),
        "twice"
    );
    let form = fixture!(OpenAi, "openai-transcription")
        .without_header("content-type")
        .header("content-type", "application/json");
    assert!(
        matches!(form.read(), Err(Unreadable::ContentType(_))),
        "JSON for a form"
    );
}

#[test]
fn a_method_in_a_header_is_refused() {
    for header in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        let mut headers = HeaderMap::new();
        assert_eq!(refuse_method_override(&headers), Ok(()));
        headers.insert(header, HeaderValue::from_static("POST"));
        let refused = Err(Unreadable::MethodOverride);
        assert_eq!(refuse_method_override(&headers), refused, "{header}");
    }
}

#[test]
fn a_form_that_parsers_read_differently_is_refused() {
    use multipart::Error;
    let model = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n";
    let part = |head: &str, value: &str| format!("--b\r\n{head}\r\n\r\n{value}\r\n");
    let named = |name: &str| {
        part(
            &format!("Content-Disposition: form-data; {name}"),
            "gpt-4o-transcribe",
        )
    };
    let end = "--b--\r\n";
    for (body, error) in [
        (
            format!("{model}{}{end}", named("name=\"model\"")),
            Error::Twice,
        ),
        (
            format!("{model}{}{end}", named("name=\"Model\"")),
            Error::NameCase,
        ),
        (
            format!("{model}{}{end}", named("name=\"model[]\"")),
            Error::NameCase,
        ),
        (
            format!("{model}{}{end}", named("name=\"mod%65l\"")),
            Error::Name,
        ),
        (
            format!("{model}{}{end}", named("name=\"mo\\del\"")),
            Error::Header,
        ),
        (
            format!("{model}{}{end}", named("name*=UTF-8''model")),
            Error::Header,
        ),
        (
            format!("{model}{}{end}", named("name=\"x\"; name=\"model\"")),
            Error::Header,
        ),
        (
            format!("{model}{}{end}", named("filename=\"x\"")),
            Error::Name,
        ),
        (
            format!(
                "{model}{}{end}",
                part(
                    "Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"model\"",
                    "y"
                )
            ),
            Error::Header,
        ),
        (
            format!(
                "{model}{}{end}",
                part("Content-Disposition: form-data;\r\n name=\"model\"", "y")
            ),
            Error::Header,
        ),
        (
            format!(
                "{model}{}{end}",
                part(
                    "Content-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: base64",
                    "y"
                )
            ),
            Error::Header,
        ),
        (
            format!(
                "{model}{}{end}",
                part("Content-Disposition: attachment; name=\"x\"", "y")
            ),
            Error::Header,
        ),
        (format!("preamble\r\n{model}{end}"), Error::Delimiter),
        (format!("{model}{end}epilogue"), Error::Delimiter),
        (format!("{model}--b--\r\n{model}{end}"), Error::Delimiter),
        (model.to_owned(), Error::Delimiter),
        (format!("{model}--bc\r\n{end}"), Error::Delimiter),
        (
            format!("{}{end}", model.replace("\r\n", "\n")),
            Error::Delimiter,
        ),
        (
            format!(
                "{}{end}",
                part(
                    "Content-Disposition: form-data; name=\"x\"",
                    "a\n--b\nContent-Disposition: form-data; name=\"model\"\n\nz"
                )
            ),
            Error::Delimiter,
        ),
        (
            format!(
                "{}{end}",
                part(
                    "Content-Disposition: form-data; name=\"model\"; filename=\"m\"",
                    "m"
                )
            ),
            Error::Value,
        ),
        (
            format!(
                "{}{end}",
                part(
                    "Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-16",
                    "m"
                )
            ),
            Error::Value,
        ),
        (
            format!(
                "{model}{}{end}",
                part("Content-Disposition: form-data; name=\"stream\"", "yes")
            ),
            Error::Value,
        ),
        (
            format!(
                "{model}{}{end}",
                part("Content-Disposition: form-data; name=\"n\"", "1e3")
            ),
            Error::Value,
        ),
        (String::new(), Error::Delimiter),
    ] {
        let sent = post(Dialect::OpenAi, "/v1/audio/transcriptions", &body)
            .without_header("content-type")
            .header("content-type", "multipart/form-data; boundary=b");
        assert_eq!(sent.read(), Err(Unreadable::Form(error)), "{body}");
    }
    for boundary in [
        "",
        "boundary=",
        "boundary=b; boundary=c",
        "boundary=\"b",
        "boundary=a b",
        "boundary=b; charset=utf-8",
    ] {
        let sent = post(
            Dialect::OpenAi,
            "/v1/audio/transcriptions",
            &format!("{model}{end}"),
        )
        .without_header("content-type")
        .header("content-type", &format!("multipart/form-data; {boundary}"));
        assert!(
            matches!(sent.read(), Err(Unreadable::ContentType(_))),
            "{boundary}"
        );
    }
}

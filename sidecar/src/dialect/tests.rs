//! Whole requests, dialect by dialect.

use http::{HeaderMap, header};
use postern_crds::facts::{Call, Model, Models, Operation};

use super::*;

/// A request in the making.
struct Sent<'a> {
    dialect: Dialect,
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    content_type: Option<&'a str>,
    body: &'a [u8],
}

/// A `POST` of JSON.
fn post<'a>(dialect: Dialect, path: &'a str, body: &'a str) -> Sent<'a> {
    Sent {
        dialect,
        method: "POST",
        path,
        query: None,
        content_type: Some("application/json"),
        body: body.as_bytes(),
    }
}

impl Sent<'_> {
    fn read(&self) -> Result<Call, Unreadable> {
        let deployments = BTreeMap::new();
        let mut headers = HeaderMap::new();
        if let Some(kind) = self.content_type {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        read(&Request {
            head: Head {
                dialect: self.dialect,
                method: self.method,
                path: self.path,
                base_path: "/v1",
                query: self.query,
                deployments: &deployments,
            },
            headers: &headers,
            body: self.body,
        })
    }
}

fn names(call: &Call) -> Vec<&str> {
    match &call.models {
        Models::Named(models) => models.iter().map(|model| model.name.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_chat_says_what_it_asks_for() {
    let body = r#"{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[
        {"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}],
        "model":"gpt-4o-mini","max_tokens":10,"max_completion_tokens":200,"n":2,"stream":true,
        "tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}},{"type":"web_search"}]}"#;
    let call = post(Dialect::OpenAi, "/v1/chat/completions", body)
        .read()
        .unwrap();
    assert_eq!(
        call,
        Call {
            operation: Operation::Chat,
            models: Models::Named(vec![Model::new("gpt-4o-mini")]),
            stream: true,
            max_tokens: Some(200),
            tools: vec!["weather".into(), "web_search".into()],
            messages: Some(2),
            has_images: true,
            n: 2,
            body_bytes: body.len() as u64,
            estimated_input_tokens: call.estimated_input_tokens,
            ..Call::default()
        }
    );
    assert!((1600..1700).contains(&call.estimated_input_tokens.unwrap()));
}

#[test]
fn an_unknown_operation_may_do_anything() {
    for path in [
        "/v1/chat/completions/",
        "/v1/Chat/completions",
        "/v1/new",
        "/v1",
    ] {
        let call = post(Dialect::OpenAi, path, "{}").read().unwrap();
        assert_eq!(
            (call.operation, call.models),
            (Operation::Unknown, Models::Hidden),
            "{path}"
        );
    }
}

#[test]
fn the_head_alone_hides_what_stands_in_the_body() {
    let deployments = BTreeMap::new();
    let call = head(&Head {
        dialect: Dialect::OpenAi,
        method: "POST",
        path: "/v1/chat/completions",
        base_path: "/v1",
        query: None,
        deployments: &deployments,
    });
    assert_eq!(
        (call.operation, call.models),
        (Operation::Chat, Models::Hidden)
    );
}

#[test]
fn a_body_of_another_kind_is_refused() {
    let body = r#"{"model":"m","messages":[]}"#;
    let sent = |content_type| {
        Sent {
            content_type,
            ..post(Dialect::OpenAi, "/v1/chat/completions", body)
        }
        .read()
    };
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        assert!(sent(Some(good)).is_ok(), "{good}");
    }
    for bad in [
        None,
        Some("text/plain"),
        Some("application/jsonp"),
        Some("application/json, text/plain"),
        Some("application/json; charset=utf-16"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some(""),
    ] {
        assert!(
            matches!(sent(bad), Err(Unreadable::ContentType(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn a_model_in_the_query_is_one_more() {
    let body = r#"{"model":"gpt-4o-mini","messages":[]}"#;
    let sent = Sent {
        query: Some("api-version=1&mod%65l=gpt-5"),
        ..post(Dialect::OpenAi, "/v1/chat/completions", body)
    };
    assert_eq!(names(&sent.read().unwrap()), ["gpt-4o-mini", "gpt-5"]);
}

#[test]
fn a_method_in_a_header_is_refused() {
    let deployments = BTreeMap::new();
    let mut headers = HeaderMap::new();
    headers.insert("x-http-method-override", "DELETE".parse().unwrap());
    let request = Request {
        head: Head {
            dialect: Dialect::OpenAi,
            method: "GET",
            path: "/v1/models",
            base_path: "/v1",
            query: None,
            deployments: &deployments,
        },
        headers: &headers,
        body: b"",
    };
    assert_eq!(read(&request), Err(Unreadable::MethodOverride));
}

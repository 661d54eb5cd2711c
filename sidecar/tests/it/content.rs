//! Rules that read a call's body: what they bind, and what reaches the upstream.

use std::io::Write as _;

use http::Request;
use postern_sidecar::{Config, Source};
use serde_json::{Value, json};

use crate::support::{
    Answer, Body, Client, Identity, Protocol, Sidecar, Upstream, full, line_of, stream,
};

const CHAT: &str = "/openai/v1/chat/completions";

/// A policy about one model, and the sidecar that keeps it.
async fn about_models(upstream: &Upstream) -> Sidecar {
    Identity::new()
        .credential("openai", "openai", upstream, "sk-real")
        .rule(json!({"name": "cheap", "to": {"credentials": ["openai"]}, "operations": ["chat"],
                     "models": ["gpt-4o-mini"], "action": "Allow"}))
        .rule(json!({"name": "no-five", "to": {"credentials": ["*"]}, "models": ["gpt-5*"], "action": "Deny"}))
        .serve()
        .await
}

fn chat(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string()
}

fn request(client: &Client, body: impl Into<bytes::Bytes>) -> Request<Body> {
    client
        .request("POST", CHAT)
        .header("content-type", "application/json")
        .body(full(body))
        .unwrap()
}

fn assert_denied(answer: &Answer, status: u16, reason: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.reason()),
        (status, Some(reason)),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_rule_about_a_model_binds_and_a_denied_call_never_reaches_upstream() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = about_models(&upstream).await;
    let mut client = sidecar.client().await;

    for (model, reason) in [
        ("gpt-4o", "no_rule"),
        ("gpt-4o-mini-2024-07-18", "no_rule"),
        ("GPT-4o-mini", "no_rule"),
        ("gpt-5", "denied_by_rule"),
        ("GPT-5-mini", "denied_by_rule"),
        ("ft:gpt-5-mini:acme::x1", "denied_by_rule"),
    ] {
        let request = request(&client, chat(model));
        assert_denied(&client.send(request).await, 403, reason);
    }
    assert!(upstream.seen().is_empty());

    let body = chat("gpt-4o-mini");
    let request = request(&client, body.clone());
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.saw_one().body, body);
    let line = line_of(answer.request_id()).await;
    assert_eq!(line["gen_ai.operation.name"], "chat");
    assert_eq!(line["gen_ai.provider.name"], "openai");
    assert_eq!(line["gen_ai.request.model"], "gpt-4o-mini");
    assert_eq!(line["rule"], "egress/cheap");
}

#[tokio::test]
async fn a_rule_about_the_pods_name_binds_the_pod_of_that_name() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = Identity::new()
        .credential("openai", "openai", &upstream, "sk-real")
        .rule(json!({"name": "first", "to": {"credentials": ["openai"]}, "when": "pod.name == \"bot-0\"", "action": "Allow"}))
        .rule(json!({"name": "canary", "to": {"credentials": ["openai"]}, "when": "pod.name.startsWith(\"bot-canary-\")", "action": "Deny"}));
    for (pod, reason) in [
        ("bot-0", None),
        ("bot-1", Some("no_rule")),
        // Not known, so that neither rule has a value.
        ("", Some("rule_failed")),
        ("bot-canary-0", Some("denied_by_rule")),
    ] {
        let mut config = Config::on_free_ports(Source::Fixed(Box::new(identity.bundle())));
        config.pod = pod.into();
        let answer = Sidecar::with(config).await.get("/openai/v1/models").await;
        assert_eq!(answer.reason(), reason, "{pod}: {}", answer.text());
    }
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_two_servers_may_read_differently_is_refused() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = about_models(&upstream).await;
    let mut client = sidecar.client().await;
    for body in [
        r#"{"model":"gpt-4o-mini","messages":[],"model":"gpt-5"}"#,
        r#"{"model":"gpt-4o-mini","messages":[],"mod\u0065l":"gpt-5"}"#,
        r#"{"model":"gpt-4o-mini","messages":[]}{"model":"gpt-5"}"#,
        "\u{feff}{\"model\":\"gpt-4o-mini\",\"messages\":[]}",
        r#"{"model":"gpt-4o-mini","Model":"gpt-5","messages":[]}"#,
    ] {
        let request = request(&client, body);
        let answer = client.send(request).await;
        assert_denied(&answer, 400, "body_invalid");
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_compressed_body_is_read_and_sent_on_as_it_was_read() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = about_models(&upstream).await;
    let mut client = sidecar.client().await;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let compressed = |client: &Client, bytes: Vec<u8>| {
        let mut request = request(client, bytes);
        let headers = request.headers_mut();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        request
    };

    let request = compressed(&client, gzip(&chat("gpt-5")));
    assert_denied(&client.send(request).await, 403, "denied_by_rule");
    let request = compressed(&client, chat("gpt-4o-mini").into_bytes());
    assert_denied(&client.send(request).await, 400, "body_invalid");
    assert!(upstream.seen().is_empty());

    let request = compressed(&client, gzip(&chat("gpt-4o-mini")));
    assert_eq!(client.send(request).await.status, 200);
    let seen = upstream.saw_one();
    assert_eq!(seen.body, chat("gpt-4o-mini"));
    assert_eq!(seen.header("content-encoding"), None);
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_read_whole() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = Upstream::ok(protocol).await;
        let sidecar = about_models(&upstream).await;
        for (model, status) in [("gpt-5", 403), ("gpt-4o-mini", 200)] {
            let mut client = Client::http2(sidecar.address).await;
            let (sender, body) = stream();
            let request = client
                .request("POST", CHAT)
                .header("content-type", "application/json")
                .body(body)
                .unwrap();
            for byte in chat(model).into_bytes() {
                let frame = http_body::Frame::data(bytes::Bytes::from(vec![byte]));
                sender.send(Ok(frame)).unwrap();
            }
            drop(sender);
            assert_eq!(
                client.send(request).await.status.as_u16(),
                status,
                "{model}"
            );
        }
        assert_eq!(upstream.saw_one().body, chat("gpt-4o-mini"));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_read_is_denied_unless_the_rule_lets_it_pass() {
    let long = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x".repeat(4096)}]}).to_string();
    for (uninspected, chunked, status) in [
        ("Deny", false, 413),
        ("Deny", true, 413),
        ("Allow", false, 200),
        ("Allow", true, 200),
    ] {
        let upstream = Upstream::ok(Protocol::Http1).await;
        let sidecar = Identity::new()
            .credential("openai", "openai", &upstream, "sk-real")
            .rule(json!({"name": "cheap", "to": {"credentials": ["openai"]}, "models": ["gpt-4o-mini"],
                         "uninspected": uninspected, "action": "Allow"}))
            .member("maxInspectedBytes", json!(1024))
            .serve()
            .await;
        let mut client = sidecar.client().await;
        let request = if chunked {
            let (sender, body) = stream();
            for part in long.as_bytes().chunks(500) {
                let frame = http_body::Frame::data(bytes::Bytes::copy_from_slice(part));
                sender.send(Ok(frame)).unwrap();
            }
            let request = client
                .request("POST", CHAT)
                .header("content-type", "application/json");
            request.body(body).unwrap()
        } else {
            request(&client, long.clone())
        };
        let answer = client.send(request).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        if status == 200 {
            assert_eq!(upstream.saw_one().body, long);
        } else {
            assert_eq!(answer.reason(), Some("body_too_large"));
            assert!(answer.text().contains("egress/cheap"), "{}", answer.text());
            assert!(upstream.seen().is_empty());
        }
    }
}

#[tokio::test]
async fn policies_that_observe_let_pass_and_say_what_they_would_have_done() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "sk-real")
        .rule(json!({"name": "no-five", "to": {"credentials": ["*"]}, "models": ["gpt-5*"], "action": "Deny"}))
        .member("mode", json!("Observe"))
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let request = request(&client, chat("gpt-5"));
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.seen().len(), 1);
    let line: Value = line_of(answer.request_id()).await;
    assert_eq!(line["decision"], "allow");
    assert_eq!(line["reason"], "unenforced");
    assert_eq!(line["observed"], "denied_by_rule");
    assert_eq!(line["observed_rule"], "egress/no-five");
    let metrics = sidecar.metrics().await;
    let counted = r#"postern_observed_differences_total{route="openai",reason="denied_by_rule",rule="egress/no-five"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn a_body_that_only_observing_policies_want_to_read_passes_though_it_cannot_be_read() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "sk-real")
        .rule(json!({"name": "no-five", "to": {"credentials": ["*"]}, "models": ["gpt-5*"], "action": "Deny"}))
        .member("mode", json!("Observe"))
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let body = r#"{"model":"gpt-4o-mini","model":"gpt-5","messages":[]}"#;
    let request = request(&client, body);
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.saw_one().body, body);
    assert_eq!(
        line_of(answer.request_id()).await["observed"],
        "body_invalid"
    );
}

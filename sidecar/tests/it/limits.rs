//! Limits: what is refused when they are used up, and when calls pass again.

use std::sync::Mutex;

use http::Response;
use http_body_util::BodyExt;
use serde_json::json;

use crate::support::{Identity, Protocol, Upstream, eventually, full, line_of, stream};

const MODELS: &str = "/openai/v1/models";

#[tokio::test]
async fn a_call_beyond_a_limit_gets_429_with_the_time_to_wait_and_never_reaches_upstream() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream)
        .member(
            "limits",
            json!([{"name": "two", "scope": "Pod", "requests": 2, "per": "1h"}]),
        )
        .serve()
        .await;
    let mut client = sidecar.client().await;
    for _ in 0..2 {
        assert_eq!(client.get(MODELS).await.status, 200);
    }
    let answer = client.get(MODELS).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.reason(), Some("limit_exceeded"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3700).contains(&wait), "{wait}");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_exceeded");
    assert!(answer.text().contains("egress/two"), "{}", answer.text());
    assert_eq!(upstream.seen().len(), 2);
    assert_eq!(line_of(answer.request_id()).await["rule"], "egress/two");

    let metrics = sidecar.metrics().await;
    for line in [
        r#"postern_limit_remaining{limit="egress/two"} 0.0"#,
        r#"postern_denials_total{route="openai",reason="limit_exceeded",rule="egress/two"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_place_of_a_limit_on_calls_at_a_time_is_free_again_when_a_call_ends() {
    let (sender, body) = stream();
    let body = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        let body = body.lock().unwrap().take().unwrap_or_else(|| full("{}"));
        Response::new(body)
    })
    .await;
    let sidecar = Identity::openai_at(&upstream)
        .member(
            "limits",
            json!([{"name": "one", "scope": "Pod", "concurrent": 1}]),
        )
        .serve()
        .await;
    let (mut first, mut second) = (sidecar.client().await, sidecar.client().await);

    let request = first.request("GET", MODELS).body(full("")).unwrap();
    let held = first.open(request).await.unwrap();
    let answer = second.get(MODELS).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(upstream.seen().len(), 1);

    drop(sender);
    held.into_body().collect().await.unwrap();
    eventually("the place is free", async || {
        (second.get(MODELS).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_denied_uses_nothing_up() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "sk-real")
        .rule(json!({"name": "models", "to": {"credentials": ["openai"]}, "paths": ["/v1/models"], "action": "Allow"}))
        .member("limits", json!([{"name": "one", "scope": "Pod", "requests": 1, "per": "1h"}]))
        .serve()
        .await;
    let mut client = sidecar.client().await;
    assert_eq!(client.get("/openai/v1/files").await.status, 403);
    assert_eq!(client.get(MODELS).await.status, 200);
    assert_eq!(client.get(MODELS).await.status, 429);
}

//! Calls that are on their way while their credential is rotated, at a provider that takes the old key no longer.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    bundle::Mount,
    support::{Answer, Identity, Protocol, Sidecar, Upstream, eventually, full},
};

const OLD: &str = "sk-old";
const NEW: &str = "sk-the-newer";

/// A provider that knows the new key alone.
async fn provider(protocol: Protocol) -> Upstream {
    Upstream::answering(protocol, |parts, _| {
        let key = parts.headers.get("authorization");
        let is_new = key.is_some_and(|key| key.as_bytes().ends_with(NEW.as_bytes()));
        let status = if is_new {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        let mut response = Response::new(full(status.as_str().to_owned()));
        *response.status_mut() = status;
        response
    })
    .await
}

fn identity(upstream: &Upstream, rule: &Value) -> Identity {
    let rule = rule.clone();
    Identity::new()
        .credential("openai", "openai", upstream, OLD)
        .rule(rule)
}

fn anything() -> Value {
    json!({"name": "all", "to": {"credentials": ["*"]}, "action": "Allow"})
}

/// A rule for which the body is read.
fn some_models() -> Value {
    json!({"name": "some", "to": {"credentials": ["*"]}, "models": ["gpt-*"], "action": "Allow"})
}

/// Makes one call, and has `after` take the place of the bundle while it is on its way.
async fn call(
    upstream: &Upstream,
    before: &Identity,
    after: &Identity,
    method: &str,
    headers: &[(&str, &str)],
) -> (Answer, Sidecar) {
    let mount = Mount::of(&before.document());
    let sidecar = mount.serve().await;
    upstream.hold(true);
    let mut client = sidecar.client().await;
    let mut request = client.request(method, "/openai/v1/chat/completions");
    let body = if method == "POST" {
        request = request.header("content-type", "application/json");
        r#"{"model":"gpt-4o","messages":[]}"#
    } else {
        ""
    };
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(full(body)).unwrap();
    let rotation = async {
        eventually("the call is on its way", async || {
            (!upstream.seen().is_empty()).then_some(())
        })
        .await;
        let revision = async || sidecar.admin("/bundle").await.json()["revision"].clone();
        let old = revision().await;
        mount.swap(after.document().to_string().as_bytes());
        eventually("the bundle is in use", async || {
            (revision().await != old).then_some(())
        })
        .await;
        upstream.hold(false);
    };
    let (answer, ()) = tokio::join!(client.send(request), rotation);
    (answer, sidecar)
}

/// The keys that the provider saw.
fn keys(upstream: &Upstream) -> Vec<String> {
    let seen = upstream.seen();
    let key = |value: &str| value.trim_start_matches("Bearer ").to_owned();
    let keys = seen
        .iter()
        .map(|seen| key(seen.header("authorization").unwrap()));
    keys.collect()
}

#[tokio::test]
async fn a_call_that_may_be_sent_twice_is_sent_again_with_the_newer_key() {
    let key = [("idempotency-key", "k-1")];
    let cases: [(_, _, _, &[(&str, &str)]); 3] = [
        (Protocol::Http1, "GET", anything(), &[]),
        (Protocol::Http2, "DELETE", anything(), &[]),
        (Protocol::Http1, "POST", some_models(), &key),
    ];
    for (protocol, method, rule, headers) in cases {
        let upstream = provider(protocol).await;
        let before = identity(&upstream, &rule);
        let after = before.clone().secret("openai", NEW);
        let (answer, sidecar) = call(&upstream, &before, &after, method, headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{method}");
        assert_eq!(keys(&upstream), [OLD, NEW]);
        let [first, second] = &upstream.seen()[..] else {
            panic!("it was sent twice");
        };
        assert_eq!((&first.target, &first.body), (&second.target, &second.body));
        let retried = r#"postern_rotation_retries_total{route="openai",outcome="answered"} 1"#;
        let metrics = sidecar.metrics().await;
        assert!(metrics.contains(retried));
        assert!(!metrics.contains("postern_unauthorized_total{"));
    }
}

#[tokio::test]
async fn a_call_that_must_not_be_sent_twice_gets_its_refusal() {
    let key = [("idempotency-key", "k-1")];
    let cases: [(_, &[(&str, &str)]); 2] = [
        // Nobody says that the provider tells repetitions apart.
        (some_models(), &[]),
        // Its body passed unread, so that there is none to send again.
        (anything(), &key),
    ];
    for (rule, headers) in cases {
        let upstream = provider(Protocol::Http1).await;
        let before = identity(&upstream, &rule);
        let after = before.clone().secret("openai", NEW);
        let (answer, _sidecar) = call(&upstream, &before, &after, "POST", headers).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.reason(), None, "it is the provider's own");
        assert_eq!(keys(&upstream), [OLD]);
    }
}

#[tokio::test]
async fn a_refusal_of_the_newer_key_too_is_passed_on_and_not_tried_a_third_time() {
    let upstream = provider(Protocol::Http1).await;
    let before = identity(&upstream, &anything());
    let after = before.clone().secret("openai", "sk-of-nobody");
    let (answer, sidecar) = call(&upstream, &before, &after, "GET", &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(keys(&upstream), [OLD, "sk-of-nobody"]);
    let metrics = sidecar.metrics().await;
    let retried = r#"postern_rotation_retries_total{route="openai",outcome="answered"} 1"#;
    assert!(metrics.contains(retried));
    assert!(metrics.contains(r#"postern_unauthorized_total{route="openai"} 1"#));
}

#[tokio::test]
async fn a_call_is_not_sent_again_under_a_policy_that_did_not_allow_it() {
    let upstream = provider(Protocol::Http1).await;
    let before = identity(&upstream, &anything());
    let denied = json!({"name": "none", "to": {"credentials": ["*"]}, "action": "Deny"});
    let after = before.clone().secret("openai", NEW).rule(denied);
    let (answer, _sidecar) = call(&upstream, &before, &after, "GET", &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(keys(&upstream), [OLD]);
}

#[tokio::test]
async fn a_refusal_without_a_rotation_is_passed_on() {
    let upstream = provider(Protocol::Http1).await;
    let sidecar = identity(&upstream, &anything()).serve().await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(keys(&upstream), [OLD]);
    let counted = r#"postern_unauthorized_total{route="openai"} 1"#;
    assert!(sidecar.metrics().await.contains(counted));
}

#[tokio::test]
async fn the_admin_listener_tells_versions_and_no_secret() {
    let upstream = provider(Protocol::Http1).await;
    let sidecar = identity(&upstream, &anything()).serve().await;
    let answer = sidecar.admin("/bundle").await;
    assert_eq!(answer.status, StatusCode::OK);
    let told = answer.json();
    assert_eq!(told["credentials"], json!({"openai": "keys/6"}));
    assert!(told["revision"].is_string() && told["loadedAt"].is_string());
    let members: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(members, ["credentials", "format", "loadedAt", "revision"]);
}

#[tokio::test]
async fn a_stale_credential_is_refused_and_no_other() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = identity(&upstream, &anything())
        .credential("second", "openai", &upstream, "sk-second")
        .without_secret("openai");
    let mut document = identity.document();
    document["stale"] = json!(["openai"]);
    let mount = Mount::of(&document);
    let sidecar = mount.serve().await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.reason(), Some("secret_stale"));
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("maxStaleness"), "{message}");
    let answer = sidecar.get("/second/v1/models").await;
    assert_eq!(answer.status, StatusCode::OK);
    upstream.saw_one();
}

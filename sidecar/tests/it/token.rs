//! Secrets that are not sent with a call, but buy a token that is.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    bundle::Mount,
    support::{Authority, Body, Identity, Protocol, Sidecar, Upstream, eventually, full},
};

const SECRET: &str = "client-secret-of-the-test";

/// A server of tokens that gives out `token-1`, `token-2` and so on, each for an hour.
async fn token_server() -> Upstream {
    let given = AtomicUsize::new(0);
    Upstream::answering(Protocol::Http1, move |_, _| {
        let number = given.fetch_add(1, Ordering::SeqCst) + 1;
        let token = json!({"access_token": format!("token-{number}"), "token_type": "Bearer", "expires_in": 3600});
        Response::new(full(token.to_string()))
    })
    .await
}

/// A server of tokens that says this and nothing else.
async fn refusing(status: u16, body: &'static str) -> Upstream {
    Upstream::answering(Protocol::Http1, move |_, _| answer(status, body)).await
}

fn answer(status: u16, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn client_at(tokens: &Upstream) -> Value {
    json!({"oauth2ClientCredentials": {"tokenUrl": format!("{}/token", tokens.endpoint()), "clientId": "bot", "authStyle": "Body"}})
}

/// A credential `crm` at `upstream` whose secret buys a token of `tokens`.
fn identity(upstream: &Upstream, tokens: &Upstream, inject: &Value, secret: &str) -> Identity {
    let both = upstream.authority.pem() + &tokens.authority.pem();
    Identity::new()
        .injected("crm", upstream, inject, secret)
        .authority("crm", &both)
        .allowing_all()
}

async fn served(upstream: &Upstream, tokens: &Upstream) -> Sidecar {
    identity(upstream, tokens, &client_at(tokens), SECRET)
        .serve()
        .await
}

/// The authorization of every call that `upstream` saw.
fn tokens_seen(upstream: &Upstream) -> Vec<String> {
    upstream
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_hundred_calls_at_a_time_buy_one_token_and_none_carries_the_secret() {
    let upstream = Upstream::ok(Protocol::Http2).await;
    let tokens = token_server().await;
    let sidecar = Arc::new(served(&upstream, &tokens).await);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let sidecar = Arc::clone(&sidecar);
        calls.spawn(async move { sidecar.get("/crm/x").await.status });
    }
    assert!(
        calls
            .join_all()
            .await
            .iter()
            .all(|status| *status == StatusCode::OK)
    );
    let seen = tokens_seen(&upstream);
    assert_eq!(seen.len(), 100);
    assert!(
        seen.iter().all(|token| token == "Bearer token-1"),
        "{seen:?}"
    );
    assert!(!format!("{:?}", upstream.seen()).contains(SECRET));

    let asked = tokens.saw_one();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/token")
    );
    assert_eq!(
        asked.body,
        format!("grant_type=client_credentials&client_id=bot&client_secret={SECRET}")
    );
    assert_eq!(asked.header("authorization"), None);
    let metrics = sidecar.metrics().await;
    assert!(
        metrics.contains("postern_access_token_requests_total{route=\"crm\",outcome=\"ok\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn another_secret_buys_another_token_and_another_policy_does_not() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let tokens = token_server().await;
    let before = identity(&upstream, &tokens, &client_at(&tokens), SECRET);
    let mount = Mount::of(&before.document());
    let sidecar = mount.serve().await;
    assert_eq!(sidecar.get("/crm/x").await.status, StatusCode::OK);

    let tightened = before.clone().rule(
        json!({"name": "no", "to": {"credentials": ["*"]}, "paths": ["/no"], "action": "Deny"}),
    );
    mount.swap(tightened.document().to_string().as_bytes());
    eventually("the policy is in force", async || {
        (sidecar.get("/crm/no").await.status == StatusCode::FORBIDDEN).then_some(())
    })
    .await;
    assert_eq!(sidecar.get("/crm/x").await.status, StatusCode::OK);
    assert_eq!(tokens.seen().len(), 1);

    mount.swap(
        before
            .secret("crm", "rotated")
            .document()
            .to_string()
            .as_bytes(),
    );
    eventually("a new token is in use", async || {
        assert_eq!(sidecar.get("/crm/x").await.status, StatusCode::OK);
        (tokens_seen(&upstream).pop().unwrap() == "Bearer token-2").then_some(())
    })
    .await;
    let asked = tokens.seen().pop().unwrap();
    assert!(asked.body.ends_with(b"client_secret=rotated"));
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_for_the_next_call() {
    let is_revoked = Arc::new(AtomicBool::new(false));
    let revoked = Arc::clone(&is_revoked);
    let upstream = Upstream::answering(Protocol::Http1, move |head, _| {
        let is_first = head.headers["authorization"] == "Bearer token-1";
        if is_first && revoked.load(Ordering::SeqCst) {
            answer(401, "revoked")
        } else {
            answer(200, "ok")
        }
    })
    .await;
    let tokens = token_server().await;
    let sidecar = served(&upstream, &tokens).await;
    assert_eq!(sidecar.get("/crm/x").await.status, StatusCode::OK);
    is_revoked.store(true, Ordering::SeqCst);
    let answer = sidecar.get("/crm/x").await;
    assert_eq!(
        answer.status,
        StatusCode::UNAUTHORIZED,
        "the answer is the service's own"
    );
    assert_eq!(answer.text(), "revoked");
    assert_eq!(sidecar.get("/crm/x").await.status, StatusCode::OK);
    assert_eq!(
        tokens_seen(&upstream),
        ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    );
}

#[tokio::test]
async fn a_server_that_gives_no_token_ends_the_call_and_its_words_go_nowhere() {
    for (status, body, retry) in [
        (
            401,
            r#"{"error": "invalid_client", "error_description": "words-of-the-server"}"#,
            "false",
        ),
        (302, "words-of-the-server", "false"),
        (200, "words-of-the-server", "false"),
        (503, "words-of-the-server", "true"),
    ] {
        let upstream = Upstream::ok(Protocol::Http1).await;
        let tokens = refusing(status, body).await;
        let sidecar = served(&upstream, &tokens).await;
        for _ in 0..2 {
            let answer = sidecar.get("/crm/x").await;
            assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{status}");
            assert_eq!(answer.reason(), Some("token_unavailable"));
            assert_eq!(
                answer.header("x-should-retry").unwrap_or("true"),
                retry,
                "{status}"
            );
            assert!(
                !answer.text().contains("words-of-the-server"),
                "{}",
                answer.text()
            );
            assert!(!answer.text().contains(SECRET));
        }
        assert!(upstream.seen().is_empty());
        assert_eq!(
            tokens.seen().len(),
            1,
            "the second call comes in the pause after a failure"
        );
    }
}

#[tokio::test]
async fn a_secret_is_not_sent_to_a_server_that_cannot_be_verified() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let tokens = token_server().await;
    let sidecar = identity(&upstream, &tokens, &client_at(&tokens), SECRET)
        .authority("crm", &(upstream.authority.pem() + &Authority::new().pem()))
        .serve()
        .await;
    let answer = sidecar.get("/crm/x").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.reason(), Some("token_unavailable"));
    assert!(tokens.seen().is_empty() && upstream.seen().is_empty());
}

#[tokio::test]
async fn no_token_is_bought_for_a_call_that_is_denied() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let tokens = token_server().await;
    let sidecar = Identity::new()
        .injected("crm", &upstream, &client_at(&tokens), SECRET)
        .serve()
        .await;
    assert_eq!(sidecar.get("/crm/x").await.reason(), Some("no_rule"));
    assert!(tokens.seen().is_empty());
}

#[tokio::test]
async fn a_service_accounts_key_stays_here_and_its_claim_goes_to_the_server_that_the_spec_names() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let tokens = token_server().await;
    let url = format!("{}/token", tokens.endpoint());
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let pem = pair.serialize_pem();
    let file = json!({
        "type": "service_account",
        "client_email": "bot@p.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": pem,
        // Whoever wrote this does not decide where the claim goes.
        "token_uri": "https://evil.example.com/token",
    });
    let inject = json!({"gcpServiceAccount": {"scopes": ["https://www.googleapis.com/auth/cloud-platform"], "tokenUrl": url}});
    let file = serde_json::to_string_pretty(&file).unwrap();
    let sidecar = identity(&upstream, &tokens, &inject, &file).serve().await;
    let answer = sidecar.get("/crm/x").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        upstream.saw_one().header("authorization"),
        Some("Bearer token-1")
    );

    let asked = tokens.saw_one();
    let body = std::str::from_utf8(&asked.body).unwrap();
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD
        .decode(assertion.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["aud"], url);
    assert_eq!(claims["iss"], "bot@p.iam.gserviceaccount.com");
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
}

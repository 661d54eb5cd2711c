//! The secret is in what the upstream gets, and nowhere else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Response, StatusCode};
use postern_sidecar::{Config, Source};
use serde_json::{Value, json};

use crate::support::{
    Authority, Identity, Protocol, Seen, Sidecar, Upstream, full, line_of, whole_log,
};

const KEY: &str = "sk-this-must-never-be-seen-anywhere";
/// The same in base64, as it stands in a bundle.
const ENCODED: &str = "c2stdGhpcy1tdXN0LW5ldmVyLWJlLXNlZW4tYW55d2hlcmU=";

/// What a secret buys, which is as good as one.
const TOKEN: &str = "token-that-must-never-be-seen-anywhere";

/// A service that is its own server of tokens as well: a good one at `/token`, and at `/echo` one that says what it was told.
async fn service() -> Upstream {
    Upstream::answering(Protocol::Http1, |head, body| {
        let echo = String::from_utf8_lossy(body);
        match head.uri.path() {
            "/token" => Response::new(full(json!({"access_token": TOKEN}).to_string())),
            "/echo" => {
                let refusal = json!({"error": echo, "error_description": echo}).to_string();
                let mut response = Response::new(full(refusal));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response
            }
            _ => Response::new(full("{\"ok\":true}")),
        }
    })
    .await
}

/// The ways to inject that send something else than the key as it is, with the secret of each.
fn other_ways(upstream: &Upstream) -> Vec<(&'static str, Value, String)> {
    let client = |path: &str| json!({"oauth2ClientCredentials": {"tokenUrl": format!("{}{path}", upstream.endpoint()), "clientId": "bot", "authStyle": "Body"}});
    let aws = json!({"accessKeyId": "AKID", "secretAccessKey": KEY, "sessionToken": TOKEN});
    let account = json!({"type": "service_account", "client_email": "bot@p", "private_key": format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n")});
    vec![
        ("query", json!({"query": {"name": "token"}}), KEY.into()),
        ("basic", json!({"basic": {"username": "me"}}), KEY.into()),
        ("cookie", json!({"cookie": {"name": "sid"}}), KEY.into()),
        (
            "aws",
            json!({"awsSigV4": {"service": "bedrock", "region": "r"}}),
            aws.to_string(),
        ),
        (
            "unaws",
            json!({"awsSigV4": {"service": "bedrock", "region": "r"}}),
            KEY.into(),
        ),
        ("bought", client("/token"), KEY.into()),
        ("unbought", client("/echo"), KEY.into()),
        (
            "account",
            json!({"gcpServiceAccount": {"audience": "a", "tokenUrl": format!("{}/token", upstream.endpoint())}}),
            account.to_string(),
        ),
        (
            "hash",
            json!({"hmac": {"message": "{target}", "headers": [{"name": "X-Sign", "value": "{signature}"}]}}),
            KEY.into(),
        ),
    ]
}

#[tokio::test]
async fn the_secret_is_in_no_log_line_metric_answer_or_debug_output() {
    let upstream = service().await;
    let h2 = Upstream::ok(Protocol::Http2).await;
    let mut identity = Identity::openai_at(&upstream)
        .secret("openai", KEY)
        .credential("second", "openai", &h2, KEY)
        .credential("claude", "anthropic", &upstream, KEY)
        .at("gone", "openai", &upstream, "https://127.0.0.1:1/v1", KEY)
        .credential("stranger", "openai", &upstream, KEY)
        .authority("stranger", &Authority::new().pem())
        .credential("broken", "openai", &upstream, &format!("{KEY}\r\nx: y"));
    let ways = other_ways(&upstream);
    for (name, inject, secret) in &ways {
        identity = identity.injected(name, &upstream, inject, secret);
    }
    let bundle = identity.bundle();
    assert!(!format!("{bundle:?}").contains(KEY));

    let directory = tempfile::tempdir().unwrap();
    let document = identity.document().to_string();
    std::fs::write(directory.path().join("bundle.json"), &document).unwrap();
    let sidecar = Sidecar::with(Config::on_free_ports(Source::Directory(
        directory.path().to_owned(),
    )))
    .await;
    let mut client = sidecar.client().await;
    let mut answers = Vec::new();
    for path in [
        "/openai/v1/a",
        "/second/v1/a",
        "/claude/v1/a",
        "/gone/a",
        "/stranger/a",
        "/broken/a",
        "/nowhere",
        "/openai/../a",
    ] {
        let answer = client.post(path, "{}").await;
        line_of(answer.request_id()).await;
        answers.push(format!("{answer:?} {}", answer.text()));
    }
    for (name, ..) in &ways {
        let answer = client.post(&format!("/{name}/a"), "{}").await;
        line_of(answer.request_id()).await;
        answers.push(format!("{answer:?} {}", answer.text()));
    }
    // A caller that knows the key already learns nothing, and gets it into no log.
    let request = client
        .request("GET", "/openai/v1/b?key=x")
        .header("authorization", format!("Bearer {KEY}"))
        .body(full(""))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    line_of(answer.request_id()).await;
    // A bundle that breaks in the middle of a secret.
    let half = document.find(ENCODED).unwrap() + ENCODED.len() / 2;
    std::fs::write(directory.path().join("bundle.json"), &document[..half]).unwrap();
    crate::support::eventually("the broken bundle was refused", async || {
        sidecar
            .metrics()
            .await
            .contains("postern_bundle_errors_total 1")
            .then_some(())
    })
    .await;

    let saw = |upstream: &Upstream| {
        upstream
            .seen()
            .iter()
            .any(|seen| format!("{seen:?}").contains(KEY))
    };
    assert!(
        saw(&upstream) && saw(&h2),
        "or the test would prove nothing"
    );
    let in_basic = BASE64_STANDARD.encode(format!("me:{KEY}"));
    for text in [&in_basic, TOKEN] {
        let is_seen = |seen: &Seen| {
            let values = seen.headers.values();
            values
                .filter_map(|value| value.to_str().ok())
                .any(|value| value.contains(text))
        };
        assert!(
            upstream.seen().iter().any(is_seen),
            "or the test would prove nothing"
        );
    }
    for (place, text) in [
        ("log", whole_log()),
        ("metrics", sidecar.metrics().await),
        ("answers", answers.join("\n")),
    ] {
        for secret in [
            KEY,
            ENCODED,
            &ENCODED[..ENCODED.len() / 2],
            &in_basic[10..],
            TOKEN,
        ] {
            assert!(!text.contains(secret), "the {place} has the secret");
        }
    }
}

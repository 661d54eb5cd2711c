//! The secret is in what the upstream gets, and nowhere else.

use http::StatusCode;
use postern_sidecar::{Config, Source};

use crate::support::{Authority, Identity, Protocol, Sidecar, Upstream, full, line_of, whole_log};

const KEY: &str = "sk-this-must-never-be-seen-anywhere";
/// The same in base64, as it stands in a bundle.
const ENCODED: &str = "c2stdGhpcy1tdXN0LW5ldmVyLWJlLXNlZW4tYW55d2hlcmU=";

#[tokio::test]
async fn the_secret_is_in_no_log_line_metric_answer_or_debug_output() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let h2 = Upstream::ok(Protocol::Http2).await;
    let identity = Identity::openai_at(&upstream)
        .secret("openai", KEY)
        .credential("second", "openai", &h2, KEY)
        .credential("claude", "anthropic", &upstream, KEY)
        .at("gone", "openai", &upstream, "https://127.0.0.1:1/v1", KEY)
        .credential("stranger", "openai", &upstream, KEY)
        .authority("stranger", &Authority::new().pem())
        .credential("broken", "openai", &upstream, &format!("{KEY}\r\nx: y"));
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
    for (place, text) in [
        ("log", whole_log()),
        ("metrics", sidecar.metrics().await),
        ("answers", answers.join("\n")),
    ] {
        for secret in [KEY, ENCODED, &ENCODED[..ENCODED.len() / 2]] {
            assert!(!text.contains(secret), "the {place} has the secret");
        }
    }
}

//! After a rotation: an upstream that goes on to show the previous key, and a caller that does not get it for as long as `overlap` says.

use std::sync::Mutex;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body::Frame;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{
    bundle::Mount,
    support::{
        Answer, Body, Identity, Protocol, Sidecar, Upstream, eventually, full, soon, stream,
        whole_log,
    },
};

const OLD: &str = "sk-previous-of-the-overlap";
const NEW: &str = "sk-newer-of-the-overlap-test";

/// What an upstream that remembers too much says to whatever call: the key that it came with, and the previous one.
fn telling(head: &Parts) -> Response<Body> {
    let sent = head.headers["authorization"].to_str().unwrap();
    let encoded = BASE64_STANDARD.encode(OLD);
    let text = json!({"sent": sent, "was": OLD, "encoded": encoded}).to_string();
    let response = Response::builder().header("x-was", format!("{OLD} {sent}"));
    if head.uri.path().ends_with("/events") {
        let event = Bytes::from(format!("data: {text}\n\n"));
        let (sender, body) = stream();
        for byte in 0..event.len() {
            let frame = Frame::data(event.slice(byte..=byte));
            sender.send(Ok(frame)).unwrap();
        }
        let response = response.header("content-type", "text/event-stream");
        response.body(body).unwrap()
    } else {
        let response = response.header("content-type", "application/json");
        response.body(full(text)).unwrap()
    }
}

/// Where a call may be answered with what.
const PATHS: [&str; 2] = ["/openai/v1/models", "/openai/v1/events"];

/// Everything that the caller got.
fn told(answer: &Answer) -> String {
    let text = format!("{:?} {}", answer.headers, answer.text());
    assert!(!text.contains(NEW), "the key that was sent came back");
    text
}

fn has_old(text: &str) -> bool {
    let encoded = BASE64_STANDARD.encode(OLD);
    // Base64 without its last characters is one of the forms.
    text.contains(OLD) || text.contains(&encoded[..encoded.len() - 4])
}

/// The document of `identity` with this `overlap`.
fn with_overlap(identity: &Identity, overlap: Option<&str>) -> Value {
    let mut document = identity.document();
    if let Some(overlap) = overlap {
        document["format"] = json!(5);
        document["spec"]["credentials"][0]["overlap"] = json!(overlap);
    }
    document
}

/// Puts `document` in the place of the bundle, and waits until it is in use.
async fn rotate(mount: &Mount, sidecar: &Sidecar, document: &Value) {
    let revision = async || sidecar.admin("/bundle").await.json()["revision"].clone();
    let before = revision().await;
    mount.swap(document.to_string().as_bytes());
    eventually("the bundle is in use", async || {
        (revision().await != before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_previous_key_comes_back_in_no_head_body_or_stream_and_is_not_sent() {
    let upstream = Upstream::answering(Protocol::Http1, |head, _| telling(head)).await;
    let identity = Identity::openai_at(&upstream).secret("openai", OLD);
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;
    assert_eq!(sidecar.get(PATHS[0]).await.status, StatusCode::OK);
    let after = identity.secret("openai", NEW);
    rotate(&mount, &sidecar, &with_overlap(&after, None)).await;
    for path in PATHS {
        let answer = sidecar.get(path).await;
        let text = told(&answer);
        assert!(!has_old(&text), "{text}");
        let placeholder = &Identity::placeholder("openai")[..20];
        assert!(text.contains(placeholder), "{text}");
    }
    // What changes nothing about the secret leaves what is known.
    let other = json!({"name": "more", "to": {"credentials": ["*"]}, "action": "Allow"});
    let other = after.rule(other);
    rotate(&mount, &sidecar, &with_overlap(&other, None)).await;
    assert!(!has_old(&told(&sidecar.get(PATHS[0]).await)));

    let seen = upstream.seen();
    let newer = |seen: &crate::support::Seen| {
        seen.header("authorization") == Some(&format!("Bearer {NEW}"))
    };
    assert_eq!(seen.len(), 4);
    assert!(seen[1..].iter().all(newer));
    let log = whole_log();
    assert!(!log.contains(OLD) && !log.contains(NEW));
}

#[tokio::test]
async fn a_sidecar_that_starts_after_the_rotation_never_had_the_previous_key() {
    let upstream = Upstream::answering(Protocol::Http1, |head, _| telling(head)).await;
    let identity = Identity::openai_at(&upstream).secret("openai", NEW);
    let sidecar = Mount::of(&with_overlap(&identity, None)).serve().await;
    assert!(has_old(&told(&sidecar.get(PATHS[0]).await)));
}

#[tokio::test]
async fn a_previous_key_is_forgotten_when_its_overlap_is_over() {
    let upstream = Upstream::answering(Protocol::Http1, |head, _| telling(head)).await;
    let identity = Identity::openai_at(&upstream).secret("openai", OLD);
    let mount = Mount::of(&with_overlap(&identity, None));
    let sidecar = mount.serve().await;
    let after = identity.secret("openai", NEW);
    rotate(&mount, &sidecar, &with_overlap(&after, Some("1s"))).await;
    eventually("the previous key is forgotten", async || {
        has_old(&told(&sidecar.get(PATHS[0]).await)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_began_before_ends_with_its_key_and_shows_none() {
    let (sender, body) = stream();
    let body: Mutex<Option<Body>> = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        Response::new(body.lock().unwrap().take().unwrap())
    })
    .await;
    let identity = Identity::openai_at(&upstream).secret("openai", OLD);
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;
    let mut client = sidecar.client().await;
    let request = client.request("GET", PATHS[1]).body(full("")).unwrap();
    let mut response = soon("the stream began", client.open(request))
        .await
        .unwrap();
    // Even one that lasts longer than the overlap, and than a second rotation.
    for key in [NEW, "sk-newest-of-the-overlap"] {
        let after = identity.clone().secret("openai", key);
        rotate(&mount, &sidecar, &with_overlap(&after, Some("1s"))).await;
    }
    sender
        .send(Ok(Frame::data(format!("<{OLD}>").into())))
        .unwrap();
    drop(sender);
    let rest = soon("the stream ended", response.body_mut().collect())
        .await
        .unwrap();
    let text = String::from_utf8(rest.to_bytes().to_vec()).unwrap();
    assert!(!has_old(&text) && text.starts_with("<sk-"), "{text}");
    assert_eq!(
        upstream.saw_one().header("authorization"),
        Some(&*format!("Bearer {OLD}"))
    );
}

#[tokio::test]
async fn a_call_that_is_sent_again_with_the_newer_key_shows_neither() {
    let upstream = Upstream::answering(Protocol::Http1, |head, _| {
        let mut response = telling(head);
        let key = head.headers["authorization"].as_bytes();
        if key.ends_with(OLD.as_bytes()) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        }
        response
    })
    .await;
    let identity = Identity::openai_at(&upstream).secret("openai", OLD);
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;
    upstream.hold(true);
    let mut client = sidecar.client().await;
    let rotation = async {
        eventually("the call is on its way", async || {
            (!upstream.seen().is_empty()).then_some(())
        })
        .await;
        let after = identity.clone().secret("openai", NEW);
        rotate(&mount, &sidecar, &after.document()).await;
        upstream.hold(false);
    };
    let (answer, ()) = tokio::join!(client.get(PATHS[0]), rotation);
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(upstream.seen().len(), 2);
    let text = told(&answer);
    assert!(!has_old(&text), "{text}");
}

#[tokio::test]
async fn what_a_previous_secret_bought_or_signed_with_is_not_shown_either() {
    let tokens = Upstream::answering(Protocol::Http1, |_, body| {
        let is_old = body.windows(OLD.len()).any(|part| part == OLD.as_bytes());
        let token = if is_old {
            "token-of-the-previous"
        } else {
            "token-of-the-newer"
        };
        let token = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600});
        Response::new(full(token.to_string()))
    })
    .await;
    let upstream = Upstream::answering(Protocol::Http1, |_, _| {
        Response::new(full("token-of-the-previous, token-of-the-newer"))
    })
    .await;
    let url = format!("{}/token", tokens.endpoint());
    let inject = json!({"oauth2ClientCredentials": {"tokenUrl": url, "clientId": "bot", "authStyle": "Body"}});
    let both = upstream.authority.pem() + &tokens.authority.pem();
    let identity = Identity::new()
        .injected("crm", &upstream, &inject, OLD)
        .authority("crm", &both)
        .allowing_all();
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;
    assert_eq!(sidecar.get("/crm/a").await.status, StatusCode::OK);
    rotate(&mount, &sidecar, &identity.secret("crm", NEW).document()).await;
    let text = sidecar.get("/crm/a").await.text();
    assert!(!text.contains("token-of"), "{text}");

    let keys =
        |key: &str| json!({"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": key}).to_string();
    let upstream = Upstream::answering(Protocol::Http1, |_, _| {
        Response::new(full(format!("{OLD}, {NEW}")))
    })
    .await;
    let inject = json!({"awsSigV4": {"service": "s3", "region": "eu-west-1"}});
    let identity = Identity::new()
        .injected("aws", &upstream, &inject, &keys(OLD))
        .allowing_all();
    let mount = Mount::of(&identity.document());
    let sidecar = mount.serve().await;
    rotate(
        &mount,
        &sidecar,
        &identity.secret("aws", &keys(NEW)).document(),
    )
    .await;
    let text = sidecar.get("/aws/a").await.text();
    assert!(!text.contains("overlap"), "{text}");
}

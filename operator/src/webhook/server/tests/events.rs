//! Events of stores over the real server.

use std::path::Path;

use super::*;
use crate::webhook::events::{Events, written::Statuses};

const TOKEN: &str = "token-of-the-tests-1";

/// A server that hears of events, what its API server was asked to write, and where its token is.
async fn hearing() -> (Running, Statuses, tempfile::TempDir) {
    let (cluster, _add) = Cluster::of(None, []);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    let (statuses, metrics) = (Statuses::default(), Metrics::default());
    let events = Events::new(statuses.client(), file, metrics.clone());
    let running = start_with(cluster, metrics, Some(Arc::new(events))).await;
    (running, statuses, directory)
}

fn event(store: &str, token: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(format!("https://webhook.svc/v1/stores/{store}/refresh"))
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(body.into()))
        .unwrap()
}

async fn told(running: &Running, request: Request<Full<Bytes>>) -> hyper::Response<Bytes> {
    let response = running.http1().await.send_request(request).await.unwrap();
    let (head, body) = response.into_parts();
    hyper::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

/// How often events ended so.
fn count(running: &Running, outcome: &str) -> u32 {
    let series = format!(r#"webhook_events_total{{outcome="{outcome}"}} "#);
    let text = running.metrics();
    let line = text.lines().find_map(|line| line.split_once(&series));
    line.map_or(0, |(_, number)| number.parse().unwrap())
}

#[tokio::test]
async fn an_event_with_the_token_is_written_into_the_status_of_its_store() {
    let (running, statuses, _directory) = hearing().await;
    for (store, body) in [("corp", ""), ("aws", r#"{"path": "prod/crm"}"#)] {
        let response = told(&running, event(store, TOKEN, body)).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{store}");
        assert!(response.body().is_empty());
    }
    let written = statuses.written();
    let about: Vec<(&str, Vec<&str>)> = written
        .iter()
        .map(|(name, refresh)| {
            let paths = refresh.paths.iter().map(String::as_str).collect();
            (name.as_str(), paths)
        })
        .collect();
    assert_eq!(about, [("corp", vec![]), ("aws", vec!["prod/crm"])]);
    assert_eq!(count(&running, "accepted"), 2);
}

#[tokio::test]
async fn without_the_token_nothing_is_written_or_learnt() {
    let (running, statuses, directory) = hearing().await;
    let refused = async |request| {
        let response = told(&running, request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert!(response.body().is_empty());
    };
    // Whether or not there is such a store, and whatever is sent.
    for store in ["corp", "nowhere", "NO-NAME"] {
        refused(event(store, "token-of-the-tests-2", "")).await;
    }
    refused(event("corp", "token-of-the-tests-2", "no json")).await;
    let mut nameless = event("corp", TOKEN, "");
    nameless.headers_mut().remove("authorization");
    refused(nameless).await;
    let token: &Path = &directory.path().join("token");
    std::fs::remove_file(token).unwrap();
    refused(event("corp", TOKEN, "")).await;
    assert!(statuses.written().is_empty());
    assert_eq!(count(&running, "unauthorized"), 6);
}

#[tokio::test]
async fn a_store_that_is_not_there_and_a_message_that_is_none_are_refused() {
    let (running, statuses, _directory) = hearing().await;
    for (store, body, status, outcome) in [
        ("nowhere", String::new(), 404, "not_found"),
        ("NO-NAME", String::new(), 404, "not_found"),
        ("corp%2Fstatus", String::new(), 404, "not_found"),
        ("broken", String::new(), 503, "unavailable"),
        ("corp", "path=a".to_owned(), 400, "malformed"),
        ("corp", " ".repeat(256 * 1024 + 1), 400, "malformed"),
    ] {
        let before = count(&running, outcome);
        let response = told(&running, event(store, TOKEN, body)).await;
        assert_eq!(response.status().as_u16(), status, "{store}");
        assert_eq!(count(&running, outcome), before + 1, "{store}");
    }
    assert!(statuses.written().is_empty());
    // The longest that is read.
    let longest = event("corp", TOKEN, " ".repeat(256 * 1024));
    assert_eq!(told(&running, longest).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn events_do_not_keep_admissions_waiting_and_are_off_unless_wanted() {
    let (running, _statuses, _directory) = hearing().await;
    let body = asking().to_string();
    let response = told(&running, post(body)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut get = event("corp", TOKEN, "");
    *get.method_mut() = http::Method::GET;
    assert_eq!(
        told(&running, get).await.status(),
        StatusCode::METHOD_NOT_ALLOWED
    );

    let (cluster, _add) = Cluster::of(None, []);
    let without = start(cluster).await;
    let response = told(&without, event("corp", TOKEN, "")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

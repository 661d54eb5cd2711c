//! Start, health, metrics, and the way to stop.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use postern_sidecar::{Config, Source, access::Outcome};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{
    Body, Client, Identity, Protocol, Sidecar, Upstream, eventually, full, soon, stream,
};

#[tokio::test]
async fn running_streams_end_before_the_sidecar_does() {
    for h2_caller in [false, true] {
        let (sender, body) = stream();
        let body: Mutex<Option<Body>> = Mutex::new(Some(body));
        let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
            Response::new(body.lock().unwrap().take().unwrap())
        })
        .await;
        let mut sidecar = Identity::openai_at(&upstream).serve().await;
        let mut client = if h2_caller {
            Client::http2(sidecar.address).await
        } else {
            sidecar.client().await
        };
        let request = client
            .request("GET", "/openai/v1/stream")
            .body(full(""))
            .unwrap();
        let mut response = soon("the stream began", client.open(request))
            .await
            .unwrap();
        let mut idle = TcpStream::connect(sidecar.address).await.unwrap();

        sidecar.stop();

        soon("an idle connection was closed", idle.read(&mut [0; 1]))
            .await
            .unwrap();
        eventually("no new connection was taken", async || {
            TcpStream::connect(sidecar.address)
                .await
                .is_err()
                .then_some(())
        })
        .await;
        assert_eq!(
            sidecar.admin("/readyz").await.status,
            StatusCode::SERVICE_UNAVAILABLE
        );
        sender.send(Ok(Frame::data("to the end".into()))).unwrap();
        drop(sender);
        let rest = soon("the stream ended", response.body_mut().collect())
            .await
            .unwrap();
        assert_eq!(rest.to_bytes(), "to the end");
        sidecar.stopped().await;
    }
}

#[tokio::test]
async fn a_stream_that_outlives_the_grace_period_is_cut_off() {
    let (sender, body) = stream();
    let body: Mutex<Option<Body>> = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http1, move |_, _| {
        Response::new(body.lock().unwrap().take().unwrap())
    })
    .await;
    let source = Source::Fixed(Box::new(Identity::openai_at(&upstream).bundle()));
    let mut config = Config::on_free_ports(source);
    config.drain_timeout = Duration::from_millis(100);
    let mut sidecar = Sidecar::with(config).await;
    let mut client = sidecar.client().await;
    let request = client
        .request("GET", "/openai/v1/stream")
        .body(full(""))
        .unwrap();
    let mut response = soon("the stream began", client.open(request))
        .await
        .unwrap();
    sidecar.stop();
    sidecar.stopped().await;
    let rest = soon("the stream broke off", response.body_mut().collect()).await;
    assert!(rest.is_err(), "a cut stream must not look whole");
    soon("the upstream was left", sender.closed()).await;
}

#[tokio::test]
async fn metrics_tell_what_happened_and_nothing_else() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    sidecar.get("/openai/v1/models?user=alice").await;
    sidecar.get("/mallory-was-here").await;
    sidecar.get("/openai/%2e%2e/mallory").await;
    let metrics = sidecar.metrics().await;
    for line in [
        "postern_requests_total{route=\"openai\",decision=\"allow\",reason=\"allowed\",status=\"2xx\",outcome=\"complete\"} 1",
        "postern_requests_total{route=\"none\",decision=\"deny\",reason=\"unknown_route\",status=\"4xx\",outcome=\"complete\"} 1",
        "postern_requests_total{route=\"none\",decision=\"deny\",reason=\"path_invalid\",status=\"4xx\",outcome=\"complete\"} 1",
        "postern_request_duration_seconds_count{route=\"openai\"} 1",
        "postern_request_first_byte_seconds_count{route=\"openai\"} 1",
        "postern_upstream_duration_seconds_count{route=\"openai\"} 1",
        "postern_upstream_first_byte_seconds_count{route=\"openai\"} 1",
        "postern_upstream_connects_total{route=\"openai\"} 1",
        "postern_bundle_info{identity=\"agents/bot\",revision=\"",
        "postern_bundle_loaded_timestamp_seconds ",
        "postern_bundle_errors_total 0",
        "postern_requests_in_flight 0",
        "postern_connections ",
        concat!(
            "postern_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    for word in ["alice", "mallory"] {
        assert!(!metrics.contains(word), "{metrics}");
    }
}

#[tokio::test]
async fn an_observer_is_told_of_every_request() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let mut config = Config::on_free_ports(Source::Fixed(Box::new(
        Identity::openai_at(&upstream).bundle(),
    )));
    let records = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&records);
    config.observer = Some(Arc::new(move |record| {
        told.lock()
            .unwrap()
            .push((record.allowed, record.reason, record.outcome));
    }));
    let sidecar = Sidecar::with(config).await;
    sidecar.get("/openai/v1/models").await;
    sidecar.get("/nowhere").await;
    eventually("both were observed", async || {
        (records.lock().unwrap().len() == 2).then_some(())
    })
    .await;
    let expected = [
        (true, "allowed", Outcome::Complete),
        (false, "unknown_route", Outcome::Complete),
    ];
    assert_eq!(*records.lock().unwrap(), expected);
}

#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut ids = std::collections::BTreeSet::new();
    for path in [
        "/openai/v1/models",
        "/nowhere",
        "/openai//x",
        "/openai/v1/models",
    ] {
        ids.insert(sidecar.get(path).await.request_id().to_owned());
    }
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn the_admin_listener_takes_no_commands() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = Client::http1(sidecar.admin).await;
    assert_eq!(
        client.post("/metrics", "").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(sidecar.admin("/").await.status, StatusCode::NOT_FOUND);
    // The data listener knows none of its pages.
    assert_eq!(
        sidecar.get("/metrics").await.reason(),
        Some("unknown_route")
    );
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let mut config = Config::on_free_ports(Source::Fixed(Box::new(
        Identity::openai_at(&upstream).bundle(),
    )));
    config.max_connections = 1;
    let sidecar = Sidecar::with(config).await;
    let mut first = sidecar.client().await;
    assert_eq!(first.get("/openai/v1/models").await.status, StatusCode::OK);
    let mut second = sidecar.client().await;
    let request = second
        .request("GET", "/openai/v1/models")
        .body(full(""))
        .unwrap();
    let waiting = second.send(request);
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        answer = &mut waiting => panic!("there was room for a second connection: {answer:?}"),
        answer = first.get("/openai/v1/models") => assert_eq!(answer.status, StatusCode::OK),
    }
    drop(first);
    assert_eq!(waiting.await.status, StatusCode::OK);
}

//! Connections to upstreams: whom they trust, where they may go, and that they are used again.

use std::{sync::Mutex, time::Duration};

use http::{Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use postern_sidecar::{ApiHost, Config, Source};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{
    Authority, Body, Client, Identity, Protocol, Sidecar, Upstream, eventually, full, line_of,
    soon, stream,
};

#[tokio::test]
async fn an_upstream_with_a_wrong_certificate_gets_nothing() {
    let stranger = Authority::new();
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream)
        .authority("openai", &stranger.pem())
        .serve()
        .await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.reason(), Some("upstream_tls"));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("UnknownIssuer") && message.contains("tls.caBundle"),
        "{message}"
    );
    assert!(upstream.seen().is_empty());

    let upstream = Upstream::with_names(
        Protocol::Http1,
        &["other.example.com"],
        |_, _| unreachable!(),
    )
    .await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.reason(), Some("upstream_tls"), "{}", answer.text());
    assert!(
        line_of(answer.request_id()).await["error"]
            .as_str()
            .unwrap()
            .contains("certificate")
    );
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_its_own_credential_only() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let host = upstream.address.to_string();
    let sidecar = Identity::openai_at(&upstream)
        .http("bare", &host, "x-key", "k")
        .serve()
        .await;
    assert_eq!(
        sidecar.get("/openai/v1/models").await.status,
        StatusCode::OK
    );
    assert_eq!(sidecar.get("/bare/").await.reason(), Some("upstream_tls"));
}

#[tokio::test]
async fn http2_is_spoken_where_the_upstream_does() {
    let upstream = Upstream::ok(Protocol::Http2).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = sidecar.client().await;
    for _ in 0..3 {
        assert_eq!(
            client.post("/openai/v1/chat", "{}").await.status,
            StatusCode::OK
        );
    }
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].version, Version::HTTP_2);
    assert_eq!(seen[0].authority, Some(upstream.address.to_string()));
    assert_eq!(seen[0].header("host"), None);
    assert_eq!(seen[0].header("content-length"), Some("2"));
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn one_http2_connection_carries_many_calls_at_a_time() {
    let upstream = Upstream::ok(Protocol::Http2).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let address = sidecar.address;
        calls.spawn(async move {
            Client::http1(address)
                .await
                .get("/openai/v1/models")
                .await
                .status
        });
    }
    for status in calls.join_all().await {
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(upstream.seen().len(), 50);
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_goes_away_finishes_its_calls_and_gets_no_new_ones() {
    let (sender, body) = stream();
    let body: Mutex<Option<Body>> = Mutex::new(Some(body));
    let upstream = Upstream::answering(Protocol::Http2, move |parts, _| {
        let body = match parts.uri.path() {
            "/v1/stream" => body.lock().unwrap().take().unwrap(),
            _ => full("ok"),
        };
        Response::new(body)
    })
    .await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut streaming = sidecar.client().await;
    let request = streaming
        .request("GET", "/openai/v1/stream")
        .body(full(""))
        .unwrap();
    let response = soon("the stream began", streaming.open(request)).await;

    upstream.retire();

    eventually("a new connection was opened", async || {
        let answer = sidecar.get("/openai/v1/models").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        (upstream.connections() == 2).then_some(())
    })
    .await;
    sender.send(Ok(Frame::data("to the end".into()))).unwrap();
    drop(sender);
    let body = response.unwrap().into_body();
    let rest = soon("the stream ended", body.collect()).await.unwrap();
    assert_eq!(rest.to_bytes(), "to the end");
}

#[tokio::test]
async fn connections_are_used_again() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = sidecar.client().await;
    for _ in 0..20 {
        assert_eq!(
            client.post("/openai/v1/chat", "{}").await.status,
            StatusCode::OK
        );
    }
    // One more may have been opened where the next call came before the last connection was found idle again.
    assert!(upstream.connections() <= 2, "{}", upstream.connections());
    let metrics = sidecar.metrics().await;
    assert!(
        metrics.contains("postern_upstream_connects_total{route=\"openai\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_is_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // Answers once a connection and closes it without a word.
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
        }
    });
    let sidecar = Sidecar::to_plaintext(address).await;
    let mut client = sidecar.client().await;
    let mut served = 0;
    for _ in 0..20 {
        served += u32::from(client.get("/openai/v1/models").await.status == StatusCode::OK);
        // The close needs a moment to arrive; a request that is written before cannot be saved.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(served >= 19, "{served} of 20");
}

#[tokio::test]
async fn a_plaintext_endpoint_is_called_where_it_is_allowed() {
    let upstream = Upstream::ok(Protocol::Plaintext).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    assert_eq!(
        sidecar.get("/openai/v1/models").await.status,
        StatusCode::OK
    );
    assert_eq!(
        upstream.saw_one().header("host"),
        Some(upstream.address.to_string().as_str())
    );
}

#[tokio::test]
async fn localhost_by_name_is_what_an_endpoint_may_mean() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let endpoint = format!("https://localhost:{}/v1", upstream.address.port());
    let sidecar = Identity::new()
        .at("openai", "openai", &upstream, &endpoint, "k")
        .allowing_all()
        .serve()
        .await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let host = format!("localhost:{}", upstream.address.port());
    assert_eq!(upstream.saw_one().header("host"), Some(host.as_str()));
}

#[tokio::test]
async fn a_name_that_leads_to_loopback_is_refused() {
    let upstream = Upstream::ok(Protocol::Plaintext).await;
    // Resolvers read this name as an address, 127.0.0.1; it is none of the spellings that name it.
    let endpoint = format!("http://0x7f000001:{}/v1", upstream.address.port());
    let sidecar = Identity::new()
        .at("openai", "openai", &upstream, &endpoint, "k")
        .allowing_all()
        .serve()
        .await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.reason(), Some("address_refused"));
    assert!(answer.text().contains("loopback"), "{}", answer.text());
    assert_eq!(upstream.connections(), 0);
    let line = line_of(answer.request_id()).await;
    assert_eq!(line["decision"], "deny");
}

#[tokio::test]
async fn a_name_that_leads_to_the_clusters_api_is_refused_and_so_is_its_own() {
    let upstream = Upstream::ok(Protocol::Plaintext).await;
    for (api, host) in [
        ("127.0.0.1", "0x7f000001"),
        ("localhost", "0x7f000001"),
        ("localhost", "localhost"),
    ] {
        let endpoint = format!("http://{host}:{}/v1", upstream.address.port());
        let identity = Identity::new()
            .at("openai", "openai", &upstream, &endpoint, "k")
            .allowing_all();
        let mut config = Config::on_free_ports(Source::Fixed(Box::new(identity.bundle())));
        let api: ApiHost = api.parse().unwrap();
        config.cluster_api = vec![api.clone()];
        let answer = Sidecar::with(config).await.get("/openai/v1/models").await;
        assert_eq!(answer.reason(), Some("address_refused"), "{api:?}, {host}");
        assert!(
            answer.text().contains("the cluster's API"),
            "{api:?}, {host}: {}",
            answer.text()
        );
    }
    assert_eq!(upstream.connections(), 0);
    // A name that nobody resolves stands in no other's way.
    let mut config = Config::on_free_ports(Source::Fixed(Box::new(
        Identity::openai_at(&upstream).bundle(),
    )));
    config.cluster_api = vec![ApiHost::Name("api.invalid".into())];
    let answer = Sidecar::with(config).await.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    let upstream = Upstream::ok(Protocol::Plaintext).await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let sidecar = Identity::new()
        .at(
            "openai",
            "openai",
            &upstream,
            &format!("http://{free}/v1"),
            "k",
        )
        .allowing_all()
        .serve()
        .await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.reason(), Some("upstream_unreachable"));
    assert_eq!(
        answer.header("x-should-retry"),
        None,
        "a client may try again"
    );
}

#[tokio::test]
async fn an_upstream_that_does_not_finish_its_handshake_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = Identity::new()
        .at(
            "openai",
            "openai",
            &upstream,
            &format!("https://{address}/v1"),
            "k",
        )
        .allowing_all();
    let mut config = Config::on_free_ports(Source::Fixed(Box::new(identity.bundle())));
    config.connect_timeout = Duration::from_millis(200);
    let sidecar = Sidecar::with(config).await;
    let started = std::time::Instant::now();
    // All at a time, so that those who wait for another's handshake are seen to be given up too.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let address = sidecar.address;
        calls.spawn(async move { Client::http1(address).await.get("/openai/v1/models").await });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(answer.reason(), Some("upstream_timeout"));
    }
    // Far from the default, and far from five times one's own.
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_upstream_that_switches_protocols_unasked_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    let sidecar = Sidecar::to_plaintext(address).await;
    let mut client = sidecar.client().await;
    let request = client
        .request("GET", "/openai/v1/realtime")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(full(""))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.text());
    assert_eq!(answer.reason(), Some("upstream_broken"));
    assert_eq!(answer.json()["error"]["param"], Value::Null);
}

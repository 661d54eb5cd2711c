//! What leaves for the provider in a caller's stead, and what comes back.

use http::{Response, StatusCode, Version};
use http_body::Frame;
use serde_json::json;

use crate::support::{Client, Identity, Protocol, Upstream, full, line_of, raw, stream};

const CHAT: &str = "/openai/v1/chat/completions";

#[tokio::test]
async fn the_real_key_takes_the_place_of_the_placeholder() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", CHAT)
        .header(
            "authorization",
            format!("Bearer {}", Identity::placeholder("openai")),
        )
        .header("content-type", "application/json")
        .body(full("{\"model\":\"gpt\"}"))
        .unwrap();

    let answer = client.send(request).await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({"ok": true}));
    assert_eq!(answer.reason(), None);
    let seen = upstream.saw_one();
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.target, "/v1/chat/completions");
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer sk-real-key-of-the-test")
    );
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.body, "{\"model\":\"gpt\"}");
}

#[tokio::test]
async fn callers_key_never_leaves() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let host = upstream.address.to_string();
    let sidecar = Identity::openai_at(&upstream)
        .credential("claude", "anthropic", &upstream, "sk-ant-real")
        .credential("gem", "gemini", &upstream, "AIza-real")
        .http("crm", &host, "X-Crm-Key", "crm-real")
        .authority("crm", &upstream.authority.pem())
        .serve()
        .await;
    let mut client = sidecar.client().await;
    for (route, own_header, own_value) in [
        ("openai", "authorization", "Bearer sk-real-key-of-the-test"),
        ("claude", "x-api-key", "sk-ant-real"),
        ("gem", "x-goog-api-key", "AIza-real"),
        ("crm", "x-crm-key", "crm-real"),
    ] {
        let request = client
            .request(
                "GET",
                &format!(
                    "/{route}/x?alt=sse&key=callers-own&%6bey=callers-own&api_key=callers-own"
                ),
            )
            .header("authorization", "Bearer callers-own")
            .header("authorization", "Basic callers-own")
            .header("x-api-key", "callers-own")
            .header("api-key", "callers-own")
            .header("x-goog-api-key", "callers-own")
            .header(
                "x-crm-key",
                if route == "crm" {
                    "callers-own"
                } else {
                    "data"
                },
            )
            .header("cookie", "session=callers-own")
            .header("proxy-authorization", "Basic callers-own")
            .header("x_api_key", "callers-own")
            .body(full(""))
            .unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{route}: {}", answer.text());

        let seen = upstream.seen().pop().unwrap();
        assert!(!format!("{seen:?}").contains("callers-own"), "{seen:?}");
        assert!(seen.target.ends_with("/x?alt=sse"), "{}", seen.target);
        assert_eq!(seen.header(own_header), Some(own_value), "{route}");
        for other in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
            if other != own_header {
                assert_eq!(seen.header(other), None, "{route}");
            }
        }
    }
}

#[tokio::test]
async fn a_base_url_works_with_and_without_v1() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    for path in [
        "/openai/v1/chat/completions",
        "/openai/chat/completions",
        "/openai/v1/v1/chat/completions",
    ] {
        assert_eq!(sidecar.get(path).await.status, StatusCode::OK);
        assert_eq!(
            upstream.seen().pop().unwrap().target,
            "/v1/chat/completions"
        );
    }
}

#[tokio::test]
async fn langchains_gateway_layout_reaches_the_first_credential_of_the_vendor() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("main", "openai", &upstream, "sk-main")
        .credential("spare", "openai", &upstream, "sk-spare")
        .credential("claude", "anthropic", &upstream, "sk-ant")
        .allowing_all()
        .serve()
        .await;
    let mut client = sidecar.client().await;
    // LANGSMITH_GATEWAY_API_KEY is the placeholder of the first credential, and LangChain sends it to every vendor.
    let gateway_key = format!("Bearer {}", Identity::placeholder("main"));
    for (path, header, key) in [
        ("/openai/v1/responses", "authorization", "Bearer sk-main"),
        ("/anthropic/v1/messages", "x-api-key", "sk-ant"),
        // OPENAI_API_KEY belongs to the first credential of the vendor; clients of the second hold it too.
        ("/spare/v1/responses", "authorization", "Bearer sk-spare"),
    ] {
        let request = client
            .request("GET", path)
            .header("authorization", &gateway_key)
            .body(full(""))
            .unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(upstream.seen().pop().unwrap().header(header), Some(key));
    }
}

#[tokio::test]
async fn only_what_is_meant_for_the_provider_leaves() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = sidecar.client().await;
    let request = client
        .request("GET", "/openai/v1/models?limit=2&after=a%2Fb")
        .header("connection", "keep-alive, X-Hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5")
        .header("upgrade", "websocket")
        .header("te", "trailers")
        .header("x-forwarded-for", "10.1.1.1")
        .header("forwarded", "for=10.1.1.1")
        .header("via", "1.1 mesh")
        .header("postern-reason", "forged")
        .header("accept-encoding", "gzip, zstd")
        .header("user-agent", "OpenAI/Python 3.54.0")
        .header("x-stainless-lang", "python")
        .body(full(""))
        .unwrap();
    assert_eq!(client.send(request).await.status, StatusCode::OK);

    let seen = upstream.saw_one();
    assert_eq!(seen.target, "/v1/models?limit=2&after=a%2Fb");
    assert_eq!(
        seen.header("host"),
        Some(upstream.address.to_string().as_str())
    );
    let mut names: Vec<&str> = seen.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept-encoding",
            "authorization",
            "host",
            "user-agent",
            "x-stainless-lang"
        ]
    );
    assert_eq!(
        seen.header("accept-encoding"),
        Some("identity"),
        "or nobody could see the secret in what comes back"
    );
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = Client::http2(sidecar.address).await;
    let answer = client.post(CHAT, "{}").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({"ok": true}));
    let seen = upstream.saw_one();
    assert_eq!(seen.version, Version::HTTP_11);
    assert_eq!(seen.body, "{}");
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let upstream = Upstream::answering(Protocol::Http2, |_, _| {
        let (sender, body) = stream();
        sender.send(Ok(Frame::data("data".into()))).unwrap();
        let trailers = [
            (
                http::HeaderName::from_static("grpc-status"),
                "0".parse().unwrap(),
            ),
            (
                http::HeaderName::from_static("postern-reason"),
                "forged".parse().unwrap(),
            ),
        ];
        sender
            .send(Ok(Frame::trailers(trailers.into_iter().collect())))
            .unwrap();
        Response::new(body)
    })
    .await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = Client::http2(sidecar.address).await;
    let (sender, body) = stream();
    sender.send(Ok(Frame::data("question".into()))).unwrap();
    let trailers = [
        (
            http::HeaderName::from_static("x-checksum"),
            "1".parse().unwrap(),
        ),
        (
            http::HeaderName::from_static("authorization"),
            "Bearer callers-own".parse().unwrap(),
        ),
    ];
    sender
        .send(Ok(Frame::trailers(trailers.into_iter().collect())))
        .unwrap();
    drop(sender);
    let request = client
        .request("POST", CHAT)
        .header("te", "trailers")
        .body(body)
        .unwrap();

    let answer = client.send(request).await;

    assert_eq!(answer.text(), "data");
    let trailers = answer.trailers.unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert!(!trailers.contains_key("postern-reason"));
    let seen = upstream.saw_one();
    assert_eq!(seen.header("te"), Some("trailers"));
    let trailers = seen.trailers.unwrap();
    assert_eq!(trailers["x-checksum"], "1");
    assert!(!trailers.contains_key("authorization"));
}

#[tokio::test]
async fn an_upstreams_error_passes_unchanged() {
    let upstream = Upstream::answering(Protocol::Http1, |_, _| {
        Response::builder()
            .status(429)
            .header("retry-after", "17")
            .header("x-ratelimit-remaining-requests", "0")
            .header("postern-reason", "forged")
            .header("postern-request-id", "forged")
            .header("alt-svc", "h3=\":443\"")
            .body(full("{\"error\":{\"code\":\"rate_limit_exceeded\"}}"))
            .unwrap()
    })
    .await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let answer = sidecar.get(CHAT).await;

    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), Some("17"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(
        answer.reason(),
        None,
        "only the sidecar's own answers have one"
    );
    assert_ne!(answer.request_id(), "forged");
    assert_eq!(answer.header("alt-svc"), None);
    assert_eq!(upstream.seen().len(), 1, "nothing is retried");
}

#[tokio::test]
async fn a_redirect_is_passed_and_never_followed() {
    let upstream = Upstream::answering(Protocol::Http1, |_, _| {
        Response::builder()
            .status(307)
            .header("location", "https://elsewhere.example.com/")
            .body(full(""))
            .unwrap()
    })
    .await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let answer = sidecar.get(CHAT).await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        answer.header("location"),
        Some("https://elsewhere.example.com/")
    );
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn head_and_empty_answers_keep_their_headers() {
    let upstream = Upstream::answering(Protocol::Http1, |parts, _| {
        let response = Response::builder();
        match parts.uri.path() {
            "/v1/file" => response.header("content-length", "12345").body(full("")),
            _ => response.status(204).body(full("")),
        }
        .unwrap()
    })
    .await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = sidecar.client().await;
    let request = client
        .request("HEAD", "/openai/v1/file")
        .body(full(""))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.header("content-length"), Some("12345"));
    assert_eq!(answer.text(), "");
    assert_eq!(line_of(answer.request_id()).await["outcome"], "complete");

    let request = client
        .request("DELETE", "/openai/v1/gone")
        .body(full(""))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(line_of(answer.request_id()).await["outcome"], "complete");
}

#[tokio::test]
async fn a_caller_that_waits_for_100_continue_gets_it() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        sidecar.address
    );
    let answer = raw(sidecar.address, request.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"),
        "{answer}"
    );
    let seen = upstream.saw_one();
    assert_eq!(seen.body, "hello");
    assert_eq!(seen.header("expect"), None);
}

#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_keeps_it() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let request = format!(
        "GET /openai/v1/search HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        sidecar.address
    );
    let answer = raw(sidecar.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(upstream.saw_one().body, "hello");
}

#[tokio::test]
async fn one_line_tells_what_happened_to_a_request() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let answer = sidecar
        .client()
        .await
        .post("/openai/v1/%63hat?user=alice", "12345")
        .await;
    let line = line_of(answer.request_id()).await;
    for (field, expected) in [
        ("identity", json!("agents/bot")),
        ("credential", json!("openai")),
        ("method", json!("POST")),
        ("path", json!("/v1/chat")),
        ("decision", json!("allow")),
        ("reason", json!("allowed")),
        ("rule", json!("egress/all")),
        ("status", json!(200)),
        ("bytes_in", json!(5)),
        ("bytes_out", json!(11)),
        ("outcome", json!("complete")),
    ] {
        assert_eq!(line[field], expected, "{field} in {line}");
    }
    assert!(line["duration_ms"].as_f64().unwrap() >= line["upstream_ms"].as_f64().unwrap());
    assert!(
        !line.to_string().contains("alice"),
        "the query is not logged"
    );
}

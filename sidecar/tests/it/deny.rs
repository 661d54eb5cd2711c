//! What is refused, in which words, and that nothing of it reaches the upstream.

use http::StatusCode;
use postern_sidecar::{Config, Source};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Identity, Protocol, Sidecar, Upstream, full, line_of, raw};

/// Checks an answer of the sidecar's own, and that the upstream was left alone.
fn assert_refused(answer: &Answer, status: u16, reason: &str, upstream: &Upstream) {
    assert_eq!(
        (answer.status.as_u16(), answer.reason()),
        (status, Some(reason)),
        "{}",
        answer.text()
    );
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(!answer.request_id().is_empty());
    assert!(upstream.seen().is_empty());
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_header_that_asks_for_another_method_is_refused_even_where_no_body_is_read() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "sk-real")
        .rule(json!({"name": "read", "to": {"credentials": ["openai"]}, "methods": ["GET"], "action": "Allow"}))
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let request = client
        .request("GET", "/openai/v1/files/f")
        .header("x-http-method-override", "DELETE")
        .body(full(""))
        .unwrap();
    let answer = client.send(request).await;
    assert_refused(&answer, 400, "body_invalid", &upstream);
    assert!(
        answer.text().contains("another method"),
        "{}",
        answer.text()
    );
    assert_eq!(client.get("/openai/v1/files/f").await.status, 200);
}

#[tokio::test]
async fn denied_request_never_reaches_upstream() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "sk-real")
        .rule(
            json!({"name": "chat", "to": {"credentials": ["openai"]}, "methods": ["POST"],
                     "paths": ["/v1/chat/completions", "/v1/files/**"], "action": "Allow"}),
        )
        .rule(
            json!({"name": "no-delete", "to": {"credentials": ["*"]}, "paths": ["/v1/files/secret"],
                     "action": "Deny"}),
        )
        .serve()
        .await;
    let mut client = sidecar.client().await;

    let answer = client.get("/openai/v1/chat/completions").await;
    assert_refused(&answer, 403, "no_rule", &upstream);
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    for part in [
        "GET /v1/chat/completions",
        "\"openai\"",
        "agents/bot",
        "EgressPolicy",
    ] {
        assert!(message.contains(part), "{message}");
    }

    let answer = client.post("/openai/v1/files/secret", "{}").await;
    assert_refused(&answer, 403, "denied_by_rule", &upstream);
    assert!(answer.text().contains("egress/no-delete"));
    let line = line_of(answer.request_id()).await;
    assert_eq!(line["decision"], "deny");
    assert_eq!(line["rule"], "egress/no-delete");

    let answer = client.post("/openai/v1/embeddings", "{}").await;
    assert_refused(&answer, 403, "no_rule", &upstream);
}

#[tokio::test]
async fn a_denial_is_written_in_the_dialect_of_its_api() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "k")
        .credential("claude", "anthropic", &upstream, "k")
        .credential("gem", "gemini", &upstream, "k")
        .credential("router", "openrouter", &upstream, "k")
        .http("crm", "crm.example.com", "x-key", "k")
        .serve()
        .await;
    let mut client = sidecar.client().await;

    let answer = client.get("/openai/v1/models").await;
    let error = &answer.json()["error"];
    assert_eq!(error["type"], "policy_denied");
    assert_eq!(error["code"], "no_rule");
    assert_eq!(error["param"], Value::Null);
    assert_eq!(answer.header("x-request-id"), Some(answer.request_id()));

    let answer = client.get("/claude/v1/messages").await;
    assert_eq!(answer.json()["type"], "error");
    assert_eq!(answer.json()["error"]["type"], "permission_error");
    assert_eq!(answer.json()["request_id"], answer.request_id());
    assert_eq!(answer.header("request-id"), Some(answer.request_id()));

    let answer = client.get("/gem/v1beta/models").await;
    assert_eq!(answer.json()["error"]["code"], 403);
    assert_eq!(answer.json()["error"]["status"], "PERMISSION_DENIED");

    let answer = client.get("/router/api/v1/models").await;
    assert_eq!(answer.json()["error"]["code"], 403);

    let answer = client.get("/crm/customers").await;
    assert!(
        answer.json()["error"]
            .as_str()
            .unwrap()
            .contains("no rule allows")
    );
    assert_eq!(answer.json()["reason"], "no_rule");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_path_without_a_credential_is_answered_with_the_routes_there_are() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    for path in ["/v1/chat/completions", "/", "/OpenAI/v1/models", "/openaix"] {
        let answer = sidecar.get(path).await;
        assert_refused(&answer, 404, "unknown_route", &upstream);
        assert!(answer.text().contains("/openai"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_path_that_servers_read_differently_is_refused() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    for path in [
        "/openai/%2e%2e/other",
        "/openai/v1/%2E%2E/admin",
        "/openai/../claude/v1",
        "/openai/v1/./models",
        "/openai//v1/models",
        "//openai/v1/models",
        "/openai/v1%2fmodels",
        "/openai/v1%5cmodels",
        "/openai/v1/%00",
        "/openai/v1/%0d%0ahost:x",
        "/openai/v1/%252e%252e/x",
        "/openai/v1/%zz",
        "/openai/..;/x",
    ] {
        let answer = sidecar.get(path).await;
        assert_refused(&answer, 400, "path_invalid", &upstream);
    }
}

#[tokio::test]
async fn a_path_is_sent_exactly_as_it_was_matched() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .credential("openai", "openai", &upstream, "k")
        .rule(json!({"name": "one", "to": {"credentials": ["openai"]}, "paths": ["/v1/models/a:b"], "action": "Allow"}))
        .serve()
        .await;
    for path in ["/openai/v1/models/a:b", "/openai/v1/%6dodels/%61%3ab"] {
        assert_eq!(sidecar.get(path).await.status, StatusCode::OK);
        assert_eq!(upstream.seen().pop().unwrap().target, "/v1/models/a:b");
    }
}

#[tokio::test]
async fn another_destination_than_the_routes_is_refused() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let own = sidecar.address;
    for request in [
        "GET http://evil/ HTTP/1.1\r\nhost: evil\r\n".to_owned(),
        format!("GET http://evil.example.com/openai/v1/models HTTP/1.1\r\nhost: {own}\r\n"),
        format!("GET http://{own}/openai/v1/models HTTP/1.1\r\nhost: evil.example.com\r\n"),
        format!("GET ftp://{own}/openai/v1/models HTTP/1.1\r\nhost: {own}\r\n"),
        "GET /openai/v1/models HTTP/1.1\r\nhost: evil.example.com\r\n".to_owned(),
        "GET /openai/v1/models HTTP/1.1\r\nhost: 127.0.0.1:1\r\n".to_owned(),
        format!("GET http://user@{own}/openai/v1/models HTTP/1.1\r\nhost: {own}\r\n"),
    ] {
        let answer = raw(
            own,
            format!("{request}connection: close\r\n\r\n").as_bytes(),
        )
        .await;
        let refused = ["authority_mismatch", "unknown_route"];
        assert!(
            refused
                .iter()
                .any(|reason| answer.contains(&format!("postern-reason: {reason}\r\n"))),
            "{request}: {answer}"
        );
    }
    for hosts in [
        format!("host: {own}\r\nhost: {own}\r\n"),
        format!("host: {own}\r\nhost: evil\r\n"),
        String::new(),
    ] {
        let request = format!("GET /openai/v1/models HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let answer = raw(own, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{hosts}: {answer}");
        assert!(
            answer.contains("postern-reason: host_invalid\r\n"),
            "{hosts}: {answer}"
        );
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn the_listeners_own_names_and_the_routes_are_accepted() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let (own, port) = (sidecar.address, sidecar.address.port());
    for (target, host) in [
        (String::new(), format!("localhost:{port}")),
        (String::new(), format!("LOCALHOST:{port}")),
        (String::new(), format!("[::1]:{port}")),
        (String::new(), upstream.address.to_string()),
        (format!("http://{own}"), own.to_string()),
        (format!("http://localhost:{port}"), own.to_string()),
    ] {
        let request = format!(
            "GET {target}/openai/v1/models HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(own, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{target} {host}: {answer}"
        );
    }
}

#[tokio::test]
async fn http2_with_another_authority_is_refused() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let mut client = Client::http2(sidecar.address).await;
    let evil = http::Request::get("http://evil.example.com/openai/v1/models")
        .body(full(""))
        .unwrap();
    assert_refused(
        &client.send(evil).await,
        403,
        "authority_mismatch",
        &upstream,
    );

    let torn = client
        .request("GET", "/openai/v1/models")
        .header("host", "evil.example.com")
        .body(full(""))
        .unwrap();
    assert_refused(
        &client.send(torn).await,
        403,
        "authority_mismatch",
        &upstream,
    );
}

#[tokio::test]
async fn methods_that_no_rule_can_name_are_not_forwarded() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream).serve().await;
    let own = sidecar.address;
    for line in [
        format!("CONNECT {} HTTP/1.1", upstream.address),
        "TRACE /openai/v1/models HTTP/1.1".to_owned(),
        "PROPFIND /openai/v1/models HTTP/1.1".to_owned(),
        "get /openai/v1/models HTTP/1.1".to_owned(),
    ] {
        let answer = raw(
            own,
            format!("{line}\r\nhost: {own}\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{line}: {answer}");
        assert!(
            answer.contains("postern-reason: method_refused\r\n"),
            "{line}: {answer}"
        );
        assert!(
            answer.contains("allow: GET, HEAD, POST"),
            "{line}: {answer}"
        );
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_credential_without_secret_or_authority_is_not_used() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let identity = Identity::openai_at(&upstream);

    let sidecar = identity.clone().without_secret("openai").serve().await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_refused(&answer, 403, "credential_missing", &upstream);
    assert!(answer.text().contains("kubectl describe agentidentity"));

    let sidecar = identity.clone().without_authority("openai").serve().await;
    assert_refused(
        &sidecar.get("/openai/v1/models").await,
        403,
        "trust_invalid",
        &upstream,
    );

    for pem in [
        "",
        "nonsense",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let sidecar = identity.clone().authority("openai", pem).serve().await;
        assert_refused(
            &sidecar.get("/openai/v1/models").await,
            403,
            "trust_invalid",
            &upstream,
        );
    }

    for key in ["", "two\r\nlines: x"] {
        let sidecar = identity.clone().secret("openai", key).serve().await;
        assert_refused(
            &sidecar.get("/openai/v1/models").await,
            403,
            "credential_unusable",
            &upstream,
        );
    }
}

#[tokio::test]
async fn a_placeholder_outside_its_place_is_refused_and_counted() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::openai_at(&upstream)
        .credential("search", "tavily", &upstream, "k")
        .http("crm", "crm.example.com", "x-crm-key", "k")
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let own = Identity::placeholder("openai");
    let others = Identity::placeholder("search").to_uppercase();
    for (path, header, value) in [
        (
            "/openai/v1/models".to_owned(),
            "authorization",
            format!("Bearer {others}"),
        ),
        ("/openai/v1/models".to_owned(), "x-note", own.clone()),
        ("/openai/v1/models".to_owned(), "cookie", format!("k={own}")),
        (
            "/openai/v1/models".to_owned(),
            "x-note",
            format!("{own} {others}"),
        ),
        (format!("/openai/v1/models/{own}"), "x-note", "none".into()),
        (
            format!("/openai/v1/models?q={own}"),
            "x-note",
            "none".into(),
        ),
        (
            format!("/openai/v1/models?key={others}"),
            "x-note",
            "none".into(),
        ),
        (
            "/crm/customers".to_owned(),
            "authorization",
            format!("Bearer {own}"),
        ),
        ("/crm/customers".to_owned(), "x-crm-key", own.clone()),
    ] {
        let request = client
            .request("GET", &path)
            .header(header, &value)
            .body(full(""))
            .unwrap();
        let answer = client.send(request).await;
        assert_refused(&answer, 403, "placeholder_misplaced", &upstream);
    }
    let metrics = sidecar.metrics().await;
    assert!(
        metrics.contains("postern_placeholders_misplaced_total{route=\"openai\"} 7"),
        "{metrics}"
    );
    assert!(
        metrics.contains("postern_placeholders_misplaced_total{route=\"crm\"} 2"),
        "{metrics}"
    );

    // In its own places it is at home.
    for (path, header) in [
        ("/openai/v1/models".to_owned(), "authorization"),
        ("/openai/v1/models".to_owned(), "x-api-key"),
        (format!("/openai/v1/models?key={own}"), "api-key"),
    ] {
        let request = client
            .request("GET", &path)
            .header(header, &own)
            .body(full(""))
            .unwrap();
        assert_eq!(client.send(request).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn without_a_bundle_everything_is_denied_and_nothing_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let source = Source::Directory(directory.path().to_owned());
    let sidecar = Sidecar::with(Config::on_free_ports(source)).await;
    let answer = sidecar.get("/openai/v1/models").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.reason(), Some("no_policy"));
    assert_eq!(
        sidecar.admin("/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(sidecar.admin("/livez").await.status, StatusCode::OK);
}

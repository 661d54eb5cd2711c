//! The credential as the upstream sees it, for every way to put one into a request.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::{Identity, Protocol, Upstream, full};

/// The 32 digits of the placeholder that an application holds for `credential`.
fn placeholder(credential: &str) -> String {
    postern_crds::placeholder::render("postern-{}", "agents", "bot", credential)
}

/// The ways that need nothing but the secret: name of the credential, `inject`, secret.
fn ways() -> [(&'static str, Value, &'static str); 5] {
    [
        ("bearer", json!({"bearer": {}}), "sk-real"),
        (
            "header",
            json!({"header": {"name": "X-Crm-Key", "prefix": "Token "}}),
            "sk-real",
        ),
        ("query", json!({"query": {"name": "token"}}), "sk/real"),
        ("basic", json!({"basic": {}}), "me:sk-real"),
        ("cookie", json!({"cookie": {"name": "sid"}}), "sk-real"),
    ]
}

#[tokio::test]
async fn the_upstream_sees_the_secret_in_its_place_and_nothing_of_the_callers_own() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = Upstream::ok(protocol).await;
        let mut identity = Identity::new().allowing_all();
        for (name, inject, secret) in ways() {
            identity = identity.injected(name, &upstream, &inject, secret);
        }
        let sidecar = identity.serve().await;
        let mut client = sidecar.client().await;
        for (name, target, header, value) in [
            ("bearer", "/x?a=1", "authorization", "Bearer sk-real"),
            ("header", "/x?a=1", "x-crm-key", "Token sk-real"),
            ("query", "/x?a=1&token=sk%2Freal", "", ""),
            ("basic", "/x?a=1", "authorization", "Basic bWU6c2stcmVhbA=="),
            ("cookie", "/x?a=1", "cookie", "sid=sk-real"),
        ] {
            let own_query = if name == "query" {
                "&Token=callers-own"
            } else {
                ""
            };
            let request = client
                .request("GET", &format!("/{name}/x?a=1&key=callers-own{own_query}"))
                .header("authorization", "Basic callers-own")
                .header("x-api-key", "callers-own")
                .header(
                    "x_crm_key",
                    if name == "header" { "callers-own" } else { "" },
                )
                .header("cookie", "sid=callers-own; other=callers-own")
                .header("x-amz-security-token", "callers-own")
                .body(full(""))
                .unwrap();
            let answer = client.send(request).await;
            assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
            let seen = upstream.seen().pop().unwrap();
            assert!(!format!("{seen:?}").contains("callers-own"), "{seen:?}");
            assert_eq!(seen.target, target, "{name}");
            for place in ["authorization", "x-crm-key", "cookie"] {
                let expected = (place == header).then_some(value);
                assert_eq!(seen.header(place), expected, "{name} {place}");
            }
        }
    }
}

#[tokio::test]
async fn a_placeholder_is_at_home_where_its_own_secret_goes() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let mut identity = Identity::new().allowing_all();
    for (name, inject, secret) in ways() {
        identity = identity.injected(name, &upstream, &inject, secret);
    }
    let sidecar = identity.serve().await;
    let mut client = sidecar.client().await;
    for (name, query, header, expected) in [
        ("query", "?token={}", "accept", StatusCode::OK),
        ("bearer", "?token={}", "accept", StatusCode::FORBIDDEN),
        ("cookie", "", "cookie", StatusCode::OK),
        ("bearer", "", "cookie", StatusCode::FORBIDDEN),
        ("basic", "", "authorization", StatusCode::OK),
        ("query", "", "x-crm-key", StatusCode::FORBIDDEN),
    ] {
        let placeholder = placeholder(name);
        let request = client
            .request(
                "GET",
                &format!("/{name}/x{}", query.replace("{}", &placeholder)),
            )
            .header(
                header,
                if query.is_empty() {
                    &placeholder
                } else {
                    "*/*"
                },
            )
            .body(full(""))
            .unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status, expected, "{name} {query} {header}");
        if expected == StatusCode::FORBIDDEN {
            assert_eq!(answer.reason(), Some("placeholder_misplaced"));
        }
    }
}

#[tokio::test]
async fn a_providers_key_goes_another_way_where_the_credential_says_so() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let mut document = Identity::openai_at(&upstream).document();
    document["spec"]["credentials"][0]["inject"] = json!({"header": {"name": "X-Gateway-Key"}});
    let bundle = serde_json::from_value(document).unwrap();
    let sidecar = crate::support::Sidecar::with(postern_sidecar::Config::on_free_ports(
        postern_sidecar::Source::Fixed(Box::new(bundle)),
    ))
    .await;
    assert_eq!(
        sidecar.get("/openai/v1/models").await.status,
        StatusCode::OK
    );
    let seen = upstream.saw_one();
    assert_eq!(
        seen.header("x-gateway-key"),
        Some("sk-real-key-of-the-test")
    );
    assert_eq!(seen.header("authorization"), None);
}

const AWS: &str = r#"{"accessKeyId": "AKIDREAL", "secretAccessKey": "aws-secret-of-the-test", "sessionToken": "aws-token-of-the-test"}"#;

/// What AWS's SDKs send with keys that are worth nothing.
fn with_dummy_signature(builder: http::request::Builder) -> http::request::Builder {
    builder
        .header("authorization", "AWS4-HMAC-SHA256 Credential=callers-own/20260101/r/s/aws4_request, SignedHeaders=host, Signature=0")
        .header("x-amz-date", "20260101T000000Z")
        .header("x-amz-security-token", "callers-own")
        .header("x-amz-content-sha256", "callers-own")
}

#[tokio::test]
async fn a_request_is_signed_for_aws_anew_over_the_body_that_is_sent() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let upstream = Upstream::ok(protocol).await;
        let sidecar = Identity::new()
            .injected(
                "aws",
                &upstream,
                &json!({"awsSigV4": {"service": "bedrock", "region": "eu-central-1"}}),
                AWS,
            )
            .allowing_all()
            .serve()
            .await;
        let mut client = sidecar.client().await;
        let request = client.request(
            "POST",
            "/aws/model/anthropic.claude-v2%3A1/converse?X-Amz-Signature=callers-own",
        );
        let request = with_dummy_signature(request).body(full("{}")).unwrap();
        let answer = client.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let seen = upstream.saw_one();
        assert!(!format!("{seen:?}").contains("callers-own"), "{seen:?}");
        assert_eq!(seen.target, "/model/anthropic.claude-v2%3A1/converse");
        assert_eq!(seen.body, "{}");
        // The hash of `{}`.
        assert_eq!(
            seen.header("x-amz-content-sha256"),
            Some("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
        );
        assert_eq!(
            seen.header("x-amz-security-token"),
            Some("aws-token-of-the-test")
        );
        let signature = seen.header("authorization").unwrap();
        assert!(
            signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDREAL/")
                && signature.contains("/eu-central-1/bedrock/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "),
            "{signature}"
        );
        assert_ne!(seen.header("x-amz-date"), Some("20260101T000000Z"));
    }
}

#[tokio::test]
async fn s3_gets_its_body_as_it_comes_and_other_services_never_one_signed_in_chunks() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let aws = |service| json!({"awsSigV4": {"service": service, "region": "r"}});
    let sidecar = Identity::new()
        .injected("s3", &upstream, &aws("s3"), AWS)
        .injected("runtime", &upstream, &aws("bedrock"), AWS)
        .allowing_all()
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let chunked = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    for (name, said, sent) in [
        ("s3", "callers-own", Some("UNSIGNED-PAYLOAD")),
        ("s3", chunked, Some(chunked)),
        ("s3", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None),
        ("runtime", chunked, None),
    ] {
        let request = client
            .request("PUT", &format!("/{name}/key"))
            .header("x-amz-content-sha256", said)
            .body(full("x"))
            .unwrap();
        let answer = client.send(request).await;
        match sent {
            Some(sent) => {
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                assert_eq!(
                    upstream
                        .seen()
                        .pop()
                        .unwrap()
                        .header("x-amz-content-sha256"),
                    Some(sent)
                );
            }
            None => {
                assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name} {said}");
                assert_eq!(answer.reason(), Some("unsignable"));
            }
        }
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_body_that_is_too_long_to_be_signed_is_not_sent() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let sidecar = Identity::new()
        .injected(
            "aws",
            &upstream,
            &json!({"awsSigV4": {"service": "bedrock", "region": "r"}}),
            AWS,
        )
        .allowing_all()
        .serve()
        .await;
    let mut client = sidecar.client().await;
    let request = client
        .request("POST", "/aws/x")
        .body(full(vec![b'x'; 8 * 1024 * 1024 + 1]))
        .unwrap();
    let answer = client.send(request).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.reason(), Some("body_too_large"));
    assert!(upstream.seen().is_empty());
}

//! What a request looks like after its credential was put in.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use postern_crds::{agent_identity::AgentIdentitySpec, route};
use serde_json::json;

use super::*;

/// The route of a credential that is put in by `inject`, a YAML flow mapping.
fn route(inject: &str) -> Route {
    let inject: serde_json::Value = postern_crds::yaml::from_str(inject).unwrap();
    let spec: AgentIdentitySpec = serde_json::from_value(json!({
        "serviceAccountNames": ["a"],
        "credentials": [{
            "name": "x",
            "http": {"hosts": ["crm.example.com"], "inject": inject},
            "source": {"secret": {"name": "s", "key": "k"}},
        }],
    }))
    .unwrap();
    route::compile("agents", "bot", &spec).unwrap().remove(0)
}

/// What `GET /a?b=c` with headers of the caller's becomes: its target, and its headers in their order.
async fn injected(inject: &str, secret: &str) -> Result<(String, HeaderMap), Error> {
    let mut target = PathAndQuery::from_static("/a?b=c");
    let mut headers = HeaderMap::new();
    for name in ["authorization", "cookie", "x-crm-key", "accept"] {
        headers.insert(name, HeaderValue::from_static("callers-own"));
    }
    let mut head = Head {
        method: &Method::GET,
        target: &mut target,
        headers: &mut headers,
    };
    let body = CallerBody::Read(Bytes::new());
    let secret = Secret::new(secret.into());
    place(&mut head, body, &route(inject), &secret, None, UNIX_EPOCH).await?;
    Ok((target.to_string(), headers))
}

#[tokio::test]
async fn every_way_to_inject_puts_the_secret_in_its_place_and_nowhere_else() {
    for (inject, secret, target, headers) in [
        (
            "{bearer: {}}",
            "sk-live\n",
            "/a?b=c",
            json!({"authorization": "Bearer sk-live", "x-crm-key": "callers-own"}),
        ),
        (
            "{header: {name: X-Crm-Key, prefix: 'Token '}}",
            "sk live",
            "/a?b=c",
            json!({"x-crm-key": "Token sk live"}),
        ),
        (
            "{query: {name: token}}",
            "s&k=+ /~%",
            "/a?b=c&token=s%26k%3D%2B%20%2F~%25",
            json!({"x-crm-key": "callers-own"}),
        ),
        // The example of RFC 7617 section 2.
        (
            "{basic: {username: Aladdin}}",
            "open sesame",
            "/a?b=c",
            json!({"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "x-crm-key": "callers-own"}),
        ),
        (
            "{basic: {}}",
            "Aladdin:open sesame",
            "/a?b=c",
            json!({"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "x-crm-key": "callers-own"}),
        ),
        (
            "{cookie: {name: sid}}",
            "abc=",
            "/a?b=c",
            json!({"cookie": "sid=abc=", "x-crm-key": "callers-own"}),
        ),
    ] {
        let (seen, mut left) = injected(inject, secret).await.unwrap();
        assert_eq!(seen, target, "{inject}");
        assert_eq!(left.remove("accept").unwrap(), "callers-own");
        for (name, value) in headers.as_object().unwrap() {
            let found = left.remove(name).unwrap();
            assert_eq!(found, value.as_str().unwrap(), "{inject}");
            assert_eq!(found.is_sensitive(), found != "callers-own", "{inject}");
        }
        assert!(left.is_empty(), "{inject}: {left:?}");
    }
}

#[tokio::test]
async fn a_secret_in_a_header_prints_as_nothing() {
    for inject in [
        "{bearer: {}}",
        "{basic: {username: me}}",
        "{cookie: {name: sid}}",
    ] {
        let (_, headers) = injected(inject, "sk-live").await.unwrap();
        let shown = format!("{headers:?}");
        assert!(!shown.contains("sk-live"), "{shown}");
        assert!(
            !shown.contains(&BASE64_STANDARD.encode("me:sk-live")),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_sent_as_the_route_wants_it_is_not_sent() {
    for (inject, secret) in [
        ("{bearer: {}}", ""),
        ("{bearer: {}}", "\n"),
        ("{bearer: {}}", "sk\r\nhost: evil"),
        ("{header: {name: x-key}}", "sk\0"),
        ("{query: {name: key}}", "sk\nlive"),
        ("{basic: {}}", "no-colon"),
        ("{cookie: {name: sid}}", "a; admin=1"),
        ("{awsSigV4: {service: s3, region: r}}", "sk-live"),
    ] {
        assert!(
            matches!(
                injected(inject, secret).await,
                Err(Error::CredentialUnusable)
            ),
            "{inject} {secret:?}"
        );
    }
}

/// The headers of `POST /a?b=c` with the body `{}`, sent at 2015-08-30T12:36:00Z.
async fn hashed(hmac: &str, secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-sign", HeaderValue::from_static("callers-own"));
    headers.insert("x-nonce", HeaderValue::from_static("callers-own"));
    let mut head = Head {
        method: &Method::POST,
        target: &mut PathAndQuery::from_static("/a?b=c"),
        headers: &mut headers,
    };
    let route = route(&format!("{{hmac: {hmac}}}"));
    let secret = Secret::new(secret.into());
    let body = CallerBody::Read(Bytes::from_static(b"{}"));
    let now = UNIX_EPOCH + Duration::from_secs(1_440_938_160);
    place(&mut head, body, &route, &secret, None, now)
        .await
        .unwrap();
    headers
}

#[tokio::test]
async fn a_keyed_hash_is_that_of_other_implementations() {
    // <https://en.wikipedia.org/wiki/HMAC#Examples>
    let headers = hashed(
        r#"{message: "The quick brown fox jumps over the lazy dog", headers: [{name: X-Sign, value: "{signature}"}]}"#,
        "key\n",
    )
    .await;
    assert_eq!(
        headers["x-sign"],
        "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    );
    // The next two were computed with Python's `hmac`.
    let headers = hashed(
        r#"{keyId: k1, message: "{timestamp}|{method}|{host}|{path}|{query}|{target}|{keyId}|{body}|{bodySha256}|{header:X-Nonce}|{header:X-None}{{",
            headers: [{name: X-Sign, value: "t={timestamp},k={keyId},v1={signature}"}]}"#,
        "k",
    )
    .await;
    assert_eq!(
        headers["x-sign"],
        "t=1440938160,k=k1,v1=e14d2a1a98da0783b10a8a150c63ab41cfaebb3ccb787e6306f78e7057acb7cd"
    );
    assert_eq!(headers["x-nonce"], "callers-own");
    let headers = hashed(
        r#"{algorithm: SHA512, encoding: Base64, keyEncoding: Hex, timestamp: Milliseconds, message: "{timestamp}{method}",
            headers: [{name: X-Sign, value: "{signature}"}, {name: X-Time, value: "{timestamp}"}]}"#,
        "00ff",
    )
    .await;
    assert_eq!(
        headers["x-sign"],
        "oq5IvXk/K9BHxmkv3Figb5WnnD4t1Pio+BpuTvN3bxtgasyh1/N8C+oQ8bo61GPVvmrfGNVxbhhIYImhbfIsfA=="
    );
    assert_eq!(headers["x-time"], "1440938160000");
    let headers = hashed(
        r#"{timestamp: Rfc3339, message: "", headers: [{name: X-Sign, value: "{timestamp} {signature}"}]}"#,
        "k",
    )
    .await;
    let value = headers["x-sign"].to_str().unwrap();
    assert!(value.starts_with("2015-08-30T12:36:00Z "), "{value}");
}

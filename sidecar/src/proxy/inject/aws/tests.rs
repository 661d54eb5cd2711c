//! AWS's own vectors, and what they leave out.
//!
//! `vectors.json` is made of the suite that AWS's clients are tested with
//! (<https://github.com/awslabs/aws-c-auth/tree/v0.9.0/tests/aws-signing-test-suite>, Apache-2.0), less what cannot come here: targets that are not
//! encoded or encoded once as for S3 alone, paths to be normalised, headers over several lines, and tokens that are added after signing.

use std::time::{Duration, UNIX_EPOCH};

use http::{Method, uri::PathAndQuery};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    name: String,
    keys: serde_json::Value,
    method: String,
    target: String,
    host: String,
    headers: Vec<(String, String)>,
    body: String,
    authorization: String,
}

const SCOPE: Scope<'_> = Scope {
    service: "service",
    region: "us-east-1",
};

/// 2015-08-30T12:36:00Z, the moment of all vectors.
fn moment() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_440_938_160)
}

fn keys(document: &serde_json::Value) -> AwsKeys {
    AwsKeys::read(document.to_string().as_bytes()).ok().unwrap()
}

#[test]
fn signatures_are_those_of_awss_own_vectors() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(vectors.len() > 25);
    for vector in vectors {
        let mut headers = HeaderMap::new();
        for (name, value) in &vector.headers {
            let name = HeaderName::try_from(name).unwrap();
            headers.append(name, HeaderValue::try_from(value).unwrap());
        }
        let mut target: PathAndQuery = vector.target.parse().unwrap();
        let head = Head {
            method: &vector.method.parse().unwrap(),
            target: &mut target,
            headers: &mut headers,
        };
        let hash = Payload::Whole(vector.body.as_bytes()).hash();
        let keys = keys(&vector.keys);
        let now = Utc::at(moment());
        let signed =
            authorization(&head, &vector.host, &hash, &keys, SCOPE, now, |_| true).unwrap();
        assert_eq!(
            signed.to_str().unwrap(),
            vector.authorization,
            "{}",
            vector.name
        );
    }
}

/// The headers of a request with these headers of the caller, after it was signed.
fn signed(keys: &AwsKeys, payload: Payload<'_>, callers: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in callers {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut head = Head {
        method: &Method::POST,
        target: &mut PathAndQuery::from_static("/model/anthropic.claude-v2:1/converse"),
        headers: &mut headers,
    };
    sign(&mut head, "h", payload, keys, SCOPE, moment()).unwrap();
    headers
}

fn session() -> AwsKeys {
    keys(
        &serde_json::json!({"accessKeyId": "AKID", "secretAccessKey": "sk-live", "sessionToken": "token-live"}),
    )
}

#[test]
fn what_aws_demands_is_signed_and_what_may_change_on_the_way_is_not() {
    let headers = signed(
        &session(),
        Payload::Whole(b"{}"),
        &[
            ("content-type", "application/json"),
            ("x-amz-target", "a.b"),
            ("user-agent", "Boto3/1.44.5"),
            ("x-amzn-trace-id", "Root=1"),
            ("accept-encoding", "identity"),
        ],
    );
    let authorization = headers[header::AUTHORIZATION].to_str().unwrap();
    assert!(
        authorization.contains(
            "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token;x-amz-target,"
        ),
        "{authorization}"
    );
    assert_eq!(headers["x-amz-date"], "20150830T123600Z");
    assert_eq!(headers["x-amz-security-token"], "token-live");
    assert_eq!(
        headers["x-amz-content-sha256"],
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
}

#[test]
fn nothing_of_the_keys_is_printed() {
    let shown = format!("{:?}", signed(&session(), Payload::Whole(b""), &[]));
    assert!(
        !shown.contains("live") && !shown.contains("AKID"),
        "{shown}"
    );
}

#[test]
fn another_body_has_another_signature() {
    let signature = |payload| signed(&session(), payload, &[])[header::AUTHORIZATION].clone();
    assert_ne!(
        signature(Payload::Whole(b"a")),
        signature(Payload::Whole(b"b"))
    );
    assert_eq!(
        signature(Payload::Whole(b"a")),
        signature(Payload::Whole(b"a"))
    );
}

#[test]
fn a_body_in_chunks_is_passed_unsigned_or_refused() {
    let said = |text: &'static str| HeaderValue::from_static(text);
    for (word, sent) in [
        ("UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD"),
        ("e3b0c442", "UNSIGNED-PAYLOAD"),
        (
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        ),
    ] {
        let payload = Payload::unsigned(Some(&said(word))).unwrap();
        assert_eq!(
            signed(&session(), payload, &[])["x-amz-content-sha256"],
            sent
        );
    }
    for word in [
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-EVENTS",
    ] {
        assert!(Payload::unsigned(Some(&said(word))).is_err(), "{word}");
        assert!(Payload::whole(b"", Some(&said(word))).is_err(), "{word}");
    }
    let unsigned = said("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    assert!(Payload::whole(b"", Some(&unsigned)).is_err());
}

#[test]
fn a_path_is_encoded_once_more_than_it_is_sent_but_for_s3() {
    for (path, service, canonical) in [
        (
            "/model/anthropic.claude-v2%3A1/converse",
            "bedrock",
            "/model/anthropic.claude-v2%253A1/converse",
        ),
        ("/model/a%20b", "bedrock", "/model/a%2520b"),
        ("/bucket/a%20b+c:d", "s3", "/bucket/a%20b%2Bc%3Ad"),
        ("/bucket/~a/", "s3", "/bucket/~a/"),
    ] {
        assert_eq!(canonical_path(path, service), canonical, "{path}");
    }
}

#[test]
fn a_path_is_sent_as_the_sdks_spell_it() {
    for (path, spelled) in [
        (
            "/model/anthropic.claude-v2:1/converse?a=b:c",
            "/model/anthropic.claude-v2%3A1/converse?a=b:c",
        ),
        ("/model/arn:a%2Fb", "/model/arn%3Aa%2Fb"),
        ("/bucket/a+b~c", "/bucket/a%2Bb~c"),
        ("/", "/"),
    ] {
        let target = in_sdk_spelling(&path.parse().unwrap()).unwrap();
        assert_eq!(target, spelled);
    }
}

#[test]
fn parameters_are_decoded_encoded_and_sorted() {
    for (query, canonical) in [
        ("", ""),
        ("b=2&a=1&a=0", "a=0&a=1&b=2"),
        ("acl", "acl="),
        ("a=b=c&d=%7e%2f+", "a=b%3Dc&d=~%2F%20"),
        ("a-b=1&a=2&&", "a=2&a-b=1"),
    ] {
        assert_eq!(canonical_query(query), canonical, "{query}");
    }
}

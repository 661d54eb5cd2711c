//! What a server of tokens answers (RFC 6749 section 5).

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};
use postern_crds::route::{Grant, Purpose, Token};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::{Failure, jwt};
use crate::{clock, wiped};

/// Answers are a few hundred bytes; those with many claims in a token, some thousand.
const MAX_BYTES: usize = 64 * 1024;
/// Of a token whose server does not say. It should, and if not, document it: we cannot read that.
const ASSUMED_LIFETIME: Duration = Duration::from_secs(300);

/// A token, as it is sent and as it is, and how long it lives.
pub(super) struct Fetched {
    pub(super) value: HeaderValue,
    pub(super) token: Zeroizing<String>,
    pub(super) lifetime: Duration,
}

/// The members that matter. Texts of the server's are not kept: nobody knows what stands in them.
#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "wiped_text")]
    access_token: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "wiped_text")]
    id_token: Option<Zeroizing<String>>,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Seconds>,
}

/// A number by the specification; a text with some servers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn duration(&self) -> Option<Duration> {
        match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => text.parse().ok(),
        }
        .map(Duration::from_secs)
    }
}

fn wiped_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Zeroizing::new))
}

/// Reads the answer to a request for `token`.
///
/// # Errors
/// [`Failure`] where there is no token in it.
pub(super) async fn read<B: Body>(
    response: Response<B>,
    token: &Token,
    now: SystemTime,
) -> Result<Fetched, Failure>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_BYTES)
        .collect()
        .await
        .map_err(|_| Failure::Incomplete)?
        .to_bytes();
    if head.status == StatusCode::OK {
        accept(&body, token, now)
    } else {
        Err(Failure::Refused {
            status: head.status.as_u16(),
            code: error_code(&body),
        })
    }
}

fn accept(body: &[u8], token: &Token, now: SystemTime) -> Result<Fetched, Failure> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| Failure::Answer("its answer is not a token's JSON"))?;
    let wants_identity = matches!(&token.grant, Grant::ServiceAccount(Purpose::Identity(_)));
    let text = if wants_identity {
        answer.id_token
    } else {
        let is_bearer = |kind: &String| kind.eq_ignore_ascii_case("bearer");
        if !answer.token_type.as_ref().is_none_or(is_bearer) {
            return Err(Failure::Answer(
                "its token is of another type than Bearer, which needs a proof that nobody here has",
            ));
        }
        answer.access_token
    };
    let text = text
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(Failure::Answer(
            "its answer has no token, or none that a header can carry",
        ))?;
    let expires_in = || answer.expires_in.as_ref().and_then(Seconds::duration);
    let expires_itself = || {
        let expiry = jwt::expiry(&text)?;
        Some(Duration::from_secs(
            expiry.saturating_sub(clock::seconds(now)),
        ))
    };
    let lifetime = expires_in()
        .or_else(expires_itself)
        .unwrap_or(ASSUMED_LIFETIME);
    let value = wiped::header(&[token.prefix.as_bytes(), text.as_bytes()])
        .map_err(|_| Failure::Answer("its token is longer than a header can be"))?;
    Ok(Fetched {
        value,
        token: text,
        lifetime,
    })
}

/// The error code of an answer, where it is one of section 5.2 or of RFC 7523: any other word might be the server's quoting of what it got.
fn error_code(body: &[u8]) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "server_error",
        "temporarily_unavailable",
    ]
    .into_iter()
    .find(|code| *code == refusal.error)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use http::header;

    use super::*;

    fn token(grant: Grant) -> Token {
        Token {
            authority: "h".parse().unwrap(),
            target: "/t".parse().unwrap(),
            grant,
            header: header::AUTHORIZATION,
            prefix: "Bearer ".into(),
        }
    }

    fn access() -> Token {
        token(Grant::ServiceAccount(Purpose::Access("s".into())))
    }

    fn accepted(body: &str) -> Result<(String, u64), Failure> {
        accept(body.as_bytes(), &access(), SystemTime::UNIX_EPOCH).map(|fetched| {
            assert!(fetched.value.is_sensitive());
            (
                fetched.value.to_str().unwrap().to_owned(),
                fetched.lifetime.as_secs(),
            )
        })
    }

    #[test]
    fn a_token_is_taken_with_its_lifetime_however_that_is_said() {
        for (body, lifetime) in [
            (
                r#"{"access_token": "t", "token_type": "Bearer", "expires_in": 3599}"#,
                3599,
            ),
            (
                r#"{"access_token": "t", "token_type": "bearer", "expires_in": "60"}"#,
                60,
            ),
            (r#"{"access_token": "t"}"#, 300),
        ] {
            assert_eq!(
                accepted(body).unwrap(),
                ("Bearer t".to_owned(), lifetime),
                "{body}"
            );
        }
        let jwt = format!(
            "e30.{}.s",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"exp": 1800}"#)
        );
        let body = format!(r#"{{"access_token": "{jwt}"}}"#);
        assert_eq!(accepted(&body).unwrap().1, 1800);
    }

    #[test]
    fn an_identity_token_is_another_member() {
        let token = token(Grant::ServiceAccount(Purpose::Identity("a".into())));
        let body = br#"{"id_token": "i", "access_token": "t"}"#;
        let fetched = accept(body, &token, SystemTime::UNIX_EPOCH).ok().unwrap();
        assert_eq!(fetched.value, "Bearer i");
        assert!(accept(br#"{"access_token": "t"}"#, &token, SystemTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"access_token": null}"#,
            r#"{"access_token": ""}"#,
            r#"{"access_token": "a b"}"#,
            r#"{"access_token": "a\r\nhost: evil"}"#,
            r#"{"access_token": "t", "token_type": "mac"}"#,
            r#"{"access_token": "t", "token_type": "DPoP"}"#,
        ] {
            assert!(matches!(accepted(body), Err(Failure::Answer(_))), "{body}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_code_and_never_by_its_words() {
        let refused = async |status: u16, body: &str| {
            let response = Response::builder()
                .status(status)
                .body(body.to_owned())
                .unwrap();
            read(response, &access(), SystemTime::UNIX_EPOCH)
                .await
                .err()
                .unwrap()
        };
        let failure = refused(
            401,
            r#"{"error": "invalid_client", "error_description": "sk-live is wrong"}"#,
        )
        .await;
        assert_eq!(failure.to_string(), "it answered 401 (invalid_client)");
        assert!(!failure.is_transient());
        let failure = refused(400, r#"{"error": "sk-live is wrong"}"#).await;
        assert_eq!(failure.to_string(), "it answered 400");
        assert!(refused(503, "").await.is_transient());
        assert!(refused(429, "").await.is_transient());
        assert!(matches!(
            refused(302, "").await,
            Failure::Refused { status: 302, .. }
        ));
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read() {
        let response = Response::new("x".repeat(MAX_BYTES + 1));
        let failure = read(response, &access(), SystemTime::UNIX_EPOCH)
            .await
            .err()
            .unwrap();
        assert!(matches!(failure, Failure::Incomplete));
    }
}

//! What a server of tokens is asked.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue, Method, header};
use postern_crds::{
    Secret,
    agent_identity::AuthStyle,
    route::{Grant, Purpose, Token},
    source::{self, GcpKey, Shape},
};
use zeroize::Zeroizing;

use super::{Failure, jwt};
use crate::{
    access::Sent,
    body::{CallerBody, RequestBody},
    percent,
    upstream::Outgoing,
    wiped,
};

/// Of an assertion; Google takes an hour at most.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The request for `token`, which `secret` buys.
///
/// # Errors
/// [`Failure::Key`] when the secret is of another kind.
pub(super) fn request(
    token: &Token,
    secret: &Secret,
    now: SystemTime,
) -> Result<Outgoing, Failure> {
    let mut headers = HeaderMap::new();
    let mut form = Form::default();
    match &token.grant {
        Grant::ClientCredentials {
            client_id,
            scope,
            audience,
            style,
        } => {
            let secret = source::fit(secret.expose(), Shape::Text).map_err(|_| Failure::Key)?;
            form.add("grant_type", b"client_credentials");
            if let Some(scope) = scope {
                form.add("scope", scope.as_bytes());
            }
            if let Some(audience) = audience {
                form.add("audience", audience.as_bytes());
            }
            match style {
                AuthStyle::Header => {
                    headers.insert(header::AUTHORIZATION, basic(client_id, secret)?);
                }
                AuthStyle::Body => {
                    form.add("client_id", client_id.as_bytes());
                    form.add("client_secret", secret);
                }
            }
        }
        Grant::ServiceAccount(purpose) => {
            let key = GcpKey::read(secret.expose()).map_err(|_| Failure::Key)?;
            let claims = claims(&key, purpose, &token.url(), now);
            let assertion = jwt::sign(&key, &claims).ok_or(Failure::Key)?;
            form.add("grant_type", b"urn:ietf:params:oauth:grant-type:jwt-bearer");
            form.add("assertion", assertion.as_bytes());
        }
    }
    let text = HeaderValue::from_static;
    headers.insert(
        header::CONTENT_TYPE,
        text("application/x-www-form-urlencoded"),
    );
    headers.insert(header::ACCEPT, text("application/json"));
    let body = CallerBody::Read(wiped::bytes(form.0));
    Ok(Outgoing {
        method: Method::POST,
        target: token.target.clone(),
        headers,
        accepts_trailers: false,
        body: RequestBody::new(body, Arc::<Sent>::default(), Arc::from([])),
    })
}

/// What a service account says of itself.
/// <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>
fn claims(key: &GcpKey, purpose: &Purpose, audience: &str, now: SystemTime) -> serde_json::Value {
    let issued = crate::clock::seconds(now);
    let mut claims = serde_json::json!({
        "iss": key.client_email,
        "aud": audience,
        "iat": issued,
        "exp": issued + LIFETIME.as_secs(),
    });
    match purpose {
        Purpose::Access(scope) => claims["scope"] = scope.as_str().into(),
        Purpose::Identity(audience) => claims["target_audience"] = audience.as_str().into(),
    }
    claims
}

/// RFC 6749 section 2.3.1: each part is form-encoded first, so that a colon in it is none.
fn basic(client_id: &str, secret: &[u8]) -> Result<HeaderValue, Failure> {
    let secret = percent::encode_wiped(secret);
    let id = percent::encode(client_id.as_bytes(), b"");
    let pair = wiped::join(&[id.as_bytes(), b":", &secret]);
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
    wiped::header(&[b"Basic ", encoded.as_bytes()]).map_err(|_| Failure::Key)
}

/// A form whose every copy is wiped.
#[derive(Default)]
struct Form(Zeroizing<Vec<u8>>);

impl Form {
    /// Adds a field. `name` needs no encoding.
    fn add(&mut self, name: &str, value: &[u8]) {
        let separator: &[u8] = if self.0.is_empty() { b"" } else { b"&" };
        let value = percent::encode_wiped(value);
        self.0 = wiped::join(&[&self.0, separator, name.as_bytes(), b"=", &value]);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use postern_crds::{agent_identity::AgentIdentitySpec, route};
    use serde_json::json;

    use super::*;

    fn token(inject: &serde_json::Value) -> Token {
        let spec: AgentIdentitySpec = serde_json::from_value(json!({
            "serviceAccountNames": ["a"],
            "credentials": [{
                "name": "x",
                "http": {"hosts": ["h"], "inject": inject},
                "source": {"secret": {"name": "s", "key": "k"}},
            }],
        }))
        .unwrap();
        match route::compile("agents", "bot", &spec)
            .unwrap()
            .remove(0)
            .injection
        {
            route::Injection::Token(token) => *token,
            other => panic!("{other:?}"),
        }
    }

    async fn asked(inject: &serde_json::Value, secret: &str) -> (HeaderMap, String) {
        let secret = Secret::new(secret.into());
        let outgoing = request(&token(inject), &secret, SystemTime::UNIX_EPOCH)
            .ok()
            .unwrap();
        assert_eq!(outgoing.method, Method::POST);
        let body = outgoing.body.collect().await.unwrap().to_bytes();
        (outgoing.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    fn client(more: &serde_json::Value) -> serde_json::Value {
        let mut client = json!({"tokenUrl": "https://h/t", "clientId": "a:b"});
        client
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"oauth2ClientCredentials": client})
    }

    #[tokio::test]
    async fn a_client_tells_who_it_is_in_the_header_or_in_the_form() {
        let (headers, body) = asked(&client(&json!({"scopes": ["r", "w"]})), "p&w:\n").await;
        assert_eq!(body, "grant_type=client_credentials&scope=r%20w");
        let expected = format!("Basic {}", BASE64_STANDARD.encode("a%3Ab:p%26w%3A"));
        assert_eq!(headers[header::AUTHORIZATION], expected);
        assert!(headers[header::AUTHORIZATION].is_sensitive());

        let (headers, body) = asked(
            &client(&json!({"authStyle": "Body", "audience": "u/v"})),
            "p&w:",
        )
        .await;
        assert_eq!(
            body,
            "grant_type=client_credentials&audience=u%2Fv&client_id=a%3Ab&client_secret=p%26w%3A"
        );
        assert_eq!(headers.get(header::AUTHORIZATION), None);
        assert_eq!(
            headers[header::CONTENT_TYPE],
            "application/x-www-form-urlencoded"
        );
    }

    #[test]
    fn a_secret_of_another_kind_is_not_sent() {
        let account = token(&json!({"gcpServiceAccount": {"audience": "a"}}));
        for secret in ["sk-live", "{}"] {
            let secret = Secret::new(secret.into());
            assert!(matches!(
                request(&account, &secret, SystemTime::UNIX_EPOCH).err(),
                Some(Failure::Key)
            ));
        }
    }

    #[test]
    fn a_service_account_claims_what_google_asks_for() {
        let document = r#"{"type": "service_account", "client_email": "bot@p", "private_key": "-----BEGIN PRIVATE KEY-----"}"#;
        let key = GcpKey::read(document.as_bytes()).ok().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let access = claims(&key, &Purpose::Access("a b".into()), "https://h/t", now);
        assert_eq!(
            access,
            json!({"iss": "bot@p", "aud": "https://h/t", "iat": 1000, "exp": 4600, "scope": "a b"})
        );
        let identity = claims(&key, &Purpose::Identity("u".into()), "https://h/t", now);
        assert_eq!(identity["target_audience"], "u");
        assert_eq!(identity.get("scope"), None);
    }
}

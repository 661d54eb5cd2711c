//! HashiCorp Vault and OpenBao, by their HTTP API (<https://openbao.org/api-docs/>): a thin client that reads, keeps the leases of what it read, and
//! cannot write.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use k8s_openapi::jiff::Timestamp;
use postern_crds::{
    agent_identity::StoreRef,
    credential_store::{KvVersion, ValueEncoding, VaultStore},
};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroizing;

use super::{
    document::Document,
    https::{Answer, Https},
    lease::{Granted, after},
    own::Own,
    problem::Problem,
    reading::Reading,
};

mod leases;
mod login;

/// A server, and the operator's token of it.
pub(super) struct Vault {
    store: VaultStore,
    own: Own,
    token: Mutex<Option<Arc<Token>>>,
}

/// A token of the server.
struct Token {
    value: Zeroizing<String>,
    /// When the next one is fetched.
    renew: Option<Instant>,
    /// When it ends, and every lease with it that it made; `None` if nobody knows.
    ends: Option<Timestamp>,
}

/// Which engine is behind a path, as far as an answer depends on it.
pub(super) enum Engine {
    Kv1,
    Kv2,
    Logical,
}

impl Vault {
    pub(super) fn new(store: VaultStore, own: Own) -> Self {
        Self {
            store,
            own,
            token: Mutex::new(None),
        }
    }

    /// Reads what is at `place`.
    ///
    /// # Errors
    /// Why there is nothing. That the login may not read there is only said by a login that has just been made.
    pub(super) async fn read(&self, https: &Https, place: &StoreRef) -> Result<Reading, Problem> {
        let (engine, path) = self.path(place)?;
        let at = match (&engine, &place.version) {
            (Engine::Kv2, Some(version)) => format!("{path}?version={version}"),
            _ => path.clone(),
        };
        let (answer, token) = self.send(https, Method::GET, &at, None).await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(&answer, &path));
        }
        let document = Document::read(&answer.body)?;
        reading(&engine, document, path, token.ends)
    }

    /// Whether what is read may be made for each reading, with a lease.
    pub(super) fn makes_leases(&self) -> bool {
        self.store.engine.logical.is_some()
    }

    /// Whether the server lets the operator in and has the engine that the store says. No secret is read for it.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) async fn check(&self, https: &Https) -> Result<(), Problem> {
        if let Some(token) = &self.store.auth.token {
            // Somebody may have put another one there, whom nothing else makes us look for while the old one is good.
            self.forget_unless(&token.secret).await?;
        }
        let token = self.token(https, None).await?;
        let answer = self.ask(https, "auth/token/lookup-self", &token).await?;
        let token = if answer.status == StatusCode::FORBIDDEN {
            self.token(https, Some(&token)).await?
        } else {
            token
        };
        if answer.status == StatusCode::FORBIDDEN {
            let again = self.ask(https, "auth/token/lookup-self", &token).await?;
            self.accepted(&again)?;
        } else {
            self.accepted(&answer)?;
        }
        self.check_mount(https, &token).await
    }

    /// Fails unless a token may look itself up.
    fn accepted(&self, answer: &Answer) -> Result<(), Problem> {
        match answer.status {
            StatusCode::OK => Ok(()),
            StatusCode::FORBIDDEN => Err(login::token_refused(answer.status)),
            _ => Err(self.refusal(answer, "auth/token/lookup-self")),
        }
    }

    /// Whether the engine is mounted where the store says. What a login may see of a mount is no more than what its policies are about.
    async fn check_mount(&self, https: &Https, token: &Token) -> Result<(), Problem> {
        let (said, mount) = match (&self.store.engine.kv, &self.store.engine.logical) {
            (Some(kv), _) => (Some(u8::from(kv.version)), &kv.mount_path),
            (None, Some(logical)) => (None, &logical.mount_path),
            (None, None) => return Err(no_engine()),
        };
        let at = format!("sys/internal/ui/mounts/{mount}");
        let answer = self.ask(https, &at, token).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(Problem::Mount(mount.clone())),
            _ => return Err(self.refusal(&answer, &at)),
        }
        let document = Document::read(&answer.body)?;
        let is_kv = document.text("/data/type") == Some("kv");
        let found = match document.text("/data/options/version") {
            Some("2") => 2,
            _ => 1,
        };
        match said {
            Some(said) if is_kv && found != said => Err(Problem::KvVersion {
                mount: mount.clone(),
                found,
                said,
            }),
            _ => Ok(()),
        }
    }

    /// The engine, and the path below `/v1/` that a place is read at.
    fn path(&self, place: &StoreRef) -> Result<(Engine, String), Problem> {
        let path = &place.path;
        let engine = &self.store.engine;
        let (found, at) = match (&engine.kv, &engine.logical) {
            (Some(kv), _) => match kv.version {
                KvVersion::V1 => (Engine::Kv1, format!("{}/{path}", kv.mount_path)),
                KvVersion::V2 => (Engine::Kv2, format!("{}/data/{path}", kv.mount_path)),
            },
            (None, Some(logical)) => (Engine::Logical, format!("{}/{path}", logical.mount_path)),
            (None, None) => return Err(no_engine()),
        };
        match (&found, &place.version) {
            (Engine::Kv2, Some(version)) if !version.bytes().all(|b| b.is_ascii_digit()) => {
                Err(Problem::Version("one of the KV engine is a number"))
            }
            (Engine::Kv1 | Engine::Logical, Some(_)) => Err(Problem::Version(
                "only version 2 of the KV engine keeps several",
            )),
            _ => Ok((found, at)),
        }
    }

    /// Asks for `at`; a token that is refused is replaced once, since it may have ended or been revoked before its time.
    async fn send(
        &self,
        https: &Https,
        method: Method,
        at: &str,
        sent: Option<&Value>,
    ) -> Result<(Answer, Arc<Token>), Problem> {
        let token = self.token(https, None).await?;
        let answer = self
            .ask_for(https, method.clone(), at, sent, &token)
            .await?;
        if answer.status != StatusCode::FORBIDDEN {
            return Ok((answer, token));
        }
        let token = self.token(https, Some(&token)).await?;
        let answer = self.ask_for(https, method, at, sent, &token).await?;
        if answer.status == StatusCode::FORBIDDEN && self.store.auth.token.is_some() {
            // Nobody has just made this token: is it one?
            let own = self.ask(https, "auth/token/lookup-self", &token).await?;
            self.accepted(&own)?;
        }
        Ok((answer, token))
    }

    async fn ask(&self, https: &Https, at: &str, token: &Token) -> Result<Answer, Problem> {
        self.ask_for(https, Method::GET, at, None, token).await
    }

    async fn ask_for(
        &self,
        https: &Https,
        method: Method,
        at: &str,
        sent: Option<&Value>,
        token: &Token,
    ) -> Result<Answer, Problem> {
        let mut value = HeaderValue::from_str(&token.value)
            .map_err(|_| login::token_refused(StatusCode::FORBIDDEN))?;
        value.set_sensitive(true);
        let request = self
            .request(method, at)
            .header("X-Vault-Token", value)
            .body(sent.map_or_else(Full::default, body));
        // The CRD allows only characters that an address may have; `check` of the store looked for the same.
        https.send(request.map_err(|_| address())?).await
    }

    /// A request to `/v1/<at>`.
    fn request(&self, method: Method, at: &str) -> http::request::Builder {
        let address = self.store.address.trim_end_matches('/');
        let request = Request::builder()
            .method(method)
            .uri(format!("{address}/v1/{at}"))
            // Agents of the server may demand it, against requests that a browser was lured into.
            .header("X-Vault-Request", "true");
        match &self.store.namespace {
            Some(namespace) => request.header("X-Vault-Namespace", namespace),
            None => request,
        }
    }

    /// Whether one of the server's own errors has `word` in it.
    fn says(answer: &Answer, word: &str) -> bool {
        let document = Document::read(&answer.body).ok();
        let errors = document
            .as_ref()
            .and_then(|document| document.at("/errors"));
        let mut errors = errors.and_then(Value::as_array).into_iter().flatten();
        errors.any(|error| error.as_str().is_some_and(|error| error.contains(word)))
    }

    /// What an answer that is no success says about `path`.
    fn refusal(&self, answer: &Answer, path: &str) -> Problem {
        let status = answer.status.as_u16();
        let document = Document::read(&answer.body).ok();
        // A gateway in front of the server answers with the same statuses, and knows nothing of paths.
        let is_own = document.as_ref().is_some_and(|document| {
            document.at("/errors").is_some_and(Value::is_array) || document.at("/data").is_some()
        });
        match status {
            403 if is_own => Problem::Permission(path.to_owned()),
            404 if is_own => Problem::Path(path.to_owned()),
            429 => Problem::Throttled,
            503 if Self::says(answer, "sealed") => Problem::Sealed,
            _ => Problem::Server(status),
        }
    }
}

/// The answer to a reading that succeeded.
pub(super) fn reading(
    engine: &Engine,
    document: Document,
    path: String,
    login_ends: Option<Timestamp>,
) -> Result<Reading, Problem> {
    let lease = leases::granted(&document, login_ends);
    if lease.is_some() && !matches!(engine, Engine::Logical) {
        return Err(Problem::Malformed);
    }
    // Where the server keeps no versions, a reading is as good a name: the same value keeps the name that it had first.
    let now = || Timestamp::now().to_string();
    let (version, data) = match engine {
        Engine::Kv1 | Engine::Logical => (now(), "/data"),
        Engine::Kv2 => {
            // A path that was deleted for good and made again counts from 1 again.
            let number = document
                .at("/data/metadata/version")
                .and_then(Value::as_u64);
            let made = document.text("/data/metadata/created_time");
            let plain =
                |made: &&str| made.len() <= 40 && made.bytes().all(|b| b.is_ascii_graphic());
            let Some((number, made)) = number.zip(made.filter(plain)) else {
                return Err(Problem::Malformed);
            };
            (format!("{number}@{made}"), "/data/data")
        }
    };
    let document = document.take_object(data).ok_or(Problem::Malformed)?;
    Ok(Reading {
        document,
        path,
        version,
        is_keyed: false,
        encoding: ValueEncoding::Text,
        lease,
    })
}

/// When a token that lives so many seconds is replaced: after two thirds of its time, and never if it has no end, or one beyond all times.
pub(super) fn renewal(lifetime: u64) -> Option<Instant> {
    let wait = Duration::from_secs(lifetime / 3 * 2 + lifetime % 3 * 2 / 3);
    Instant::now().checked_add(wait).filter(|_| lifetime > 0)
}

fn no_engine() -> Problem {
    Problem::Spec("vault.engine: set exactly one kind of engine: kv, logical".to_owned())
}

fn address() -> Problem {
    Problem::Spec("vault.address: it is no address".to_owned())
}

/// JSON as a request's body.
fn body(value: &Value) -> Full<Bytes> {
    Full::new(Bytes::from(value.to_string()))
}

#[cfg(test)]
mod tests;

//! Any store that answers a GET with JSON: what is asked and where the credential stands is what the store's spec says.

use http::{HeaderValue, Request};
use http_body_util::Full;
use k8s_openapi::jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use postern_crds::{
    agent_identity::StoreRef,
    credential_store::{HttpStore, StoreHeader},
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    document::Document,
    https::{Answer, Https},
    own::Own,
    problem::Problem,
    reading::Reading,
};

/// What stands for itself everywhere in an address (RFC 3986 section 2.3).
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// In a path, slashes stay between segments. There are no `.` and `..` among these: the schema of a source refuses them.
const SEGMENTS: AsciiSet = UNRESERVED.remove(b'/');
/// The longest name of a version, in bytes.
const MAX_VERSION: usize = 128;

/// A store, and what it is called with.
pub(super) struct Http {
    store: HttpStore,
    own: Own,
}

impl Http {
    pub(super) fn new(store: HttpStore, own: Own) -> Self {
        Self { store, own }
    }

    /// Whether the member that a source names decides what is asked, or where in the answer its credential stands.
    pub(super) fn is_keyed(&self) -> bool {
        let HttpStore {
            url,
            value,
            version,
            headers: _,
            encoding: _,
        } = &self.store;
        let texts = [Some(url), Some(value), version.as_ref()];
        texts
            .into_iter()
            .flatten()
            .any(|text| text.contains("{key}"))
    }

    /// Reads what is at `place`.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(super) async fn read(&self, https: &Https, place: &StoreRef) -> Result<Reading, Problem> {
        let answer = https.send(self.request(place).await?).await?;
        let document = self.understood(&answer, place)?;
        let version = match &self.store.version {
            // The same value keeps the name that it had first, so the time of a reading is as good a name.
            None => Timestamp::now().to_string(),
            Some(pointer) => match document.find(&pointed(pointer, place)) {
                Some(Value::String(text)) if is_name(text) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => return Err(Problem::Malformed),
            },
        };
        let pointer = pointed(&self.store.value, place);
        let found = document.find(&pointer).cloned();
        let document = found.map(Document::new).ok_or_else(|| Problem::Key {
            path: place.path.clone(),
            key: pointer,
            has: document.names(),
        })?;
        Ok(Reading {
            document,
            path: place.path.clone(),
            version,
            is_keyed: self.is_keyed(),
            encoding: self.store.encoding,
            lease: None,
        })
    }

    /// Whether the store answers. It is called without its login: nobody knows what of it could be read without a secret in the answer.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) async fn check(&self, https: &Https) -> Result<(), Problem> {
        https.answers(&self.store.url).await
    }

    async fn request(
        &self,
        place: &StoreRef,
    ) -> Result<Request<Full<hyper::body::Bytes>>, Problem> {
        let mut request = Request::get(filled(&self.store.url, place)?);
        for header in &self.store.headers {
            let StoreHeader {
                name,
                value,
                secret,
                prefix,
            } = header;
            let value = match (value, secret) {
                (Some(value), None) => Zeroizing::new(value.clone()),
                (None, Some(key)) => {
                    let secret = self.own.secret(key).await.map_err(Problem::LoginMissing)?;
                    let prefix = prefix.as_deref().unwrap_or_default();
                    Zeroizing::new(format!("{prefix}{}", *secret))
                }
                (None, None) | (Some(_), Some(_)) => return Err(headers()),
            };
            let mut value = HeaderValue::from_str(&value).map_err(|_| headers())?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        request.body(Full::default()).map_err(|_| address())
    }

    /// The answer, if it is one. That a login is refused is never told apart from that it may not read there: such servers say 403 for both.
    fn understood(&self, answer: &Answer, place: &StoreRef) -> Result<Document, Problem> {
        let status = answer.status.as_u16();
        match status {
            200 => Document::read(&answer.body),
            401 | 403 => Err(Problem::LoginRefused {
                at: "it".to_owned(),
                who: "what its headers say".to_owned(),
                status,
            }),
            // A gateway in front of the store would not know what is there, and seldom says so in JSON.
            404 if Document::read(&answer.body).is_ok() => Err(Problem::Path(place.path.clone())),
            429 => Err(Problem::Throttled),
            _ => Err(Problem::Server(status)),
        }
    }
}

/// The address with what `place` says in it.
fn filled(url: &str, place: &StoreRef) -> Result<String, Problem> {
    if place.version.is_some() && !url.contains("{version}") {
        return Err(Problem::Version("this store is read without versions"));
    }
    let (path, query) = url
        .split_once('?')
        .map_or((url, None), |(path, query)| (path, Some(query)));
    let version = place.version.as_deref().unwrap_or_default();
    let key = place.key.as_deref().unwrap_or_default();
    let fill = |text: &str, keep: &'static AsciiSet| {
        text.replace(
            "{path}",
            &utf8_percent_encode(&place.path, keep).to_string(),
        )
        .replace("{key}", &utf8_percent_encode(key, &UNRESERVED).to_string())
        .replace(
            "{version}",
            &utf8_percent_encode(version, &UNRESERVED).to_string(),
        )
    };
    let mut filled = fill(path, &SEGMENTS);
    if let Some(query) = query {
        filled.push('?');
        filled.push_str(&fill(query, &UNRESERVED));
    }
    Ok(filled)
}

/// The pointer with what `place` says in it, escaped (RFC 6901 section 3).
fn pointed(pointer: &str, place: &StoreRef) -> String {
    let escaped = |text: &str| text.replace('~', "~0").replace('/', "~1");
    let key = place.key.as_deref().unwrap_or_default();
    pointer
        .replace("{path}", &escaped(&place.path))
        .replace("{key}", &escaped(key))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_VERSION && text.bytes().all(|b| b.is_ascii_graphic())
}

fn address() -> Problem {
    Problem::Spec("http.url: with a source in it, it is no address".to_owned())
}

fn headers() -> Problem {
    Problem::Spec("http.headers: one of them cannot be sent".to_owned())
}

#[cfg(test)]
mod tests;

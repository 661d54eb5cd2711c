//! The calls that every entrant carries: what the caller sends, what the provider must see, what comes back.

mod call;
mod events;
mod meaning;

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};

pub(crate) use call::{Answer, Call, EVENT_GAP, Kind, Usage};

/// The path as the provider knows it.
pub(crate) const PATH: &str = "/v1/chat/completions";
/// The first segment by which nginx and the sidecar know the provider.
pub(crate) const ROUTE: &str = "openai";
/// A path that no proxy may let through.
pub(crate) const FORBIDDEN_PATH: &str = "/v1/files";
/// The model of every call.
pub(crate) const MODEL: &str = "gpt-4o-mini";

/// As many and as long headers as the provider's own library sends: parsing them is part of a proxy's work.
pub(crate) const REQUEST_HEADERS: &[(&str, &str)] = &[
    ("accept", "application/json"),
    ("accept-encoding", "gzip, deflate"),
    ("content-type", "application/json"),
    ("user-agent", "OpenAI/Python 2.8.1"),
    ("x-stainless-lang", "python"),
    ("x-stainless-package-version", "2.8.1"),
    ("x-stainless-os", "Linux"),
    ("x-stainless-arch", "x64"),
    ("x-stainless-runtime", "CPython"),
    ("x-stainless-runtime-version", "3.11.2"),
    ("x-stainless-async", "false"),
    ("x-stainless-retry-count", "0"),
    ("x-stainless-read-timeout", "600"),
];

/// How much of a call an entrant keeps as it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fidelity {
    /// Every byte of both bodies, but for a question after usage that is asked and answered without the caller.
    Bytes,
    /// What the bodies say: the entrant reads them and writes them anew.
    Meaning,
}

/// The calls, and who may know which secret.
pub(crate) struct Fixture {
    /// The provider's key: only a direct call and the proxies hold it.
    pub(crate) key: String,
    /// What the caller sends through a proxy.
    pub(crate) placeholder: String,
    json: Call,
    large: Call,
    sse: Call,
    /// A call whose answer tells somebody's address.
    telling: Call,
}

impl Fixture {
    /// The calls of a caller that holds `placeholder`.
    pub(crate) fn new(placeholder: String) -> Result<Self> {
        Ok(Self {
            key: format!(
                "sk-proj-{}",
                BASE64_STANDARD.encode("the provider's own key of this benchmark")
            ),
            placeholder,
            json: Call::in_one_piece(Kind::Json)?,
            large: Call::in_one_piece(Kind::Large)?,
            sse: Call::by_events(&events::WORDS, false)?,
            telling: Call::by_events(&events::TELLING, true)?,
        })
    }

    /// The call that is answered in this way.
    pub(crate) fn call(&self, kind: Kind) -> &Call {
        match kind {
            Kind::Json => &self.json,
            Kind::Large => &self.large,
            Kind::Sse => &self.sse,
        }
    }

    /// The request of the call whose answer tells somebody's address.
    pub(crate) fn telling(&self) -> &[u8] {
        &self.telling.request
    }

    /// Fails unless `body` is the answer to it with the address masked, and nothing else.
    pub(crate) fn check_masked(&self, body: &[u8]) -> Result<()> {
        let content = meaning::content_of_events(body)?;
        ensure!(content == events::MASKED, "masked, it says {content:?}");
        Ok(())
    }

    /// What the provider answers to a request that came over an entrant of this `fidelity`.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub(crate) fn answer(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
        fidelity: Fidelity,
    ) -> Result<&Answer> {
        ensure!((method, path) == ("POST", PATH), "{method} {path}");
        let credentials: Vec<_> = headers
            .get_all(AUTHORIZATION)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let expected = format!("Bearer {}", self.key);
        ensure!(
            credentials == [expected.as_bytes()],
            "not exactly the provider's key"
        );
        let placeholder = self.placeholder.as_bytes();
        ensure!(
            !headers
                .values()
                .any(|value| contains(value.as_bytes(), placeholder)),
            "the caller's placeholder"
        );
        let mut calls = [&self.json, &self.large, &self.sse, &self.telling].into_iter();
        let found = match fidelity {
            Fidelity::Bytes => calls.find_map(|call| call.answer_to(body)),
            Fidelity::Meaning => {
                let said = meaning::parse(body)?;
                calls.find_map(|call| call.answer_to_meaning(&said))
            }
        };
        found.with_context(|| format!("a body of {} bytes, not the caller's", body.len()))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

//! The one call that every entrant carries: what the caller sends, what the provider must see, what comes back.

use anyhow::{Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// Bytes of each body.
const BODY: usize = 1024;
/// The path as the provider knows it.
pub(crate) const PATH: &str = "/v1/chat/completions";
/// The first segment by which the proxies know the provider.
pub(crate) const ROUTE: &str = "openai";
/// A path that neither proxy may let through.
pub(crate) const FORBIDDEN_PATH: &str = "/v1/files";

// As many and as long headers as the provider's own library sends and its service returns: parsing them is part of a proxy's work.
const REQUEST_HEADERS: &[(&str, &str)] = &[
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
const RESPONSE_HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("openai-organization", "org-example"),
    ("openai-processing-ms", "412"),
    ("openai-version", "2020-10-01"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-limit-tokens", "2000000"),
    ("x-ratelimit-remaining-requests", "9999"),
    ("x-ratelimit-remaining-tokens", "1999000"),
    ("x-ratelimit-reset-requests", "6ms"),
    ("x-ratelimit-reset-tokens", "30ms"),
    ("x-request-id", "req_2f6c1b1f4d0c4a6c9d1f3c0b7a5e8d21"),
    (
        "strict-transport-security",
        "max-age=31536000; includeSubDomains; preload",
    ),
];

/// The call.
pub(crate) struct Fixture {
    /// The provider's key: only a direct call and the proxies hold it.
    pub(crate) key: String,
    /// What the caller sends through a proxy.
    pub(crate) placeholder: String,
    /// Headers of the request, without `Host` and `Authorization`.
    pub(crate) request_headers: &'static [(&'static str, &'static str)],
    /// Body of the request.
    pub(crate) request: Bytes,
    /// Headers of the response.
    pub(crate) response_headers: HeaderMap,
    /// Body of the response.
    pub(crate) response: Bytes,
}

impl Fixture {
    /// The call of a caller that holds `placeholder`.
    pub(crate) fn new(placeholder: String) -> Result<Self> {
        Ok(Self {
            key: format!(
                "sk-proj-{}",
                BASE64_STANDARD.encode("the provider's own key of this benchmark")
            ),
            placeholder,
            request_headers: REQUEST_HEADERS,
            request: padded(|text| {
                json!({
                    "model": "gpt-4o-mini",
                    "messages": [
                        {"role": "system", "content": "You are a helpful assistant."},
                        {"role": "user", "content": text},
                    ],
                    "max_tokens": 256,
                    "temperature": 0.2,
                })
            })?,
            response_headers: headers(RESPONSE_HEADERS),
            response: padded(|text| {
                json!({
                    "id": "chatcmpl-C0FFEEC0FFEEC0FFEEC0FFEE",
                    "object": "chat.completion",
                    "created": 1_767_225_600,
                    "model": "gpt-4o-mini-2024-07-18",
                    "choices": [{
                        "index": 0,
                        "message": {"role": "assistant", "content": text, "refusal": null},
                        "logprobs": null,
                        "finish_reason": "stop",
                    }],
                    "usage": {"prompt_tokens": 120, "completion_tokens": 96, "total_tokens": 216},
                })
            })?,
        })
    }

    /// What is wrong with a request that reached the provider.
    pub(crate) fn complaint(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<String> {
        let credentials: Vec<_> = headers
            .get_all(AUTHORIZATION)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        let expected = format!("Bearer {}", self.key);
        match () {
            () if method != "POST" => Some(format!("method {method}")),
            () if path != PATH => Some(format!("path {path}")),
            () if credentials != [expected.as_bytes()] => {
                Some("not exactly the provider's key".into())
            }
            () if headers
                .iter()
                .any(|(_, value)| contains(value.as_bytes(), self.placeholder.as_bytes())) =>
            {
                Some("the caller's placeholder".into())
            }
            () if body != self.request => {
                Some(format!("a body of {} bytes, not the caller's", body.len()))
            }
            () => None,
        }
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |&(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    pairs.iter().map(pair).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The document that `shape` makes around a text so long that the whole has [`BODY`] bytes.
fn padded(shape: impl Fn(&str) -> Value) -> Result<Bytes> {
    let words = "How many pods does it take to change a light bulb? ".repeat(BODY / 8);
    let empty = shape("").to_string().len();
    let document = shape(&words[..BODY - empty]).to_string();
    ensure!(
        document.len() == BODY,
        "the body has {} bytes",
        document.len()
    );
    Ok(document.into())
}

//! A body as a golden file writes it: text, base64, or text under a content encoding.

use std::io::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use flate2::{Compression, write};
use serde::Deserialize;

/// A body.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Body {
    /// This text.
    Text(String),
    /// One of the other ways to write it.
    Other(Box<Other>),
}

/// Ways to write a body that is not text.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Other {
    /// What stands in `Content-Encoding`; by itself what the body is under. Empty for no such header.
    encoding: Option<String>,
    /// These bytes.
    base64: Option<String>,
    /// This text under gzip.
    gzip: Option<String>,
    /// This text under deflate, in the zlib format.
    deflate: Option<String>,
    /// This text under deflate without the zlib format.
    raw_deflate: Option<String>,
    /// This text under gzip twice.
    gzip_twice: Option<String>,
    /// A JSON text of about so many bytes under gzip.
    bomb: Option<usize>,
    /// This text in place of the encoded one.
    text: Option<String>,
    /// What is behind the encoded text.
    #[serde(default)]
    behind: String,
    /// What it is decoded to, for bytes that are not made here.
    decoded: Option<String>,
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Body {
    /// The bytes that are sent.
    pub(super) fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Other(other) => {
                let mut bytes = other.encoded();
                bytes.extend_from_slice(other.behind.as_bytes());
                bytes.into()
            }
        }
    }

    /// What stands in `Content-Encoding`.
    pub(super) fn encoding(&self) -> Option<&str> {
        let Self::Other(other) = self else {
            return None;
        };
        let own = if other.deflate.is_some() || other.raw_deflate.is_some() {
            Some("deflate")
        } else if other.gzip.is_some() || other.gzip_twice.is_some() || other.bomb.is_some() {
            Some("gzip")
        } else {
            None
        };
        let said = other.encoding.as_deref().or(own);
        said.filter(|encoding| !encoding.is_empty())
    }

    /// What an allowed one is when its encoding is taken off.
    pub(super) fn decoded(&self) -> Bytes {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Other(other) => [&other.decoded, &other.gzip, &other.deflate, &other.text]
                .into_iter()
                .flatten()
                .next()
                .unwrap()
                .clone()
                .into(),
        }
    }
}

impl Other {
    fn encoded(&self) -> Vec<u8> {
        if let Some(text) = &self.base64 {
            BASE64_STANDARD.decode(text).unwrap()
        } else if let Some(text) = &self.gzip {
            gzip(text.as_bytes())
        } else if let Some(text) = &self.gzip_twice {
            gzip(&gzip(text.as_bytes()))
        } else if let Some(text) = &self.deflate {
            let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        } else if let Some(text) = &self.raw_deflate {
            let mut encoder = write::DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        } else if let Some(length) = self.bomb {
            let text = " ".repeat(length);
            gzip(format!("{{\"model\":\"gpt-4o-mini\",\"messages\":[]{text}}}").as_bytes())
        } else {
            self.text.clone().unwrap_or_default().into_bytes()
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

//! A signature of one's own making: a keyed hash over a template.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

/// A keyed hash (RFC 2104) over parts of the request, in headers of one's own. The secret is the key; it is never sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("self.headers.exists(header, header.value.contains('{signature}'))", "no header carries {signature}"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacInject {
    /// The hash. Default `SHA256`.
    #[serde(default)]
    pub algorithm: HmacAlgorithm,

    /// How the signature is written. Default `Hex`, in lower case.
    #[serde(default)]
    pub encoding: HmacEncoding,

    /// How the key is written in its source. Default `Text`: its bytes are the key.
    #[serde(default)]
    pub key_encoding: KeyEncoding,

    /// Names the key, for `{keyId}`. It is not secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[ -~]+$"))]
    pub key_id: Option<String>,

    /// How `{timestamp}` is written. Default `Seconds`, since 1970.
    #[serde(default)]
    pub timestamp: TimestampFormat,

    /// What is signed: text in which `{method}`, `{host}`, `{path}`, `{query}`, `{target}` (path, and `?` and query where there is one),
    /// `{timestamp}`, `{keyId}`, `{body}`, `{bodySha256}` (in hexadecimal digits) and `{header:NAME}` stand for what is sent. `{{` and `}}` are
    /// braces. A header that the request has not counts as empty.
    #[schemars(length(min = 1, max = 1024))]
    pub message: String,

    /// The headers that are set. In their values stand `{signature}`, `{timestamp}` and `{keyId}` for what they are.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<HmacHeader>,
}

/// One header that a signature sets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HmacHeader {
    /// Its name.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    )]
    #[x_kube(validation = rules::header_of_the_request())]
    pub name: String,

    /// Its value, as in `{signature}` or `t={timestamp},v1={signature}`.
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[ -~]+$"))]
    pub value: String,
}

/// A hash function.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HmacAlgorithm {
    /// SHA-256.
    #[default]
    SHA256,
    /// SHA-512.
    SHA512,
}

/// How a signature is written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HmacEncoding {
    /// Hexadecimal digits in lower case.
    #[default]
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
}

/// How a key is written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyEncoding {
    /// As it is.
    #[default]
    Text,
    /// In hexadecimal digits.
    Hex,
    /// In base64 with padding (RFC 4648 section 4).
    Base64,
}

/// How a moment is written.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// `2015-08-30T12:36:00Z`.
    Rfc3339,
}

//! `http`: any store that answers with JSON over HTTPS.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::agent_identity::KeyRef;

/// Any store that answers a GET with JSON over HTTPS.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpStore {
    /// What is read, as in `https://store.corp/v1/secrets/{path}`. After the host, `{path}`, `{key}` and `{version}` stand for what a source says,
    /// percent-encoded; the slashes of a path stay where they stand for segments. Whatever sources need not choose belongs into the address: a path that is
    /// all theirs lets them ask the server for anything.
    #[schemars(schema_with = "url_schema")]
    pub url: String,

    /// Headers of each request, the login among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub headers: Vec<StoreHeader>,

    /// Where the credential stands in the answer: a JSON pointer (RFC 6901) as in `/data/value` or `/{key}`. In a list, `label={key}` is the first item
    /// whose member `label` is that text.
    #[schemars(schema_with = "pointer_schema")]
    pub value: String,

    /// How the credential is written there.
    #[serde(default)]
    pub encoding: ValueEncoding,

    /// Where a name of its version stands in the answer, which must say nothing of the credential itself. Without it, the time of the reading is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pointer_schema")]
    pub version: Option<String>,
}

/// How a credential is written in an answer.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueEncoding {
    /// As it is.
    #[default]
    Text,
    /// In base64.
    Base64,
}

/// A header of each request.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(
    validation = ("has(self.value) != has(self.secret)", "set exactly one of value and secret"),
    validation = ("!has(self.prefix) || has(self.secret)", "prefix goes with secret only")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreHeader {
    /// The header's name.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    )]
    #[x_kube(validation = crate::rules::header_of_the_request())]
    pub name: String,

    /// Its value, where that is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = "^[ -~]*$"))]
    pub value: Option<String>,

    /// A Secret in the operator's namespace that has it. It is read anew for each reading of the store, so that something else may keep it fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeyRef>,

    /// What stands before the secret, as in `Bearer `.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^[ -~]*$"))]
    pub prefix: Option<String>,
}

fn url_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 9, "maxLength": 1024, "pattern": URL })
}

/// https, a host, perhaps a port, and then visible characters with `{path}`, `{key}` and `{version}` among them.
pub(super) const URL: &str = r"^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/([A-Za-z0-9._~!$&'()*+,;=:@/%?-]|\{(path|key|version)\})*)?$";

fn pointer_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": POINTER })
}

/// A JSON pointer that leads somewhere.
pub(super) const POINTER: &str = "^(/[ -.0-~]+)+$";

//! Ways to inject by which the secret itself is not sent with a request, but a token that it buys.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HeaderInject;

/// A token of an OAuth 2.0 server by the client credentials grant (RFC 6749 section 4.4). The secret is the client's.
///
/// The sidecar fetches it, keeps it until shortly before it expires, and sends it. The client's secret goes to the host of `tokenUrl` and nowhere
/// else, over TLS that is verified as the service's own is: `tls` holds for both.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OAuth2Inject {
    /// Where tokens are, as in `https://login.example.com/oauth2/token`.
    #[schemars(
        length(min = 9, max = 512),
        regex(pattern = "^https://[^/?#@\\s]+(/[^?#\\s]*)?$")
    )]
    pub token_url: String,

    /// The client's identifier.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[ -~]+$"))]
    pub client_id: String,

    /// What the token is for. Left out, the server decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[schemars(inner(length(min = 1, max = 256), regex(pattern = "^[!#-\\[\\]-~]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub scopes: Vec<String>,

    /// Whom the token is for, where the server asks for an `audience`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[ -~]+$"))]
    pub audience: Option<String>,

    /// How the client tells the server who it is. Default `Header`.
    #[serde(default)]
    pub auth_style: AuthStyle,

    /// The header that carries the token. Default `Authorization: Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderInject>,
}

/// Where a client's identifier and secret stand in its request for a token (RFC 6749 section 2.3.1).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthStyle {
    /// In `Authorization: Basic`, each of the two form-encoded first, as the specification has it.
    #[default]
    Header,
    /// In the form, as `client_id` and `client_secret`.
    Body,
}

/// A token of Google Cloud for a service account. The secret is the account's JSON key file.
///
/// The key signs a request for a token (RFC 7523, <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>); it is never
/// sent itself. The key file's own `token_uri` is not followed: whoever writes the secret does not decide where its signature goes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("has(self.scopes) != has(self.audience)", "set exactly one of scopes (an access token) and audience (an identity token)"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GcpServiceAccountInject {
    /// What an access token is for, as in `https://www.googleapis.com/auth/cloud-platform`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    #[schemars(inner(length(min = 1, max = 256), regex(pattern = "^[!#-\\[\\]-~]+$")))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub scopes: Vec<String>,

    /// Whom an identity token is for, as in the URL of a Cloud Run service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[ -~]+$"))]
    pub audience: Option<String>,

    /// Where tokens are, if not at Google's `https://oauth2.googleapis.com/token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 9, max = 512),
        regex(pattern = "^https://[^/?#@\\s]+(/[^?#\\s]*)?$")
    )]
    pub token_url: Option<String>,
}

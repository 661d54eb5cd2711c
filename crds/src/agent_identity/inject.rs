//! `inject`: the ways to put a secret into a request.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::rules;

mod hmac;
mod token;

pub use hmac::{HmacAlgorithm, HmacEncoding, HmacHeader, HmacInject, KeyEncoding, TimestampFormat};
pub use token::{AuthStyle, GcpServiceAccountInject, OAuth2Inject};

/// How a secret is put into a request. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = rules::one_way_to_inject())]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inject {
    /// In a header of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderInject>,
    /// As `Authorization: Bearer <secret>` (RFC 6750). Write `bearer: {}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerInject>,
    /// As a parameter of the query, percent-encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<QueryInject>,
    /// As the password of HTTP's Basic scheme (RFC 7617).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicInject>,
    /// As a cookie. No other cookie of the caller is sent beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<CookieInject>,
    /// As a signature of AWS, version 4, over the request as it is sent. The secret is a JSON document, as `aws sts` prints it:
    /// `{"accessKeyId": "AKIA...", "secretAccessKey": "...", "sessionToken": "..."}`, the last only where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_sig_v4: Option<AwsSigV4Inject>,
    /// As a token that the secret buys at an OAuth 2.0 server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2_client_credentials: Option<OAuth2Inject>,
    /// As a token that the key of a Google Cloud service account buys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp_service_account: Option<GcpServiceAccountInject>,
    /// As a keyed hash over parts of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacInject>,
}

/// The members of [`Inject`].
pub(crate) const WAYS: [&str; 9] = [
    "header",
    "bearer",
    "query",
    "basic",
    "cookie",
    "awsSigV4",
    "oauth2ClientCredentials",
    "gcpServiceAccount",
    "hmac",
];

impl Inject {
    /// How many of [`WAYS`] are set.
    pub(crate) fn count(&self) -> usize {
        let Self {
            header,
            bearer,
            query,
            basic,
            cookie,
            aws_sig_v4,
            oauth2_client_credentials,
            gcp_service_account,
            hmac,
        } = self;
        [
            header.is_some(),
            bearer.is_some(),
            query.is_some(),
            basic.is_some(),
            cookie.is_some(),
            aws_sig_v4.is_some(),
            oauth2_client_credentials.is_some(),
            gcp_service_account.is_some(),
            hmac.is_some(),
        ]
        .into_iter()
        .filter(|is_set| *is_set)
        .count()
    }
}

/// Headers that belong to the connection or the body (RFC 9110 sections 7.2, 7.6.1, 8 and 10.1): they cannot carry a credential.
pub const CONNECTION_HEADERS: [&str; 12] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "proxy-connection",
];

/// A header that carries the secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderInject {
    /// The header's name, as in `Authorization` or `X-Api-Key`.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    )]
    #[x_kube(validation = rules::header_of_the_request())]
    pub name: String,

    /// What stands before the secret, as in `Token `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32), regex(pattern = "^[ -~]*$"))]
    pub prefix: String,
}

/// A bearer token. There is nothing to say about it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerInject {}

/// A parameter of the query that carries the secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryInject {
    /// The parameter's name, as in `key`. One that the caller sends itself is removed, in whatever case it is written.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9._~-]+$"))]
    pub name: String,
}

/// HTTP's Basic scheme.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicInject {
    /// The user's name; the secret is then the password alone. Without it the secret is `user:password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[ -9;-~]+$"))]
    pub username: Option<String>,
}

/// A cookie that carries the secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CookieInject {
    /// The cookie's name, as in `session`.
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    )]
    pub name: String,
}

/// A signature of AWS, version 4.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsSigV4Inject {
    /// The service's signing name, as in `bedrock`, `aoss` or `s3`.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub service: String,

    /// The region, as in `eu-central-1`. It may be left out where the host names it, as AWS's own hosts do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub region: Option<String>,
}

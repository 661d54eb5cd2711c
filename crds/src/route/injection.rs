//! What `inject` means: compiled once, so that a request only follows it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use crate::{
    agent_identity::{CONNECTION_HEADERS, HeaderInject, Inject},
    rules,
    violation::Violation,
};

mod aws;
mod hmac;
mod template;
mod token;

pub use hmac::Hmac;
pub use template::{Part, Template};
pub use token::{Grant, Purpose, Token};

/// How a secret is put into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injection {
    /// In a header.
    Header {
        /// Its name.
        name: HeaderName,
        /// What stands before the secret.
        prefix: String,
    },
    /// As a parameter of the query, percent-encoded.
    Query {
        /// Its name, of characters that stand for themselves.
        name: String,
    },
    /// As `Authorization: Basic` (RFC 7617).
    Basic {
        /// The user's name; without it the secret is `user:password`.
        username: Option<String>,
    },
    /// As the one cookie.
    Cookie {
        /// Its name.
        name: String,
    },
    /// As a signature of AWS, version 4.
    AwsSigV4 {
        /// The service's signing name.
        service: String,
        /// The region.
        region: String,
    },
    /// As a token that it buys.
    Token(Box<Token>),
    /// As a keyed hash over parts of the request.
    Hmac(Box<Hmac>),
}

/// What AWS's SDKs set for a signature, beside `Authorization`.
const AWS_HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];

impl Injection {
    /// The headers that it sets. What a caller has there is removed.
    pub(super) fn headers(&self) -> Arc<[HeaderName]> {
        match self {
            Self::Header { name, .. } => Arc::from([name.clone()]),
            Self::Query { .. } => Arc::from([]),
            Self::Basic { .. } => Arc::from([header::AUTHORIZATION]),
            Self::Cookie { .. } => Arc::from([header::COOKIE]),
            Self::AwsSigV4 { .. } => [header::AUTHORIZATION]
                .into_iter()
                .chain(AWS_HEADERS)
                .collect(),
            Self::Token(token) => Arc::from([token.header.clone()]),
            Self::Hmac(hmac) => hmac.headers.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// The parameter that it adds to the query. One that the caller has there is removed.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Query { name } => Some(name),
            Self::Header { .. }
            | Self::Basic { .. }
            | Self::Cookie { .. }
            | Self::AwsSigV4 { .. }
            | Self::Token(_)
            | Self::Hmac(_) => None,
        }
    }

    /// The region that a signature is for.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::AwsSigV4 { region, .. } => Some(region),
            Self::Header { .. }
            | Self::Query { .. }
            | Self::Basic { .. }
            | Self::Cookie { .. }
            | Self::Token(_)
            | Self::Hmac(_) => None,
        }
    }

    /// Whether it depends on the whole body of a request, so that this must be there before the first byte is sent. `is_tls` says that the
    /// connection protects the body.
    pub(super) fn needs_body(&self, is_tls: bool) -> bool {
        match self {
            // Only S3 takes a signature that leaves the body out, and over TLS only.
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
            Self::AwsSigV4 { service, .. } => !(service == "s3" && is_tls),
            Self::Hmac(hmac) => hmac.needs_body(),
            Self::Header { .. }
            | Self::Query { .. }
            | Self::Basic { .. }
            | Self::Cookie { .. }
            | Self::Token(_) => false,
        }
    }
}

/// The meaning of `inject`, which stands at `at`, for calls to `host`; that is absent where it has no meaning itself, which is reported apart.
pub(super) fn compile(
    at: &str,
    inject: &Inject,
    host: Option<&str>,
) -> Result<Injection, Vec<Violation>> {
    let one = |found: Violation| vec![found];
    if inject.count() != 1 {
        return Err(one(Violation::new(at, rules::one_way_to_inject_message())));
    }
    let Inject {
        header,
        bearer: _,
        query,
        basic,
        cookie,
        aws_sig_v4,
        oauth2_client_credentials,
        gcp_service_account,
        hmac,
    } = inject;
    if let Some(header) = header {
        return self::header(&format!("{at}.header"), header)
            .map(|(name, prefix)| Injection::Header { name, prefix })
            .map_err(one);
    }
    if let Some(query) = query {
        // Percent-encoding a name would give it a second spelling.
        if !is_made_of(&query.name, b"._~-") {
            return Err(one(Violation::new(
                format!("{at}.query.name"),
                "must be of a-z, A-Z, 0-9, '.', '_', '~' and '-'",
            )));
        }
        return Ok(Injection::Query {
            name: query.name.clone(),
        });
    }
    if let Some(basic) = basic {
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| matches!(b, b' '..=b'~') && b != b':')
        };
        if !basic.username.as_ref().is_none_or(is_name) {
            return Err(one(Violation::new(
                format!("{at}.basic.username"),
                "must be of printable ASCII characters, without ':', which ends it",
            )));
        }
        return Ok(Injection::Basic {
            username: basic.username.clone(),
        });
    }
    if let Some(cookie) = cookie {
        if !is_made_of(&cookie.name, b"!#$%&'*+.^_`|~-") {
            return Err(one(Violation::new(
                format!("{at}.cookie.name"),
                "is not the name of a cookie",
            )));
        }
        return Ok(Injection::Cookie {
            name: cookie.name.clone(),
        });
    }
    if let Some(aws) = aws_sig_v4 {
        return aws::compile(&format!("{at}.awsSigV4"), aws, host);
    }
    if let Some(oauth2) = oauth2_client_credentials {
        return token::oauth2(&format!("{at}.oauth2ClientCredentials"), oauth2);
    }
    if let Some(account) = gcp_service_account {
        return token::service_account(&format!("{at}.gcpServiceAccount"), account);
    }
    if let Some(hmac) = hmac {
        return hmac::compile(&format!("{at}.hmac"), hmac);
    }
    Ok(Injection::Header {
        name: header::AUTHORIZATION,
        prefix: "Bearer ".into(),
    })
}

/// A header's name, and what stands before the secret in it.
fn header(at: &str, header: &HeaderInject) -> Result<(HeaderName, String), Violation> {
    let name = header_name(at, &header.name)?;
    if HeaderValue::from_str(&header.prefix).is_err() {
        return Err(Violation::new(
            format!("{at}.prefix"),
            "cannot stand in a header",
        ));
    }
    Ok((name, header.prefix.clone()))
}

/// The name of a header that can carry a credential.
fn header_name(at: &str, name: &str) -> Result<HeaderName, Violation> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Violation::new(format!("{at}.name"), "is not a header name"))?;
    if CONNECTION_HEADERS.contains(&name.as_str()) {
        return Err(Violation::new(
            format!("{at}.name"),
            "this header belongs to the connection or the body and cannot carry a credential",
        ));
    }
    Ok(name)
}

/// Whether `text` is something, of letters, digits and `others`.
fn is_made_of(text: &str, others: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

/// Whether `text` is of printable ASCII characters, and at least one.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

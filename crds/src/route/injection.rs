//! What `inject` means: compiled once, so that a request only follows it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use crate::{
    agent_identity::{AwsSigV4Inject, CONNECTION_HEADERS, HeaderInject, Inject},
    names::is_label,
    rules,
    violation::Violation,
};

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
        }
    }

    /// The parameter that it adds to the query. One that the caller has there is removed.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Query { name } => Some(name),
            Self::Header { .. }
            | Self::Basic { .. }
            | Self::Cookie { .. }
            | Self::AwsSigV4 { .. } => None,
        }
    }

    /// The region that a signature is for.
    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::AwsSigV4 { region, .. } => Some(region),
            Self::Header { .. } | Self::Query { .. } | Self::Basic { .. } | Self::Cookie { .. } => {
                None
            }
        }
    }

    /// Whether it depends on the whole body of a request, so that this must be there before the first byte is sent. `is_tls` says that the
    /// connection protects the body.
    pub(super) fn needs_body(&self, is_tls: bool) -> bool {
        match self {
            // Only S3 takes a signature that leaves the body out, and over TLS only.
            // <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
            Self::AwsSigV4 { service, .. } => !(service == "s3" && is_tls),
            Self::Header { .. } | Self::Query { .. } | Self::Basic { .. } | Self::Cookie { .. } => {
                false
            }
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
    } = inject;
    if let Some(header) = header {
        return self::header(&format!("{at}.header"), header).map_err(one);
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
        return self::aws(&format!("{at}.awsSigV4"), aws, host);
    }
    Ok(Injection::Header {
        name: header::AUTHORIZATION,
        prefix: "Bearer ".into(),
    })
}

fn header(at: &str, header: &HeaderInject) -> Result<Injection, Violation> {
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|_| Violation::new(format!("{at}.name"), "is not a header name"))?;
    if CONNECTION_HEADERS.contains(&name.as_str()) {
        return Err(Violation::new(
            format!("{at}.name"),
            "this header belongs to the connection or the body and cannot carry a credential",
        ));
    }
    if HeaderValue::from_str(&header.prefix).is_err() {
        return Err(Violation::new(
            format!("{at}.prefix"),
            "cannot stand in a header",
        ));
    }
    Ok(Injection::Header {
        name,
        prefix: header.prefix.clone(),
    })
}

fn aws(at: &str, aws: &AwsSigV4Inject, host: Option<&str>) -> Result<Injection, Vec<Violation>> {
    let mut found = Vec::new();
    if !is_label(&aws.service) {
        found.push(Violation::new(
            format!("{at}.service"),
            "is not the signing name of a service, such as bedrock or s3",
        ));
    }
    let region = match (&aws.region, host) {
        (Some(region), _) => Some(region.as_str()).filter(|region| is_label(region)),
        (None, Some(host)) => region_of(host),
        (None, None) => Some(""),
    };
    if region.is_none() {
        found.push(Violation::new(
            format!("{at}.region"),
            "set it to a region, such as eu-central-1; it may be left out only where the host is one of AWS's that names it",
        ));
    }
    match region {
        Some(region) if found.is_empty() => Ok(Injection::AwsSigV4 {
            service: aws.service.clone(),
            region: region.to_owned(),
        }),
        _ => Err(found),
    }
}

/// The region that one of AWS's own hosts names: `bedrock-runtime.eu-central-1.amazonaws.com`, `s3.dualstack.us-west-2.amazonaws.com`,
/// `lambda.eu-west-1.api.aws`, `vpce-1-2.execute-api.us-gov-west-1.vpce.amazonaws.com`.
/// <https://docs.aws.amazon.com/general/latest/gr/rande.html>
fn region_of(host: &str) -> Option<&str> {
    let labels = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"]
        .into_iter()
        .find_map(|domain| host.strip_suffix(domain))?;
    let is_region = |label: &&str| {
        let mut parts = label.split('-');
        let is_area = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_lowercase());
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.clone().count() >= 3
            && parts.next().is_some_and(is_area)
            && parts.next_back().is_some_and(is_number)
            && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
    };
    labels.rsplit('.').find(is_region)
}

/// Whether `text` is something, of letters, digits and `others`.
fn is_made_of(text: &str, others: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_aws_name_their_region() {
        for (host, region) in [
            (
                "bedrock-runtime.eu-central-1.amazonaws.com",
                Some("eu-central-1"),
            ),
            (
                "bedrock-runtime-fips.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
            ),
            ("s3.dualstack.us-west-2.amazonaws.com", Some("us-west-2")),
            ("bucket.s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("lambda.eu-west-1.api.aws", Some("eu-west-1")),
            (
                "vpce-0a1-2b3.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com",
                Some("ap-southeast-2"),
            ),
            ("iam.amazonaws.com", None),
            ("s3.amazonaws.com", None),
            ("eu-central-1.example.com", None),
            ("eu-central-1.amazonaws.com.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }
}

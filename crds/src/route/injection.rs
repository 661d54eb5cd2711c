//! What `inject` means: compiled once, so that a request only follows it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};

use crate::{
    agent_identity::{CONNECTION_HEADERS, HeaderInject, Inject},
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
}

impl Injection {
    /// The headers that it sets. What a caller has there is removed.
    pub(super) fn headers(&self) -> Arc<[HeaderName]> {
        match self {
            Self::Header { name, .. } => Arc::from([name.clone()]),
            Self::Query { .. } => Arc::from([]),
            Self::Basic { .. } => Arc::from([header::AUTHORIZATION]),
            Self::Cookie { .. } => Arc::from([header::COOKIE]),
        }
    }

    /// The parameter that it adds to the query. One that the caller has there is removed.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Query { name } => Some(name),
            Self::Header { .. } | Self::Basic { .. } | Self::Cookie { .. } => None,
        }
    }
}

/// The meaning of `inject`, which stands at `at`.
pub(super) fn compile(at: &str, inject: &Inject) -> Result<Injection, Vec<Violation>> {
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

/// Whether `text` is something, of letters, digits and `others`.
fn is_made_of(text: &str, others: &[u8]) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
}

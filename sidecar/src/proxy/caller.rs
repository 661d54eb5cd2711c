//! Where callers put credentials of their own. None of them ever leaves: not to the right host, and least of all to the wrong one.

use http::{HeaderMap, HeaderName, header};
use postern_crds::Route;

use crate::percent;

/// Headers that carry a credential in one API or another; removed on every route, whichever header the route itself uses. They are also the
/// places where the caller's own placeholder may stand.
static CREDENTIAL_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// Removed on every route as well, but no place for a placeholder.
static AMBIENT_HEADERS: [HeaderName; 3] = [
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("x-amz-security-token"),
];

/// Query parameters that carry a credential: Google's `key`, and the two other spellings in use; and those of a request that AWS's SDKs
/// signed for a URL ("presigned").
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
const CREDENTIAL_PARAMETERS: [&str; 10] = [
    "key",
    "api_key",
    "access_token",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
];

/// Whether the header `name` is where a caller of `route` may put its placeholder.
pub(crate) fn is_credential_place(name: &HeaderName, route: &Route) -> bool {
    route.own_headers.contains(name) || CREDENTIAL_HEADERS.contains(name)
}

/// Whether `pair`, one `name=value` of a query, carries a credential: in a parameter that one API or another takes it from, or in `own`, the
/// one of the route itself. The name is compared as a server would read it.
pub(crate) fn is_credential_parameter(pair: &str, own: Option<&str>) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    let decoded = percent::decode(name);
    CREDENTIAL_PARAMETERS
        .into_iter()
        .chain(own)
        .any(|parameter| decoded.eq_ignore_ascii_case(parameter.as_bytes()))
}

/// Removes every credential of the caller from `headers`, or from trailers; `own` are the headers that the route itself uses.
pub(crate) fn remove_from_headers(headers: &mut HeaderMap, own: &[HeaderName]) {
    let all = || CREDENTIAL_HEADERS.iter().chain(&AMBIENT_HEADERS).chain(own);
    // Many servers hand `x_api_key` to the application as if it were `x-api-key` (RFC 3875 section 4.1.18), where it could win over ours.
    let respelt: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().contains('_') && all().any(|other| is_respelt(name, other)))
        .cloned()
        .collect();
    for name in respelt.iter().chain(all()) {
        headers.remove(name);
    }
}

/// Whether `name` is `other` but for underscores in place of hyphens.
fn is_respelt(name: &HeaderName, other: &HeaderName) -> bool {
    let hyphens = |name: &HeaderName| name.as_str().replace('_', "-");
    hyphens(name) == hyphens(other)
}

/// The query without the caller's credentials, everything else byte for byte as it was; `None` when nothing is left. `own` is the parameter
/// that the route itself uses.
pub(crate) fn remove_from_query(query: &str, own: Option<&str>) -> Option<String> {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !is_credential_parameter(pair, own))
        .collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_leaves_however_its_header_is_spelt() {
        let own = HeaderName::from_static("x-crm-key");
        let mut headers = HeaderMap::new();
        for name in ["x_api_key", "x-crm_key", "API-Key", "x_crm_keys", "x_note"] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, "value".parse().unwrap());
        }
        remove_from_headers(&mut headers, &[own]);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["x_crm_keys", "x_note"]);
    }

    #[test]
    fn keys_leave_the_query_and_nothing_else_does() {
        for (query, expected) in [
            ("key=AIza", None),
            ("alt=sse&key=AIza", Some("alt=sse")),
            ("%6bey=AIza&alt=sse", Some("alt=sse")),
            ("KEY=x&api_key=y&access_token=z&a=1", Some("a=1")),
            ("keys=1&monkey=2&a=key", Some("keys=1&monkey=2&a=key")),
            ("a=%20&b=1+2&&c", Some("a=%20&b=1+2&&c")),
            ("token=x&Token=y&t%6Fken=z&tokens=1", Some("tokens=1")),
            (
                "X-Amz-Signature=x&X-Amz-Credential=y&x-amz-security-token=z&list-type=2",
                Some("list-type=2"),
            ),
        ] {
            assert_eq!(
                remove_from_query(query, Some("token")).as_deref(),
                expected,
                "{query}"
            );
        }
        assert_eq!(
            remove_from_query("token=x", None).as_deref(),
            Some("token=x")
        );
    }
}

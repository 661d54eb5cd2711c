//! Which headers belong to one connection and not to the message, and so go no further, in either direction.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Hop-by-hop headers: RFC 9110 section 7.6.1 and the older names that clients still send. `Trailer` is none of them.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers about the way a request came, which would tell a vendor how the cluster looks inside, or let a caller claim an origin.
const ORIGIN: [HeaderName; 3] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
];

/// Headers under this prefix are ours alone.
const OURS: &str = "postern-";

/// Takes out of a request what must not be sent on: hop-by-hop headers and those that `Connection` names, our own, and those about the way
/// here. `Host`, `Content-Length` and `Transfer-Encoding` are written anew for the upstream connection; `Expect` was answered here.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    for name in ORIGIN
        .iter()
        .chain(&[header::HOST, header::CONTENT_LENGTH, header::EXPECT])
    {
        headers.remove(name);
    }
    remove_prefixes(headers, &[OURS, "x-forwarded-"]);
}

/// Asks for an answer without compression. Under one, nobody here could read what the call used, nor see the secret in what comes back.
pub(crate) fn ask_for_plain_answer(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
}

/// Asks for all of an answer, and not for a part of it.
pub(crate) fn ask_for_all(headers: &mut HeaderMap) {
    headers.remove(header::RANGE);
    headers.remove(header::IF_RANGE);
}

/// Takes out of a response what the caller must not get: hop-by-hop headers, `Alt-Svc`, which invites it to go around us, and anything
/// that could be taken for an answer of ours.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    headers.remove(header::ALT_SVC);
    remove_prefixes(headers, &[OURS]);
}

/// What a head says of the bytes of its body: their number, and digests of them.
const CONTENT: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::ETAG,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// Takes out of a response's head, or its trailers, what is not true of a body that is changed on its way.
pub(crate) fn forget_content(headers: &mut HeaderMap) {
    for name in &CONTENT {
        headers.remove(name);
    }
}

/// Takes out of trailers what must not stand there (RFC 9110 section 6.5.1 forbids framing and routing), and our own names.
pub(crate) fn strip_trailers(trailers: &mut HeaderMap) {
    strip_hop_by_hop(trailers);
    for name in [header::HOST, header::CONTENT_LENGTH] {
        trailers.remove(name);
    }
    remove_prefixes(trailers, &[OURS]);
}

/// Whether the caller reads trailers: `TE: trailers`, which gRPC requires end to end although `TE` is hop-by-hop.
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn remove_prefixes(headers: &mut HeaderMap, prefixes: &[&str]) {
    let named: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            prefixes
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
        })
        .cloned()
        .collect();
    for name in named {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_request_keeps_only_what_is_meant_for_the_provider() {
        let mut map = headers(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("upgrade", "websocket"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("host", "127.0.0.1"),
            ("x-forwarded-for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("via", "1.1 mesh"),
            ("postern-reason", "forged"),
            ("accept-encoding", "gzip"),
            ("trailer", "x-sum"),
            ("user-agent", "OpenAI/Python"),
        ]);
        strip_request(&mut map);
        let mut left: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept-encoding", "trailer", "user-agent"]);
    }

    #[test]
    fn a_response_cannot_carry_our_words() {
        let mut map = headers(&[
            ("postern-reason", "no_rule"),
            ("postern-request-id", "1"),
            ("alt-svc", "h3=\":443\""),
            ("connection", "x-private"),
            ("x-private", "1"),
            ("retry-after", "7"),
        ]);
        strip_response(&mut map);
        let left: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["retry-after"]);
    }
}

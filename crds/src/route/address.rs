//! Reads the address of a service: the URL of an `endpoint`, or a plain `host:port`.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::violation::Violation;

/// Where calls go.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// In lower case, without the scheme's own port.
    pub(super) authority: Authority,
    /// Without a slash at the end; empty if there is none.
    pub(super) path: String,
}

/// Reads an `endpoint`. Messages do not repeat it, since what is wrong with it may be a password in it.
pub(super) fn endpoint(at: &str, text: &str, allow_plaintext: bool) -> Result<Address, Violation> {
    let wrong = |message: &str| Violation::new(at, message);
    let uri: Uri = text
        .parse()
        .map_err(|_| wrong("is not a URL such as https://host:port/path"))?;
    let scheme = match uri.scheme_str() {
        Some("https") => Scheme::HTTPS,
        Some("http") if allow_plaintext => Scheme::HTTP,
        Some("http") => {
            return Err(wrong(
                "an http:// endpoint sends the credential in clear text: set allowPlaintext: true beside it if that is meant",
            ));
        }
        _ => return Err(wrong("must start with https://")),
    };
    let authority = uri.authority().ok_or_else(|| wrong("lacks a host"))?;
    let authority = parse_authority(at, authority.as_str(), &scheme)?;
    if text.contains(['?', '#']) {
        return Err(wrong("must not carry a query or fragment"));
    }
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    let is_plain =
        |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains(['%', '\\', ';']);
    if !path.is_empty() && !path.split('/').skip(1).all(is_plain) {
        return Err(wrong(
            r"must have a plain path, without '//', '.' and '..' segments, '%', '\' and ';'",
        ));
    }
    Ok(Address {
        scheme,
        authority,
        path: path.to_owned(),
    })
}

/// Reads `host` or `host:port`, reached by TLS.
pub(super) fn host(at: &str, text: &str) -> Result<Authority, Violation> {
    parse_authority(at, text, &Scheme::HTTPS)
}

fn parse_authority(at: &str, text: &str, scheme: &Scheme) -> Result<Authority, Violation> {
    if text.contains('@') {
        return Err(Violation::new(at, "must not carry a user name or password"));
    }
    let wrong = || Violation::new(at, "must name a host, or host:port");
    let authority: Authority = text.to_ascii_lowercase().parse().map_err(|_| wrong())?;
    let port_is_wrong = authority.as_str().len() > authority.host().len()
        && authority.port_u16().is_none_or(|port| port == 0);
    if !is_host(authority.host()) || port_is_wrong {
        return Err(wrong());
    }
    let default = if *scheme == Scheme::HTTP { 80 } else { 443 };
    if authority.port_u16() == Some(default) {
        return authority.host().parse().map_err(|_| wrong());
    }
    Ok(authority)
}

/// Whether `host` is a DNS name (RFC 1123 section 2.1, and `_`, which internal names are known to use), an IPv4 address in four parts, or an
/// IPv6 address in brackets. No dot at the end: it would stand in `Host`, but not in the certificate.
fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit());
    // Resolvers take `127.1` for an address; here an address is written in full or not at all.
    host.len() <= 253
        && host.split('.').all(is_label)
        && (!host.rsplit('.').next().is_some_and(is_number) || host.parse::<Ipv4Addr>().is_ok())
}

//! A secret as a parameter of the query.

use http::uri::PathAndQuery;
use zeroize::Zeroizing;

use super::{super::percent, wiped};
use crate::error::Error;

/// `target` with the parameter `name` at the end of its query. The secret is encoded to the last byte that is not unreserved (RFC 3986 section
/// 2.3), so that no server can take a part of it for anything else.
///
/// # Errors
/// [`Error::CredentialUnusable`] where all of it together is longer than a target can be.
pub(super) fn with_secret(
    target: &PathAndQuery,
    name: &str,
    secret: &[u8],
) -> Result<PathAndQuery, Error> {
    let separator: &[u8] = match target.query() {
        Some(_) => b"&",
        None => b"?",
    };
    let encoded = encode(secret);
    let whole = wiped::join(&[
        target.as_str().as_bytes(),
        separator,
        name.as_bytes(),
        b"=",
        &encoded,
    ]);
    PathAndQuery::from_maybe_shared(wiped::bytes(whole)).map_err(|_| Error::CredentialUnusable)
}

/// Percent-encodes all but the unreserved characters, into a buffer that never grows and is wiped.
fn encode(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Zeroizing::new(Vec::with_capacity(secret.len() * 3));
    for &byte in secret {
        if percent::is_unreserved(byte) {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(&[
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
    }
    encoded
}

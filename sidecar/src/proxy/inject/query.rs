//! A secret as a parameter of the query.

use http::uri::PathAndQuery;

use crate::{error::Error, percent, wiped};

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
    let encoded = percent::encode_wiped(secret);
    let whole = wiped::join(&[
        target.as_str().as_bytes(),
        separator,
        name.as_bytes(),
        b"=",
        &encoded,
    ]);
    PathAndQuery::from_maybe_shared(wiped::bytes(whole)).map_err(|_| Error::CredentialUnusable)
}

//! Puts the real credential in the caller's stead. *Architecture invariant: the only place that reads a secret's bytes.*

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header, uri::PathAndQuery};
use postern_crds::{
    Route, Secret,
    route::Injection,
    source::{self, Shape},
};
use zeroize::Zeroizing;

use super::caller;
use crate::error::Error;

mod query;
mod wiped;

/// Removes the caller's credentials from `headers` and puts the route's own into them, or into `target`, whose query is rid of them already.
///
/// # Errors
/// [`Error::CredentialUnusable`] when the secret cannot be sent as the route wants it.
pub(crate) fn apply(
    target: &mut PathAndQuery,
    headers: &mut HeaderMap,
    route: &Route,
    secret: &Secret,
) -> Result<(), Error> {
    caller::remove_from_headers(headers, &route.own_headers);
    match &route.injection {
        Injection::Header { name, prefix } => {
            let secret = fit(secret, Shape::Text)?;
            set(headers, name, &[prefix.as_bytes(), secret])
        }
        Injection::Query { name } => {
            *target = query::with_secret(target, name, fit(secret, Shape::Text)?)?;
            Ok(())
        }
        Injection::Basic { username } => {
            let pair = match username {
                Some(name) => wiped::join(&[name.as_bytes(), b":", fit(secret, Shape::Text)?]),
                None => wiped::join(&[fit(secret, Shape::UserAndPassword)?]),
            };
            let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
            let name = &header::AUTHORIZATION;
            set(headers, name, &[b"Basic ", encoded.as_bytes()])
        }
        Injection::Cookie { name } => {
            let secret = fit(secret, Shape::Cookie)?;
            set(headers, &header::COOKIE, &[name.as_bytes(), b"=", secret])
        }
    }
}

/// The secret's bytes. Where the controller took them from a source, they are as they should be; a bundle may have come another way.
fn fit(secret: &Secret, shape: Shape) -> Result<&[u8], Error> {
    source::fit(secret.expose(), shape).map_err(|_| Error::CredentialUnusable)
}

/// Sets the header `name` to `parts`, one after the other.
fn set(headers: &mut HeaderMap, name: &HeaderName, parts: &[&[u8]]) -> Result<(), Error> {
    headers.insert(name, value(parts)?);
    Ok(())
}

/// A header's value. Its bytes are wiped when the last reference to them goes; it prints as `Sensitive`, and HPACK never indexes it.
fn value(parts: &[&[u8]]) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_maybe_shared(wiped::bytes(wiped::join(parts)))
        .map_err(|_| Error::CredentialUnusable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;

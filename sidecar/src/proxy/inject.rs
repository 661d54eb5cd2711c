//! Puts the real credential in the caller's stead. *Architecture invariant: the only place that reads a secret's bytes, with
//! `token`, which buys with them what is put in here, and `scrub`, which looks for them in what comes back.*

use std::{sync::Arc, time::SystemTime};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, uri::PathAndQuery};
use postern_crds::{
    Route, Secret,
    route::Injection,
    source::{self, AwsKeys, Shape},
};
use zeroize::Zeroizing;

use self::aws::{Payload, Scope};
use super::caller;
use crate::{
    body::CallerBody, error::Error, scrub::Needles, snapshot::Binding, token::Bought, wiped,
};

mod aws;
mod hmac;
mod query;

pub(crate) use aws::Unsignable;

/// The longest body that is held back to be signed.
const MAX_SIGNED_BYTES: usize = 8 * 1024 * 1024;

/// A request's head, as it will be sent but for its credential.
pub(crate) struct Head<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// Path and query; the caller's credentials are taken off already.
    pub(crate) target: &'a mut PathAndQuery,
    /// The headers, the caller's credentials still among them.
    pub(crate) headers: &'a mut HeaderMap,
}

/// What there is once the credential is in the head.
pub(crate) struct Injected {
    /// The body, which was read where the credential depends on it.
    pub(crate) body: CallerBody,
    /// What must not come back. `None` where it is too short to be looked for.
    pub(crate) needles: Option<Arc<Needles>>,
}

/// Removes the caller's credentials from the headers of `head` and puts the route's own into it.
///
/// # Errors
/// [`Error::CredentialUnusable`] when the secret cannot be sent as the route wants it; [`Error::Token`] when it bought no token; [`Error::Unsignable`] and [`Error::BodyBroken`] when the
/// request cannot be signed.
pub(crate) async fn apply(
    head: &mut Head<'_>,
    body: CallerBody,
    binding: &Binding,
    secret: &Secret,
    now: SystemTime,
) -> Result<Injected, Error> {
    let bought = match &binding.token {
        Some(token) => Some(token.current().await?),
        None => None,
    };
    let body = place(head, body, &binding.route, secret, bought.as_ref(), now).await?;
    let needles = match (bought, &binding.daily) {
        (Some(bought), _) => bought.needles,
        (None, Some(daily)) => aws::needles(daily, &binding.route, secret, now),
        (None, None) => binding.needles.clone(),
    };
    let needles = match &binding.overlap {
        Some(overlap) => overlap.with(needles),
        None => needles,
    };
    Ok(Injected { body, needles })
}

async fn place(
    head: &mut Head<'_>,
    body: CallerBody,
    route: &Route,
    secret: &Secret,
    bought: Option<&Bought>,
    now: SystemTime,
) -> Result<CallerBody, Error> {
    let body = if route.needs_body() {
        CallerBody::Read(body.whole(MAX_SIGNED_BYTES).await?)
    } else {
        body
    };
    let said = head.headers.get(aws::CONTENT).cloned();
    caller::remove_from_headers(head.headers, &route.own_headers);
    match &route.injection {
        Injection::Header { name, prefix } => {
            let secret = fit(secret, Shape::Text)?;
            set(head.headers, name, &[prefix.as_bytes(), secret])?;
        }
        Injection::Query { name } => {
            *head.target = query::with_secret(head.target, name, fit(secret, Shape::Text)?)?;
        }
        Injection::Basic { username } => {
            let pair = match username {
                Some(name) => wiped::join(&[name.as_bytes(), b":", fit(secret, Shape::Text)?]),
                None => wiped::join(&[fit(secret, Shape::UserAndPassword)?]),
            };
            let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
            let name = &header::AUTHORIZATION;
            set(head.headers, name, &[b"Basic ", encoded.as_bytes()])?;
        }
        Injection::Cookie { name } => {
            let secret = fit(secret, Shape::Cookie)?;
            let parts = [name.as_bytes(), b"=", secret];
            set(head.headers, &header::COOKIE, &parts)?;
        }
        Injection::AwsSigV4 { service, region } => {
            let keys = AwsKeys::read(secret.expose()).map_err(|_| Error::CredentialUnusable)?;
            let payload = match &body {
                CallerBody::Read(bytes) if route.needs_body() => {
                    Payload::whole(bytes, said.as_ref())
                }
                _ => Payload::unsigned(said.as_ref()),
            }?;
            let host = route.authority.as_str();
            aws::sign(head, host, payload, &keys, Scope { service, region }, now)?;
        }
        Injection::Token(spec) => {
            let bought = bought.ok_or(Error::CredentialUnusable)?;
            head.headers.insert(&spec.header, bought.header.clone());
        }
        Injection::Hmac(spec) => {
            let secret = fit(secret, Shape::Key(spec.key_encoding))?;
            let key =
                source::key(secret, spec.key_encoding).map_err(|_| Error::CredentialUnusable)?;
            let whole: &[u8] = match &body {
                CallerBody::Read(bytes) => bytes,
                CallerBody::Unread(_) | CallerBody::Begun(..) => b"",
            };
            hmac::sign(head, route.authority.as_str(), whole, spec, &key, now)?;
        }
    }
    Ok(body)
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

/// A header's value, wiped when it goes.
fn value(parts: &[&[u8]]) -> Result<HeaderValue, Error> {
    wiped::header(parts).map_err(|_| Error::CredentialUnusable)
}

#[cfg(test)]
mod tests;

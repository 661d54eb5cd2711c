//! AWS's signature, version 4, over a request exactly as it is sent.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. Written here and not taken from `aws-sigv4`, which
//! writes whole requests into the log at its lowest level and brings thirty crates; AWS's own vectors, botocore and moto check it.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName, HeaderValue, header, uri::PathAndQuery};
use postern_crds::{Route, Secret, route::Injection, source::AwsKeys};

use super::{Head, value};
use crate::{
    clock::Utc,
    error::Error,
    listener::HeadError,
    percent,
    scrub::{Daily, Needles},
    wiped::{self, hex},
};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// What a caller, and then we, say of the body: its hash, or that it is not signed.
pub(super) const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// A body that S3 takes without a signature, over TLS.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The same in chunks with a checksum at the end, as AWS's SDKs send it.
const UNSIGNED_IN_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsignable {
    /// All of its body has to be there before it is sent, and it is too long for that.
    #[error("its body is longer than the {0} bytes that are held back to be signed")]
    TooLong(usize),
    /// The caller signed its body chunk by chunk with keys that are worth nothing.
    #[error(
        "its body is signed in chunks (x-amz-content-sha256: STREAMING-AWS4-...), where every chunk would need another signature: let the client send it in one piece"
    )]
    Chunks,
    /// A header that is signed is not text.
    #[error("a header that must be signed is not ASCII text")]
    Header,
}

/// What is signed of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// Nothing: over TLS, where the service allows it.
    Unsigned(&'static str),
}

impl Payload<'_> {
    /// What a service is told of a body that is not signed. `said` is what the caller told of it.
    ///
    /// # Errors
    /// [`Unsignable::Chunks`].
    pub(super) fn unsigned(said: Option<&HeaderValue>) -> Result<Self, Unsignable> {
        match said.map(HeaderValue::as_bytes) {
            Some(said) if said == UNSIGNED_IN_CHUNKS.as_bytes() => {
                Ok(Self::Unsigned(UNSIGNED_IN_CHUNKS))
            }
            said => check(said).map(|()| Self::Unsigned(UNSIGNED)),
        }
    }

    /// The body, all of which is signed. `said` is what the caller told of it.
    ///
    /// # Errors
    /// [`Unsignable::Chunks`]: signed as a whole, the frames of its chunks would be taken for the body itself.
    pub(super) fn whole<'a>(
        body: &'a [u8],
        said: Option<&HeaderValue>,
    ) -> Result<Payload<'a>, Unsignable> {
        check(said.map(HeaderValue::as_bytes)).map(|()| Payload::Whole(body))
    }

    fn hash(&self) -> Cow<'static, str> {
        match self {
            Self::Whole(body) => hex(digest::digest(&digest::SHA256, body).as_ref()).into(),
            Self::Unsigned(word) => (*word).into(),
        }
    }
}

fn check(said: Option<&[u8]>) -> Result<(), Unsignable> {
    match said {
        Some(said) if said.starts_with(b"STREAMING-") => Err(Unsignable::Chunks),
        _ => Ok(()),
    }
}

/// The service and region that a signature is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
}

/// Signs `head` for `host`. Its path gets the spelling of AWS's SDKs, which encode all but the unreserved characters (`v1%3A0`): AWS checks a
/// signature against that spelling, and one over `v1:0` as it stands fails (<https://github.com/aws-amplify/amplify-flutter/issues/5236>).
///
/// # Errors
/// [`Error::Unsignable`] when the caller's headers cannot be signed.
pub(super) fn sign(
    head: &mut Head<'_>,
    host: &str,
    payload: Payload<'_>,
    keys: &AwsKeys,
    scope: Scope<'_>,
    now: SystemTime,
) -> Result<(), Error> {
    *head.target = in_sdk_spelling(head.target)?;
    let now = Utc::at(now);
    let hash = payload.hash();
    let moment = now.basic();
    let text = |text: &str| HeaderValue::from_str(text).expect("digits and letters only");
    head.headers.insert(DATE, text(&moment));
    head.headers.insert(CONTENT, text(&hash));
    if let Some(token) = &keys.session_token {
        head.headers.insert(TOKEN, value(&[token.as_bytes()])?);
    }
    let signature = authorization(head, host, &hash, keys, scope, now, is_signed)?;
    head.headers.insert(header::AUTHORIZATION, signature);
    Ok(())
}

/// Which headers are signed beside `Host`: those that AWS demands, and no other, since what is signed must arrive unchanged.
fn is_signed(name: &HeaderName) -> bool {
    *name == header::CONTENT_TYPE
        || name.as_str() == "content-md5"
        || name.as_str().starts_with("x-amz-")
}

/// The value of `Authorization`.
fn authorization(
    head: &Head<'_>,
    host: &str,
    hash: &str,
    keys: &AwsKeys,
    scope: Scope<'_>,
    now: Utc,
    is_signed: fn(&HeaderName) -> bool,
) -> Result<HeaderValue, Error> {
    let Scope { service, region } = scope;
    let (headers, names) = canonical_headers(head.headers, host, is_signed)?;
    // Holds the session's token, so it is wiped.
    let canonical = wiped::join(&[
        head.method.as_str().as_bytes(),
        b"\n",
        canonical_path(head.target.path(), service).as_bytes(),
        b"\n",
        canonical_query(head.target.query().unwrap_or_default()).as_bytes(),
        b"\n",
        &headers,
        b"\n",
        names.as_bytes(),
        b"\n",
        hash.as_bytes(),
    ]);
    let date = now.date();
    let credential = format!("{date}/{region}/{service}/aws4_request");
    let digest = hex(digest::digest(&digest::SHA256, &canonical).as_ref());
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{credential}\n{digest}", now.basic());
    let [.., key] = keys_of_the_day(keys, &date, scope);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
    let mut signed = HeaderValue::try_from(format!(
        "AWS4-HMAC-SHA256 Credential={}/{credential}, SignedHeaders={names}, Signature={signature}",
        keys.access_key_id
    ))
    .map_err(|_| Error::CredentialUnusable)?;
    signed.set_sensitive(true);
    Ok(signed)
}

/// The keys that are made of the secret one on a date, each of the one before. The last one signs.
fn keys_of_the_day(keys: &AwsKeys, date: &str, scope: Scope<'_>) -> [hmac::Tag; 4] {
    let mut key = wiped::join(&[b"AWS4", keys.secret_access_key.as_bytes()]);
    [date, scope.region, scope.service, "aws4_request"].map(|part| {
        let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes());
        key = wiped::join(&[made.as_ref()]);
        made
    })
}

/// What must not come back of a call that was signed on `route` at `now`: the keys of the day sign as the secret does.
pub(super) fn needles(
    daily: &Daily,
    route: &Route,
    secret: &Secret,
    now: SystemTime,
) -> Option<Arc<Needles>> {
    let date = Utc::at(now).date();
    daily.of(&date, || {
        match (&route.injection, AwsKeys::read(secret.expose())) {
            (Injection::AwsSigV4 { service, region }, Ok(keys)) => {
                keys_of_the_day(&keys, &date, Scope { service, region }).to_vec()
            }
            _ => Vec::new(),
        }
    })
}

/// The signed headers, sorted, one a line, and their names.
fn canonical_headers(
    headers: &HeaderMap,
    host: &str,
    is_signed: fn(&HeaderName) -> bool,
) -> Result<(zeroize::Zeroizing<Vec<u8>>, String), Error> {
    let mut names: Vec<&HeaderName> = headers
        .keys()
        .filter(|name| **name != header::HOST && is_signed(name))
        .chain([&header::HOST])
        .collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut list = String::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            list.push(';');
        }
        list.push_str(name.as_str());
        parts.extend([name.as_str().as_bytes(), b":"]);
        if **name == header::HOST {
            parts.push(host.as_bytes());
        }
        for (index, value) in headers.get_all(*name).iter().enumerate() {
            if **name == header::HOST {
                break;
            }
            if index > 0 {
                parts.push(b",");
            }
            let value = value
                .to_str()
                .map_err(|_| Error::Unsignable(Unsignable::Header))?;
            for (index, word) in value.split_ascii_whitespace().enumerate() {
                if index > 0 {
                    parts.push(b" ");
                }
                parts.push(word.as_bytes());
            }
        }
        parts.push(b"\n");
    }
    Ok((wiped::join(&parts), list))
}

/// `target` with all of its path percent-encoded that can be. What is encoded already stays so.
fn in_sdk_spelling(target: &PathAndQuery) -> Result<PathAndQuery, Error> {
    let mut spelled = percent::encode(target.path().as_bytes(), b"/%");
    if let Some(query) = target.query() {
        spelled.push('?');
        spelled.push_str(query);
    }
    // Three times as long in places, so that it may be longer than a target can be.
    PathAndQuery::try_from(spelled).map_err(|_| Error::Head(HeadError::TooLarge))
}

/// The path as it is signed: encoded once more than it is sent, but for S3, which has the plain path encoded once, whatever the caller left
/// unencoded.
fn canonical_path(path: &str, service: &str) -> String {
    let plain = if service == "s3" {
        Cow::Owned(percent::decode(path))
    } else {
        Cow::Borrowed(path.as_bytes())
    };
    percent::encode(&plain, b"/")
}

/// The parameters as they are signed: decoded, with `+` for a space, encoded strictly, and sorted.
fn canonical_query(query: &str) -> String {
    let encoded = |text: &str| percent::encode(&percent::decode(&text.replace('+', " ")), b"");
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests;

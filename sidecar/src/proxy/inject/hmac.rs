//! A keyed hash over a template, as `inject.hmac` describes it.

use std::{borrow::Cow, time::SystemTime};

use aws_lc_rs::{digest, hmac};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use postern_crds::{
    agent_identity::{HmacAlgorithm, HmacEncoding, TimestampFormat},
    route::{Hmac, Part, Template},
};

use super::Head;
use crate::{
    clock::{self, Utc},
    error::Error,
    wiped::hex,
};

/// Signs `head` for `host` with `key`. `body` is all of it, where the template has it in.
///
/// # Errors
/// [`Error::CredentialUnusable`] when a header's value is none.
pub(super) fn sign(
    head: &mut Head<'_>,
    host: &str,
    body: &[u8],
    spec: &Hmac,
    key: &[u8],
    now: SystemTime,
) -> Result<(), Error> {
    let timestamp = match spec.timestamp {
        TimestampFormat::Seconds => clock::seconds(now).to_string(),
        TimestampFormat::Milliseconds => clock::milliseconds(now).to_string(),
        TimestampFormat::Rfc3339 => Utc::at(now).rfc3339(),
    };
    let algorithm = match spec.algorithm {
        HmacAlgorithm::SHA256 => hmac::HMAC_SHA256,
        HmacAlgorithm::SHA512 => hmac::HMAC_SHA512,
    };
    let mut signing = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    for part in spec.message.parts() {
        signing.update(&signed(part, head, host, body, spec, &timestamp));
    }
    let tag = signing.sign();
    let signature = match spec.encoding {
        HmacEncoding::Hex => hex(tag.as_ref()),
        HmacEncoding::Base64 => BASE64_STANDARD.encode(tag.as_ref()),
    };
    for (name, template) in &spec.headers {
        let text = header(template, spec, &timestamp, &signature);
        let mut value = HeaderValue::try_from(text).map_err(|_| Error::CredentialUnusable)?;
        value.set_sensitive(true);
        head.headers.insert(name, value);
    }
    Ok(())
}

/// What a part of the message stands for.
fn signed<'a>(
    part: &'a Part,
    head: &'a Head<'_>,
    host: &'a str,
    body: &'a [u8],
    spec: &'a Hmac,
    timestamp: &'a str,
) -> Cow<'a, [u8]> {
    let text = match part {
        Part::Text(text) => text,
        Part::Method => head.method.as_str(),
        Part::Host => host,
        Part::Path => head.target.path(),
        Part::Query => head.target.query().unwrap_or_default(),
        Part::Target => head.target.as_str(),
        Part::Timestamp => timestamp,
        Part::KeyId => &spec.key_id,
        Part::Body => return body.into(),
        Part::BodySha256 => {
            let digest = digest::digest(&digest::SHA256, body);
            return hex(digest.as_ref()).into_bytes().into();
        }
        // RFC 9110 section 5.3: lines of the same name are one list.
        Part::Header(name) => {
            let values: Vec<&[u8]> = head
                .headers
                .get_all(name)
                .iter()
                .map(HeaderValue::as_bytes)
                .collect();
            return values.join(&b", "[..]).into();
        }
        Part::Signature => unreachable!("a message is compiled without it"),
    };
    text.as_bytes().into()
}

/// A header's value.
fn header(template: &Template, spec: &Hmac, timestamp: &str, signature: &str) -> String {
    template
        .parts()
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Timestamp => timestamp,
            Part::KeyId => &spec.key_id,
            Part::Signature => signature,
            _ => unreachable!("a header is compiled of these only"),
        })
        .collect()
}

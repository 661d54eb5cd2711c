//! What of a call is sent, and what an answer is decoded and masked by; or why neither can be.

use std::sync::Arc;

use http::{Response, StatusCode, header, request::Parts};
use http_body::Body;
use postern_crds::{facts::Call, provider::Dialect};

use crate::{
    access,
    body::{CallerBody, Decoder, Unknown},
    dialect::encoding,
    error::Error,
    mask::{self, Masker, Masking, Masks, Sent, Unmaskable, Unsendable},
    proxy::{
        facts::{Asked, Extent, Known},
        headers,
    },
    snapshot::{Binding, Snapshot},
};

/// What is sent of a call.
pub(super) struct Masked {
    /// Its body.
    pub(super) body: CallerBody,
    /// What was masked in it, or counted.
    pub(super) masked: Vec<access::Masked>,
    /// What puts values back into its answer, if any are to be put back.
    pub(super) restoring: Option<Arc<Masker>>,
}

/// Masks the body of the call with these `parts`, if a policy says so. It was decided about as it came, so what it says else stays the same.
///
/// # Errors
/// [`Unsendable`] where masks are in force and it cannot be masked.
pub(super) fn request(
    snapshot: &Snapshot,
    binding: &Binding,
    parts: &mut Parts,
    path: &str,
    known: &Known,
    body: CallerBody,
) -> Result<Masked, Error> {
    let unmasked = |body| Masked {
        body,
        masked: Vec::new(),
        restoring: None,
    };
    let Some(masks) = &snapshot.request_masks else {
        return Ok(unmasked(body));
    };
    let limit = snapshot.policy.max_inspected_bytes();
    let bytes = match &body {
        CallerBody::Read(bytes) if bytes.is_empty() => return Ok(unmasked(body)),
        CallerBody::Read(bytes) => bytes.clone(),
        CallerBody::Unread(_) | CallerBody::Begun(..) if masks.enforce() => {
            return Err(Unsendable::TooLong(limit).into());
        }
        CallerBody::Unread(_) | CallerBody::Begun(..) => return Ok(unmasked(body)),
    };
    // A body that facts were read of has no encoding any more.
    let dialect = binding.route.dialect;
    let read = encoding::decode(&parts.headers, bytes, limit)
        .map_err(Unsendable::from)
        .and_then(|bytes| {
            Ok((
                mask::request(masks, dialect, &parts.headers, &bytes)?,
                bytes,
            ))
        });
    let (sent, bytes) = match read {
        Ok(read) => read,
        Err(why) if masks.enforce() => return Err(why.into()),
        // Only policies that observe wanted to know.
        Err(_) => return Ok(unmasked(body)),
    };
    let Sent {
        body: changed,
        masked,
        restoring,
    } = sent;
    if !masks.enforce() {
        return Ok(Masked {
            body,
            masked,
            restoring,
        });
    }
    parts.headers.remove(header::CONTENT_ENCODING);
    if restoring.is_some() {
        headers::ask_for_all(&mut parts.headers);
    }
    let Some(changed) = changed else {
        return Ok(Masked {
            body: CallerBody::Read(bytes),
            masked,
            restoring,
        });
    };
    headers::forget_content(&mut parts.headers);
    if known.extent == Extent::Whole {
        let again = Asked::new(snapshot, binding, parts, path)?.by_whole(changed.clone());
        if !again.is_some_and(|again| says_the_same(&known.call, &again.call)) {
            return Err(Unsendable::Meaning.into());
        }
    }
    Ok(Masked {
        body: CallerBody::Read(changed),
        masked,
        restoring,
    })
}

/// Whether two calls say the same, but for how much text they have.
pub(crate) fn says_the_same(one: &Call, other: &Call) -> bool {
    let without_sizes = |call: &Call| Call {
        body_bytes: 0,
        estimated_input_tokens: call.estimated_input_tokens.map(|_| 0),
        estimated_cost: None,
        ..call.clone()
    };
    without_sizes(one) == without_sizes(other)
}

/// Takes off the encoding that nobody asked for, so that meter, masks and scrubber read what the caller will read.
///
/// # Errors
/// [`Unmaskable::Encoding`] where masks are in force and it cannot be taken off. Where none are, such an answer passes as it is.
pub(super) fn decoder<B: Body>(
    snapshot: &Snapshot,
    response: &mut Response<B>,
) -> Result<Option<Decoder>, Error> {
    // A part of an encoded body is not a body.
    if response.status() == StatusCode::PARTIAL_CONTENT {
        return Ok(None);
    }
    let is_enforced = snapshot.masks.as_ref().is_some_and(Masks::enforce);
    let is_empty = response.body().is_end_stream();
    match Decoder::of_response(response.headers_mut()) {
        Ok(None) => Ok(None),
        Ok(Some(decoder)) => {
            headers::forget_content(response.headers_mut());
            Ok((!is_empty).then_some(decoder))
        }
        Err(Unknown) if is_enforced && !is_empty => Err(Unmaskable::Encoding.into()),
        Err(Unknown) => Ok(None),
    }
}

/// Masks the answer that starts with `response`, if a policy says so.
///
/// # Errors
/// [`Unmaskable`].
pub(super) fn of<B: Body>(
    snapshot: &Snapshot,
    dialect: Dialect,
    call: &Call,
    response: &mut Response<B>,
) -> Result<Option<Masking>, Error> {
    match &snapshot.masks {
        Some(masks) => Ok(Masking::of(masks, dialect, call.stream, response)?),
        None => Ok(None),
    }
}

/// Puts back into the answer that starts with `response` what was masked in its call.
pub(super) fn restoring<B: Body>(
    masker: Option<&Arc<Masker>>,
    dialect: Dialect,
    call: &Call,
    response: &mut Response<B>,
) -> Option<Masking> {
    Masking::restoring(masker?, dialect, call.stream, response)
}

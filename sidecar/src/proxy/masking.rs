//! What an answer is decoded and masked by, or why it cannot be.

use http::{Response, StatusCode};
use http_body::Body;
use postern_crds::{facts::Call, provider::Dialect};

use crate::{
    body::{Decoder, Unknown},
    error::Error,
    mask::{Masking, Masks, Unmaskable},
    proxy::headers,
    snapshot::Snapshot,
};

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

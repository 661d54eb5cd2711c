//! Google's Generative Language API and Vertex AI's: <https://ai.google.dev/api>, <https://cloud.google.com/vertex-ai/docs/reference/rest>.
//!
//! The model stands in the path (`models/{model}:verb`), and in some bodies again. Google reads JSON by the rules of protobuf, so that every
//! member has two spellings, `maxOutputTokens` and `max_output_tokens` (<https://protobuf.dev/programming-guides/json/>): both are read, and
//! both at once are refused.

use postern_crds::facts::{Call, Models};

use super::{Head, Request, Unreadable, draft::Draft, json, media, openai};

mod generate;
mod parts;
mod target;

use target::{Body, Target};

/// What the head alone tells. The path's model counts only where the body can name no other.
pub(super) fn head(head: &Head<'_>) -> Call {
    let segments = head.segments();
    if let Some(compatible) = target::openai(&segments) {
        return openai::endpoint(head.method, compatible).head();
    }
    let target = Target::of(head.method, &segments);
    let mut call = Draft::head(target.operation, Models::Hidden);
    call.stream = target.is_stream;
    if target.body == Body::Nowhere {
        call.models = target.models().unwrap_or(Models::Hidden);
    }
    call
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let segments = request.head.segments();
    if let Some(compatible) = target::openai(&segments) {
        let endpoint = openai::endpoint(request.head.method, compatible);
        return endpoint.read(request, endpoint.draft());
    }
    let target = Target::of(request.head.method, &segments);
    let mut draft = Draft::new(target.operation);
    draft.models(target.models()?);
    if target.is_stream {
        draft.streams();
    }
    if let Some(reader) = target.reader() {
        media::json(request.headers)?;
        json::read(request.body, |value| reader(value, &mut draft))?;
        if !draft.has_models() {
            return Err(Unreadable::NoModel);
        }
    }
    Ok(draft.finish())
}

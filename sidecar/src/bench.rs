//! What `benches/` measures of what is otherwise private.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use postern_crds::{facts::Operation, policy, provider::Dialect};

use crate::{
    mask::{self, Masker, SessionKey, Text},
    meter::Meter,
    scrub::{Needles, Scrubber},
};

/// The search for what a policy masks.
pub struct Masking(Arc<Masker>);

impl Masking {
    /// Of `masks`.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn new(masks: &policy::Masks) -> Self {
        let key = SessionKey::new().expect("the system has randomness");
        Self(Arc::new(Masker::new(masks, Arc::new(key))))
    }

    /// Reads a text in pieces of `length` bytes, or a little less. Returns the found values: the item's name, and where in the text it stands, in
    /// bytes.
    pub fn found(&self, text: &str, length: usize) -> Vec<(&str, u64, u64)> {
        let mut state = Text::new(Arc::clone(&self.0));
        let mut edits = Vec::new();
        let mut found: Vec<(&str, u64, u64)> = Vec::new();
        let mut rest = text;
        loop {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(length));
            state.push(piece, &mut edits);
            rest = after;
            if rest.is_empty() {
                state.finish(&mut edits);
            }
            for edit in edits.drain(..) {
                match (edit.item, found.last_mut()) {
                    (Some(item), _) => {
                        found.push((self.0.name(item), edit.range.start, edit.range.end));
                    }
                    (None, Some(last)) => last.2 = edit.range.end,
                    (None, None) => {}
                }
            }
            if rest.is_empty() {
                return found;
            }
        }
    }
}

/// What a streamed answer of OpenAI's passes: a meter, masks if there are any, and the search for a secret.
pub struct Stages {
    masks: Option<mask::Masks>,
    needles: Arc<Needles>,
}

impl Stages {
    /// With `masks`, which may be empty.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn new(masks: &policy::Masks) -> Self {
        let secret: &[u8] = b"sk-proj-the-secret-of-this-benchmark";
        let needles = Needles::new([secret].into_iter(), "placeholder");
        Self {
            masks: mask::Masks::of_responses(masks),
            needles: Arc::new(needles.expect("a secret is looked for")),
        }
    }

    /// Calls `each` with what goes on of each of the `frames`, and at the end.
    ///
    /// # Panics
    /// When it cannot be masked.
    pub fn pass(&self, frames: &[Bytes], mut each: impl FnMut(Bytes)) {
        let mut response = Response::new(Full::new(Bytes::from_static(b"some")));
        let events = header::HeaderValue::from_static("text/event-stream; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, events);
        let mut meter = Meter::new(
            Dialect::OpenAi,
            Operation::Chat,
            StatusCode::OK,
            response.headers(),
            true,
        );
        let mut masking = self.masks.as_ref().and_then(|masks| {
            mask::Masking::of(masks, Dialect::OpenAi, true, &mut response)
                .expect("events can be masked")
        });
        let mut scrubber = Scrubber::new(Some(Arc::clone(&self.needles)));
        for frame in frames {
            meter.push(frame);
            let frame = match &mut masking {
                Some(masking) => masking.push(frame.clone()).expect("it can be masked"),
                None => frame.clone(),
            };
            each(scrubber.push(frame));
        }
        let rest = match &mut masking {
            Some(masking) => masking.finish(Bytes::new()).expect("it can be masked"),
            None => Bytes::new(),
        };
        each(scrubber.finish(rest));
        meter.finish(true);
    }
}

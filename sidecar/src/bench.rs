//! What `benches/` measures of what is otherwise private.

use std::sync::Arc;

use postern_crds::policy::Masks;

use crate::mask::{Masker, SessionKey, Text};

/// The search for what a policy masks.
pub struct Masking(Arc<Masker>);

impl Masking {
    /// Of `masks`.
    ///
    /// # Panics
    /// When the system has no randomness.
    pub fn new(masks: &Masks) -> Self {
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

//! One text that comes in pieces, and the edits that mask it.

use std::{ops::Range, sync::Arc};

use super::{
    lane::{Lane, Search},
    masker::{ItemId, Masker},
};

/// What is done to a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Which part, in bytes of the whole text.
    pub(crate) range: Range<u64>,
    /// What stands there instead.
    pub(crate) by: String,
    /// What was found. `None` where the edit goes on with the one before it, which ends where it begins: that is one value, counted once.
    pub(crate) item: Option<ItemId>,
    /// Whether it is done, or (its policy observes) only counted. The edits that are done are in order and do not overlap. Those that are not may
    /// overlap them, and come later than text that was settled already.
    pub(crate) applies: bool,
}

/// The state of one text: an answer's content, the arguments of one call of a tool, a string of JSON.
pub(crate) struct Text {
    masker: Arc<Masker>,
    enforced: Lane,
    observed: Lane,
    length: u64,
}

impl Text {
    /// A text that begins.
    pub(crate) fn new(masker: Arc<Masker>) -> Self {
        Self {
            masker,
            enforced: Lane::default(),
            observed: Lane::default(),
            length: 0,
        }
    }

    /// Reads on. Appends the edits that are settled.
    pub(crate) fn push(&mut self, piece: &str, edits: &mut Vec<Edit>) {
        self.length += piece.len() as u64;
        self.search(edits, |lane, search| lane.push(search, piece));
    }

    /// Nothing follows: appends the last edits.
    pub(crate) fn finish(&mut self, edits: &mut Vec<Edit>) {
        self.search(edits, Lane::finish);
    }

    /// All of the text before this offset, in bytes, is final: its edits were handed out.
    pub(crate) fn settled(&self) -> u64 {
        if self.masker.enforced.scanner.is_empty() {
            self.length
        } else {
            self.enforced.settled()
        }
    }

    fn search(&mut self, edits: &mut Vec<Edit>, read: impl Fn(&mut Lane, &mut Search<'_>)) {
        let lanes = [
            (&mut self.enforced, &self.masker.enforced, true),
            (&mut self.observed, &self.masker.observed, false),
        ];
        for (lane, by, applies) in lanes {
            if by.scanner.is_empty() {
                continue;
            }
            let mut search = Search {
                masker: &self.masker,
                by,
                applies,
                edits: &mut *edits,
            };
            read(lane, &mut search);
        }
    }
}

/// Appends the edits of a text that is there as a whole.
pub(super) fn whole(masker: &Masker, text: &str, edits: &mut Vec<Edit>) {
    for (by, applies) in [(&masker.enforced, true), (&masker.observed, false)] {
        if !by.scanner.is_empty() {
            let mut search = Search {
                masker,
                by,
                applies,
                edits: &mut *edits,
            };
            Lane::default().whole(&mut search, text);
        }
    }
}

/// `text`, masked.
#[cfg(test)]
pub(crate) fn mask(masker: &Arc<Masker>, text: &str) -> String {
    let mut state = Text::new(Arc::clone(masker));
    let mut edits = Vec::new();
    state.push(text, &mut edits);
    state.finish(&mut edits);
    apply(text, &edits)
}

/// What the edits of all of `text` make of it.
#[cfg(test)]
fn apply(text: &str, edits: &[Edit]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    for edit in edits.iter().filter(|edit| edit.applies) {
        let place = |offset: u64| usize::try_from(offset).expect("the text is in memory");
        masked.push_str(&text[done..place(edit.range.start)]);
        masked.push_str(&edit.by);
        done = place(edit.range.end);
    }
    masked.push_str(&text[done..]);
    masked
}

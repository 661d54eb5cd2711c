//! The search for one set of items in one text.

use super::{
    CONTEXT,
    masker::{Masker, Searched},
    scan::Value,
    swallow::Swallow,
    text::Edit,
    view::View,
};

/// How much of a long piece is read together with what was held back.
const LEAD: usize = 512;

/// The state of a search.
#[derive(Default)]
pub(super) struct Lane {
    /// The text from a little before the first open place on.
    kept: String,
    /// The first open place in it.
    open: usize,
    /// Where in the whole text it begins.
    base: u64,
    /// The end of the last edit, in the whole text.
    covered: u64,
    /// A value goes on at the open place.
    swallow: Option<Swallow>,
}

/// Who searches, and where edits go.
pub(super) struct Search<'a> {
    pub(super) masker: &'a Masker,
    pub(super) by: &'a Searched,
    /// Whether edits are made, or only counted.
    pub(super) applies: bool,
    pub(super) edits: &'a mut Vec<Edit>,
}

impl Lane {
    /// Reads on.
    pub(super) fn push(&mut self, search: &mut Search<'_>, piece: &str) {
        let mut read = 0;
        while read < piece.len() {
            if self.kept.is_empty() {
                self.read_from(search, piece, 0);
                return;
            }
            let end = if piece.len() - read > 2 * LEAD {
                piece.floor_char_boundary(read + LEAD)
            } else {
                piece.len()
            };
            self.kept.push_str(&piece[read..end]);
            read = end;
            let kept = std::mem::take(&mut self.kept);
            self.open = self.read(search, &kept, self.open, false);
            // Once what is still needed is all in the piece, the rest is read where it is.
            let ahead = kept.len() - self.open;
            if read < piece.len() && ahead + CONTEXT <= read {
                let open = read - ahead;
                let from = piece.floor_char_boundary(open - CONTEXT);
                self.base += (kept.len() - (read - from)) as u64;
                self.kept = kept;
                self.kept.clear();
                self.read_from(search, &piece[from..], open - from);
                return;
            }
            self.keep(kept, self.open);
        }
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, search: &mut Search<'_>) {
        let kept = std::mem::take(&mut self.kept);
        self.read(search, &kept, self.open, true);
        self.base += kept.len() as u64;
        self.open = 0;
    }

    /// Reads a text that is there as a whole, of which nothing was read before.
    pub(super) fn whole(&mut self, search: &mut Search<'_>, text: &str) {
        self.read(search, text, 0, true);
    }

    /// All before this is settled.
    pub(super) fn settled(&self) -> u64 {
        self.covered.max(self.base + self.open as u64)
    }

    /// Reads `text`, which begins at the base, from `open` on, and keeps of it what is needed.
    fn read_from(&mut self, search: &mut Search<'_>, text: &str, open: usize) {
        self.open = self.read(search, text, open, false);
        let from = text.floor_char_boundary(self.open.saturating_sub(CONTEXT));
        self.kept.push_str(&text[from..]);
        self.base += from as u64;
        self.open -= from;
    }

    /// Keeps of `text`, which begins at the base, what is needed.
    fn keep(&mut self, mut text: String, open: usize) {
        let from = text.floor_char_boundary(open.saturating_sub(CONTEXT));
        text.drain(..from);
        self.kept = text;
        self.base += from as u64;
        self.open = open - from;
    }

    /// Searches in `text`, which begins at the base, from the open place `from` on. Returns the open place.
    fn read(
        &mut self,
        search: &mut Search<'_>,
        text: &str,
        mut from: usize,
        is_last: bool,
    ) -> usize {
        let view = View { text, is_last };
        let mut values = Vec::new();
        loop {
            if let Some(swallow) = &mut self.swallow {
                let (length, is_over) = swallow.eat(&text.as_bytes()[from..]);
                self.cover(search, from + length);
                from += length;
                if !is_over {
                    return from;
                }
                self.swallow = None;
            }
            values.clear();
            let open = search.by.scanner.scan(&view, from, &mut values);
            values.sort_by_key(|value| (value.start, usize::MAX - value.end, value.by));
            for value in values.drain(..) {
                if value.start >= open {
                    break;
                }
                self.edit(search, text, &value);
                if value.rest.is_some() {
                    from = value.end;
                    self.swallow = value.rest;
                    break;
                }
            }
            if self.swallow.is_none() {
                return open;
            }
        }
    }

    /// Masks a value that was found in `text`, or what no other one covers of it.
    fn edit(&mut self, search: &mut Search<'_>, text: &str, value: &Value) {
        let start = self.base + value.start as u64;
        if start < self.covered {
            self.cover(search, value.end);
            return;
        }
        let end = self.base + value.end as u64;
        let by = if search.applies {
            let text = &text[value.start..value.end];
            search.masker.replacement(search.by, value, text)
        } else {
            String::new()
        };
        search.edits.push(Edit {
            range: start..end,
            by,
            item: Some(search.by.id(value.by)),
            applies: search.applies,
        });
        self.covered = end;
    }

    /// Goes on with the last edit to `end`.
    fn cover(&mut self, search: &mut Search<'_>, end: usize) {
        let end = self.base + end as u64;
        if end > self.covered {
            search.edits.push(Edit {
                range: self.covered..end,
                by: String::new(),
                item: None,
                applies: search.applies,
            });
            self.covered = end;
        }
    }
}

//! One message's search: what may become a secret is held back until it is known, and nothing else.

use std::{mem, sync::Arc};

use bytes::Bytes;
use zeroize::Zeroizing;

use super::needles::{Needles, Scrubbed};
use crate::wiped;

/// What is held back is looked at, from its begin, when it has grown by this part of itself. To look with every byte would take a time that grows
/// with the square of a secret's length; so, a secret's end is noticed at most this much later.
const PART: usize = 16;

/// The search in one message: its head, its body, which comes in pieces, and its trailers.
pub(crate) struct Scrubber {
    /// Absent where there is nothing to look for.
    needles: Option<Arc<Needles>>,
    /// The begin of what may be a secret, and what came after it since. Not longer than a secret's longest spelling, and a [`PART`].
    held: Zeroizing<Vec<u8>>,
    /// How much of it was looked at.
    seen: usize,
    found: u64,
}

impl Scrubber {
    /// The search for `needles`. Without any, everything passes.
    pub(crate) fn new(needles: Option<Arc<Needles>>) -> Self {
        Self {
            needles,
            held: Zeroizing::default(),
            seen: 0,
            found: 0,
        }
    }

    /// What of the body can go on once `piece` of it is there too. A piece without anything goes on as it is, without a copy.
    pub(crate) fn push(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() {
            return self.scrub(piece, false);
        }
        self.hold(&piece);
        if self.held.len() - self.seen < self.seen / PART {
            return Bytes::new();
        }
        let text = mem::take(&mut self.held);
        self.scrub(wiped::bytes(text), false)
    }

    /// The rest of the body, of which `piece` is the last.
    pub(crate) fn finish(&mut self, piece: Bytes) -> Bytes {
        if self.held.is_empty() {
            return self.scrub(piece, true);
        }
        self.hold(&piece);
        let text = mem::take(&mut self.held);
        self.scrub(wiped::bytes(text), true)
    }

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    /// How many secrets were found since this was asked last.
    pub(crate) fn take_found(&mut self) -> u64 {
        mem::take(&mut self.found)
    }

    /// What stands in the place of `text`, which is all there is; `None` where nothing has to.
    pub(super) fn whole(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let Scrubbed { clean, found, .. } = self.needles.as_ref()?.scrub(text, true);
        self.found += found;
        clean
    }

    fn scrub(&mut self, text: Bytes, is_last: bool) -> Bytes {
        let Some(needles) = &self.needles else {
            return text;
        };
        let Scrubbed { clean, end, found } = needles.scrub(&text, is_last);
        self.held = wiped::join(&[&text[end..]]);
        self.seen = self.held.len();
        self.found += found;
        clean.map_or_else(|| text.slice(..end), Bytes::from)
    }

    /// Adds `piece` to what is held back. Its buffer grows into another one, and is wiped.
    fn hold(&mut self, piece: &[u8]) {
        let length = self.held.len() + piece.len();
        if length > self.held.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length * 2));
            larger.extend_from_slice(&self.held);
            self.held = larger;
        }
        self.held.extend_from_slice(piece);
    }
}

//! Events that wait for their text to be settled, in order, and the texts that they are pieces of.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::super::{
    Masker, change::Change, channel::OWNERS, counts::Counts, json::escaped_text, layer::Layer,
    map::Map,
};
use crate::frame::aws;

/// How many bytes may wait. An event that holds an image has a few million.
pub(super) const MAX_HELD: usize = 8 * 1024 * 1024;
/// How many texts may be open.
const MAX_TEXTS: usize = 1024;

/// More than may wait, or no stream of the kind that it says it is: what is left of it cannot be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Whose a text is: its channel, and the values of its owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) channel: u8,
    pub(super) owners: [u64; OWNERS],
}

/// The events that wait.
pub(super) struct Queue {
    masker: Arc<Masker>,
    held: VecDeque<Held>,
    /// The number of the first of them.
    first: u64,
    texts: Vec<Open>,
    bytes: usize,
    pub(super) counts: Counts,
    changes: Vec<Change>,
}

/// What an event is made of.
pub(super) enum Frame {
    /// Its bytes, in which the text stands.
    Bytes(Vec<u8>),
    /// A message of AWS; the text stands in its payload.
    Message { bytes: Vec<u8>, payload: Vec<u8> },
    /// One in whose payload the text stands in base64.
    Chunk { bytes: Vec<u8>, inner: Vec<u8> },
}

struct Held {
    frame: Frame,
    /// In bytes of what the text stands in.
    edits: Vec<(Range<usize>, String)>,
    /// Pieces of it that are not settled.
    waits: usize,
}

/// A text that goes on.
struct Open {
    key: Key,
    layer: Layer,
    length: u64,
    pieces: VecDeque<Piece>,
}

/// What an event has of a text.
struct Piece {
    event: u64,
    text: Range<u64>,
    /// From the text to what the event is made of.
    map: Map,
    spelling: Spelling,
}

/// How a text is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// In a string of JSON.
    Json,
    /// As it is, but on one line.
    Line,
    /// As it is.
    Plain,
}

impl Spelling {
    pub(super) fn write(self, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Json => escaped_text(&text),
            Self::Line => text.replace(['\r', '\n'], " "),
        }
    }
}

impl Frame {
    /// What the text stands in.
    pub(super) fn body(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Message { payload, .. } => payload,
            Self::Chunk { inner, .. } => inner,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Message { bytes, payload } => bytes.len() + payload.len(),
            Self::Chunk { bytes, inner } => bytes.len() + inner.len(),
        }
    }

    /// Writes it as it came. What goes on alone, as events do whose text is settled one by one, is not copied.
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) | Self::Message { bytes, .. } | Self::Chunk { bytes, .. } => {
                if out.is_empty() {
                    *out = bytes;
                } else {
                    out.extend_from_slice(&bytes);
                }
            }
        }
    }

    /// Writes it with another body.
    fn write_with(&self, body: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Bytes(_) => out.extend_from_slice(body),
            Self::Message { bytes, .. } => out.extend(aws::with_payload(bytes, body)),
            Self::Chunk { bytes, .. } => out.extend(aws::with_chunk(bytes, body)),
        }
    }
}

impl Held {
    fn write(mut self, out: &mut Vec<u8>) {
        if self.edits.is_empty() {
            self.frame.write(out);
            return;
        }
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let body = self.frame.body();
        let mut written = Vec::with_capacity(body.len());
        let mut from = 0;
        for (range, by) in &self.edits {
            // Two changes of one place do not happen; were they to, nothing of either is passed on.
            let start = range.start.max(from);
            written.extend_from_slice(&body[from..start]);
            written.extend_from_slice(by.as_bytes());
            from = range.end.max(start);
        }
        written.extend_from_slice(&body[from..]);
        self.frame.write_with(&written, out);
    }
}

impl Queue {
    pub(super) fn new(masker: Arc<Masker>) -> Self {
        Self {
            masker,
            held: VecDeque::new(),
            first: 0,
            texts: Vec::new(),
            bytes: 0,
            counts: Counts::default(),
            changes: Vec::new(),
        }
    }

    /// An event behind all others, to which what is said next belongs.
    pub(super) fn event(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.held.push_back(Held {
            frame,
            edits: Vec::new(),
            waits: 0,
        });
    }

    /// A change of the last event's own, in bytes of what its text stands in.
    pub(super) fn change(&mut self, change: Change) {
        self.counts.add(&change);
        if change.applies
            && let Some(last) = self.held.back_mut()
        {
            last.edits.push((span(&change.range), change.by));
        }
    }

    /// The last event has `piece` of the text `key`; `map` is from the piece's own bytes to what the text stands in.
    pub(super) fn piece(
        &mut self,
        key: Key,
        piece: &str,
        map: Map,
        spelling: Spelling,
        layer: impl FnOnce(&Arc<Masker>) -> Layer,
    ) -> Result<(), Unreadable> {
        if piece.is_empty() {
            return Ok(());
        }
        let index = match self.texts.iter().position(|text| text.key == key) {
            Some(index) => index,
            None if self.texts.len() == MAX_TEXTS => return Err(Unreadable),
            None => {
                self.texts.push(Open {
                    key,
                    layer: layer(&self.masker),
                    length: 0,
                    pieces: VecDeque::new(),
                });
                self.texts.len() - 1
            }
        };
        let text = &mut self.texts[index];
        let start = text.length;
        text.length += piece.len() as u64;
        text.pieces.push_back(Piece {
            event: self.first + self.held.len() as u64 - 1,
            text: start..text.length,
            map: map.moved(start),
            spelling,
        });
        if let Some(last) = self.held.back_mut() {
            last.waits += 1;
        }
        text.layer.push(piece, &mut self.changes);
        let settled = text.layer.settled();
        self.settle(index, settled);
        Ok(())
    }

    /// The texts that `ends` says are over.
    pub(super) fn finish(&mut self, ends: impl Fn(&Key) -> bool) {
        let mut index = 0;
        while index < self.texts.len() {
            if ends(&self.texts[index].key) {
                let text = &mut self.texts[index];
                text.layer.finish(&mut self.changes);
                let length = text.length;
                self.settle(index, length);
                self.texts.swap_remove(index);
            } else {
                index += 1;
            }
        }
    }

    /// Puts the changes of a text where they belong, and lets go of its pieces before `settled`.
    fn settle(&mut self, index: usize, settled: u64) {
        let Self {
            held,
            first,
            texts,
            counts,
            changes,
            ..
        } = self;
        let pieces = &mut texts[index].pieces;
        for change in changes.drain(..) {
            counts.add(&change);
            if !change.applies {
                continue;
            }
            // The replacement stands in the first piece; the others lose their part.
            let mut by = Some(change.by);
            for piece in pieces.iter() {
                let start = change.range.start.max(piece.text.start);
                let end = change.range.end.min(piece.text.end);
                if start >= end {
                    continue;
                }
                let by = by.take().map(|by| piece.spelling.write(by));
                let range = piece.map.raw(start)..piece.map.raw(end);
                held[(piece.event - *first) as usize]
                    .edits
                    .push((span(&range), by.unwrap_or_default()));
            }
        }
        while pieces
            .front()
            .is_some_and(|piece| piece.text.end <= settled)
        {
            if let Some(piece) = pieces.pop_front() {
                held[(piece.event - *first) as usize].waits -= 1;
            }
        }
    }

    /// Writes the events that wait for nothing any more.
    ///
    /// # Errors
    /// More wait than may.
    pub(super) fn release(&mut self, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        while self.held.front().is_some_and(|held| held.waits == 0) {
            if let Some(held) = self.held.pop_front() {
                self.first += 1;
                self.bytes -= held.frame.len();
                held.write(out);
            }
        }
        if self.bytes > MAX_HELD {
            return Err(Unreadable);
        }
        Ok(())
    }
}

/// Places in one event fit into memory.
fn span(range: &Range<u64>) -> Range<usize> {
    let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    place(range.start)..place(range.end)
}

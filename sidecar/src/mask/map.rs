//! Where the bytes of a text stand in another text that writes some of them otherwise: with escapes, behind `data:`, broken.

use std::collections::VecDeque;

/// From places in a text to places where it was read from. Both go forward together, and from turn to turn byte by byte.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// The first turn that is remembered.
    first: Turn,
    more: VecDeque<Turn>,
}

/// From `text` on, the text stands from `raw` on.
#[derive(Clone, Copy, Debug)]
struct Turn {
    text: u64,
    raw: u64,
}

impl Turn {
    fn place(self, text: u64) -> u64 {
        self.raw + text.saturating_sub(self.text)
    }
}

impl Map {
    /// From `text` on, the text stands from `raw` on.
    pub(super) fn new(text: u64, raw: u64) -> Self {
        Self {
            first: Turn { text, raw },
            more: VecDeque::new(),
        }
    }

    /// From `text` on, it stands from `raw` on; neither is before what was said last.
    pub(super) fn turn(&mut self, text: u64, raw: u64) {
        let last = self.more.back_mut().unwrap_or(&mut self.first);
        if last.place(text) == raw {
            return;
        }
        if last.text == text {
            last.raw = raw;
        } else {
            self.more.push_back(Turn { text, raw });
        }
    }

    /// The same, where the text begins `by` bytes later in another one.
    pub(super) fn moved(mut self, by: u64) -> Self {
        for turn in self.more.iter_mut().chain([&mut self.first]) {
            turn.text += by;
        }
        self
    }

    /// Where `text` stands in what `outer` says where it stands.
    pub(super) fn through(mut self, outer: &Self, text: &str) -> Self {
        if outer.more.is_empty() {
            for turn in self.more.iter_mut().chain([&mut self.first]) {
                turn.raw = outer.raw(turn.raw);
            }
            return self;
        }
        let place = |at: usize| outer.raw(self.raw(at as u64));
        let mut through = Self::new(0, place(0));
        let ends = text.char_indices().map(|(index, _)| index).skip(1);
        for end in ends.chain([text.len()]) {
            through.turn(end as u64, place(end));
        }
        through
    }

    /// Where the character at `text` stands, which is also where the one before it ends.
    pub(super) fn raw(&self, text: u64) -> u64 {
        let later = self.more.partition_point(|turn| turn.text <= text);
        let turn = match later.checked_sub(1) {
            Some(index) => self.more[index],
            None => self.first,
        };
        turn.place(text)
    }

    /// Nobody asks for places before `text` any more.
    pub(super) fn forget(&mut self, text: u64) {
        while self.more.front().is_some_and(|turn| turn.text <= text) {
            if let Some(turn) = self.more.pop_front() {
                self.first = turn;
            }
        }
    }
}

/// What `bytes` say in UTF-8, and where that stands in them, from `at` on. What is broken becomes U+FFFD.
pub(super) fn lossy(bytes: &[u8], at: u64, text: &mut String, map: &mut Map) {
    let mut raw = at;
    for chunk in bytes.utf8_chunks() {
        map.turn(text.len() as u64, raw);
        text.push_str(chunk.valid());
        raw += chunk.valid().len() as u64;
        if !chunk.invalid().is_empty() {
            text.push('\u{FFFD}');
            raw += chunk.invalid().len() as u64;
        }
    }
    map.turn(text.len() as u64, raw);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_behind_broken_bytes() {
        let bytes = b"ab\xFFc\xE2\x98d\xE2\x98\x83";
        let mut text = String::new();
        let mut map = Map::new(0, 10);
        lossy(bytes, 10, &mut text, &mut map);
        assert_eq!(text, "ab\u{FFFD}c\u{FFFD}d\u{2603}");
        let places: Vec<u64> = text
            .char_indices()
            .map(|(index, _)| map.raw(index as u64) - 10)
            .chain([map.raw(text.len() as u64) - 10])
            .collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 6, 7, 10]);
    }

    #[test]
    fn what_is_forgotten_changes_no_later_place() {
        let mut map = Map::new(0, 0);
        map.turn(5, 10);
        map.turn(6, 16);
        map.turn(9, 20);
        for before in 0..12 {
            let mut short = map.clone();
            short.forget(before);
            for place in before..12 {
                assert_eq!(short.raw(place), map.raw(place), "{before} {place}");
            }
        }
    }
}

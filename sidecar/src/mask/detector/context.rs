//! Values that are told by what stands before them.

use aho_corasick::AhoCorasick;

use super::Found;
use crate::mask::view::View;

/// How far before a value its context may stand, in bytes.
const REACH: usize = 64;

/// A word that tells what follows, in any case of ASCII.
pub(super) enum Word {
    /// Inside of other words too.
    Part(&'static str),
    /// Without a letter or digit of ASCII beside it.
    Whole(&'static str),
}

/// The words that tell of one kind of values.
pub(super) struct Context {
    words: &'static [Word],
    automaton: AhoCorasick,
}

impl Context {
    pub(super) fn new(words: &'static [Word]) -> Self {
        let texts = words.iter().map(|word| match word {
            Word::Part(text) | Word::Whole(text) => text,
        });
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(texts)
            .expect("some short words are no limit of it");
        Self { words, automaton }
    }

    /// What was `found` at `start`, if the words say so. They are looked for last, since most places have nothing that they could tell of.
    pub(super) fn confirm(&self, view: &View<'_>, start: usize, found: Found) -> Found {
        match found {
            Found::Nothing => Found::Nothing,
            _ if !self.precedes(view, start) => Found::Nothing,
            found => found,
        }
    }

    /// Whether one of the words stands before `start`, and no sentence ends between them.
    pub(super) fn precedes(&self, view: &View<'_>, start: usize) -> bool {
        let before = view.before(start, REACH);
        let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        self.automaton.find_overlapping_iter(before).any(|found| {
            let is_word = match self.words[found.pattern().as_usize()] {
                Word::Part(_) => true,
                // At the edge of what is seen a longer word may be cut.
                Word::Whole(_) => {
                    let bytes = before.as_bytes();
                    let left = found.start().checked_sub(1);
                    !(is_letter(left.map(|at| &bytes[at])) || is_letter(bytes.get(found.end())))
                }
            };
            is_word && !ends_sentence(before, found.end())
        })
    }
}

/// Whether a sentence ends in `text` behind `from`, or a paragraph.
fn ends_sentence(text: &str, from: usize) -> bool {
    let after = &text.as_bytes()[from..];
    after.windows(2).enumerate().any(|(at, pair)| match pair {
        b"! " | b"? " | b"\n\n" => true,
        b". " => {
            let before = &text[..from + at];
            let word = before
                .rsplit(|char: char| !char.is_alphanumeric())
                .next()
                .unwrap_or_default();
            !is_abbreviation(word)
        }
        _ => false,
    })
}

/// Whether a dot behind it does not end a sentence: `No.`, `geb.`, `D.O.B.`.
fn is_abbreviation(word: &str) -> bool {
    word.chars().count() <= 2
        || word.eq_ignore_ascii_case("num")
        || word.eq_ignore_ascii_case("geb")
}

//! Values that are told by what stands before them.

use crate::mask::view::View;

/// How far before a value its context may stand, in bytes.
const REACH: usize = 64;

/// A word that tells what follows.
pub(super) enum Word {
    /// In any case of ASCII, and inside of other words too.
    Part(&'static str),
    /// In any case of ASCII, without a letter or digit of ASCII beside it.
    Whole(&'static str),
}

/// Whether one of `words` stands before `start`, and no sentence ends between them.
pub(super) fn precedes(view: &View<'_>, start: usize, words: &[Word]) -> bool {
    let before = view.before(start, REACH).to_ascii_lowercase();
    words.iter().any(|word| {
        let (text, is_whole) = match word {
            Word::Part(text) => (*text, false),
            Word::Whole(text) => (*text, true),
        };
        let beside = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
        before.rmatch_indices(text).any(|(at, _)| {
            let end = at + text.len();
            let after = &before[end..];
            // At the edge of what is seen a word may be cut.
            let is_word = !is_whole
                || !(beside(before[..at].chars().next_back()) || beside(after.chars().next()));
            is_word && !ends_sentence(&before, end)
        })
    })
}

/// Whether a sentence ends in `text` behind `from`, or a paragraph.
fn ends_sentence(text: &str, from: usize) -> bool {
    let after = &text[from..];
    if ["! ", "? ", "\n\n"].iter().any(|end| after.contains(end)) {
        return true;
    }
    after.match_indices(". ").any(|(at, _)| {
        let before = &text[..from + at];
        let word = before
            .rsplit(|char: char| !char.is_alphanumeric())
            .next()
            .unwrap_or_default();
        !is_abbreviation(word)
    })
}

/// Whether a dot behind it does not end a sentence: `No.`, `geb.`, `D.O.B.`.
fn is_abbreviation(word: &str) -> bool {
    word.chars().count() <= 2 || matches!(word, "num" | "geb")
}

//! What a detector sees of a text, and where values may begin and end in it.

/// The part of a text that is there, with at least [`CONTEXT`](super::CONTEXT) bytes before what is searched, or all there are.
pub(super) struct View<'a> {
    pub(super) text: &'a str,
    /// Nothing follows.
    pub(super) is_last: bool,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Char(char),
    /// The text ended.
    End,
    /// Not there yet.
    Unknown,
}

/// What a letter behind a backslash means to JSON and the languages alike: in a text inside of a text (the arguments of a tool inside of an
/// event), the `n` of `\n` belongs to no word.
const ESCAPES: &[u8] = b"nrtbf";

impl<'a> View<'a> {
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The byte at a place.
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// The character that begins at a place.
    pub(super) fn next(&self, at: usize) -> Next {
        match self.byte(at) {
            Some(byte) if byte.is_ascii() => Next::Char(char::from(byte)),
            Some(_) => self.text[at..].chars().next().map_or(Next::End, Next::Char),
            None if self.is_last => Next::End,
            None => Next::Unknown,
        }
    }

    /// The byte before a place.
    pub(super) fn byte_before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).map(|before| self.bytes()[before])
    }

    /// The place so many bytes before another, if a character begins there.
    pub(super) fn back(&self, at: usize, bytes: usize) -> Option<usize> {
        at.checked_sub(bytes)
            .filter(|place| self.text.is_char_boundary(*place))
    }

    /// The text of at most `length` bytes before a place.
    pub(super) fn before(&self, at: usize, length: usize) -> &'a str {
        let mut from = at.saturating_sub(length);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        &self.text[from..at]
    }

    /// Whether the letter of an escape stands here.
    pub(super) fn is_escape(&self, at: usize) -> bool {
        self.byte_before(at) == Some(b'\\')
            && self.byte(at).is_some_and(|byte| ESCAPES.contains(&byte))
    }

    /// Whether a value may begin here: no letter or digit stands before it.
    pub(super) fn is_free_before(&self, at: usize) -> bool {
        let Some(byte) = self.byte_before(at) else {
            return true;
        };
        if byte.is_ascii() {
            return !byte.is_ascii_alphanumeric() || self.is_escape(at - 1);
        }
        !self.before(at, 4).chars().next_back().is_some_and(joins)
    }

    /// Whether a number may begin here: it is no part of a longer one, as in `1.5` or `12-34`.
    pub(super) fn is_number_start(&self, at: usize) -> bool {
        self.is_free_before(at)
            && !matches!(
                self.before(at, 2).as_bytes(),
                [b'0'..=b'9', b'.' | b',' | b'-' | b'/']
            )
    }

    /// Whether a value may end here: no letter or digit stands behind it. `None` where that is not known yet.
    pub(super) fn is_free_after(&self, at: usize) -> Option<bool> {
        match self.next(at) {
            Next::Char(char) => Some(!joins(char)),
            Next::End => Some(true),
            Next::Unknown => None,
        }
    }

    /// Whether no longer number goes on here, as in `12-34` after the `12`. `None` where that is not known yet.
    pub(super) fn is_number_end(&self, at: usize) -> Option<bool> {
        if !self.is_free_after(at)? {
            return Some(false);
        }
        if !matches!(self.byte(at), Some(b'.' | b'-' | b'/')) {
            return Some(true);
        }
        match self.next(at + 1) {
            Next::Char(char) => Some(!char.is_ascii_digit()),
            Next::End => Some(true),
            Next::Unknown => None,
        }
    }
}

/// The length of the escape whose letter `text` begins with, after a backslash.
pub(super) fn escape(text: &[u8]) -> usize {
    match text {
        [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => 5,
        [letter, ..] if ESCAPES.contains(letter) => 1,
        _ => 0,
    }
}

/// Whether a character goes on with the word of another beside it. Those of scripts without spaces between words do not: a value between them
/// is a value.
pub(super) fn joins(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_alphanumeric();
    }
    char.is_alphanumeric() && !is_spaceless(char)
}

/// Scripts that are written without spaces: the line breaking classes ID, CJ, SA and H2/H3 of <https://www.unicode.org/reports/tr14/>, by blocks
/// (<https://www.unicode.org/Public/UCD/latest/ucd/Blocks.txt>). Korean has spaces, but its particles stand right behind a word.
fn is_spaceless(char: char) -> bool {
    matches!(char,
        '\u{0e00}'..='\u{0eff}'      // Thai, Lao
        | '\u{1000}'..='\u{109f}'    // Myanmar
        | '\u{1100}'..='\u{11ff}'    // Hangul Jamo
        | '\u{1780}'..='\u{17ff}'    // Khmer
        | '\u{2e80}'..='\u{9fff}'    // radicals, kana, Hangul compatibility, ideographs
        | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' // Hangul
        | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' // compatibility ideographs, full width
        | '\u{20000}'..='\u{3ffff}')
}

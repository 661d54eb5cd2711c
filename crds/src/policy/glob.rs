//! Globs: `*` for any run of characters, `?` for one, everything else for itself. The segments of a path pattern are globs too.

/// A compiled glob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(String);

/// Why a text is no glob.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} must be 1 to {MAX_BYTES} printable characters of ASCII; '*' stands for any run of characters and '?' for one"
)]
pub struct Error(String);

/// Most bytes of a glob.
pub(crate) const MAX_BYTES: usize = 256;

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// Nothing, too much of it, or characters that look like others: a rule must not mean more or less than it seems to.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_plain = text.bytes().all(|b| matches!(b, b' '..=b'~'));
        if text.is_empty() || text.len() > MAX_BYTES || !is_plain {
            return Err(Error(text.into()));
        }
        Ok(Self(text.into()))
    }

    /// Whether the whole of `text` matches, letter by letter.
    pub fn matches(&self, text: &str) -> bool {
        walk(&self.0, text, |one, other| one == other)
    }

    /// Whether the whole of `text` matches, a letter of ASCII standing for both of its cases.
    pub fn matches_any_case(&self, text: &str) -> bool {
        walk(&self.0, text, |one, other| one.eq_ignore_ascii_case(&other))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for itself alone.
    pub(super) fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }
}

/// The two-pointer walk that returns to the last star only, so at worst the product of both lengths. `pattern` is ASCII; `text` may be
/// anything, and its characters are never taken apart.
pub(super) fn walk(pattern: &str, text: &str, same: impl Fn(u8, u8) -> bool) -> bool {
    let (pattern, bytes) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Behind the last star, and how far the text goes that it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < bytes.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
            }
            Some(b'?') => {
                p += 1;
                t = next_character(bytes, t);
            }
            Some(byte) if same(*byte, bytes[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((behind, taken)) = star else {
                    return false;
                };
                p = behind;
                t = next_character(bytes, taken);
                star = Some((behind, t));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Where the character after the one at `at` starts: bytes of the form `10xxxxxx` go on with one.
fn next_character(text: &[u8], at: usize) -> usize {
    let rest = text[at + 1..].iter().take_while(|b| **b & 0xC0 == 0x80);
    at + 1 + rest.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(glob: &str, text: &str) -> bool {
        Glob::parse(glob).unwrap().matches(text)
    }

    #[test]
    fn a_star_is_any_run_and_a_question_mark_one_character() {
        assert!(matches("gpt-5*", "gpt-5"));
        assert!(matches("gpt-5*", "gpt-5-mini-2025-08-07"));
        assert!(!matches("gpt-5*", "openai/gpt-5"));
        assert!(matches("*gpt-5*", "openai/gpt-5"));
        assert!(matches("gpt-?", "gpt-5"));
        assert!(!matches("gpt-?", "gpt-"));
        assert!(!matches("gpt-?", "gpt-55"));
        assert!(matches("a*b?d", "abbbcd"));
        assert!(!matches("a*b?d", "abbbcde"));
        assert!(matches("*", ""));
        assert!(!matches("?", ""));
    }

    #[test]
    fn everything_else_is_itself() {
        assert!(matches("a[b-c].{d}\\", "a[b-c].{d}\\"));
        assert!(!matches("a[b-c]", "ab"));
        assert!(!matches("a.c", "abc"));
        assert!(!matches("gpt-5", "GPT-5"));
    }

    #[test]
    fn a_character_is_not_taken_apart() {
        assert!(matches("gpt-?", "gpt-\u{0435}"));
        assert!(!matches("gpt-??", "gpt-\u{0435}"));
        assert!(matches("*?", "\u{1F600}"));
        assert!(!matches("*??", "\u{1F600}"));
    }

    #[test]
    fn case_is_ignored_in_ascii_alone() {
        let glob = Glob::parse("GPT-5*").unwrap();
        assert!(glob.matches_any_case("gpt-5"));
        assert!(glob.matches_any_case("Gpt-5-MINI"));
        assert!(!Glob::parse("k").unwrap().matches_any_case("\u{212A}"));
    }

    #[test]
    fn what_may_look_like_something_else_is_refused() {
        for text in ["", "gpt\u{2010}5", "a\tb", "a\n", &"x".repeat(257)] {
            assert!(Glob::parse(text).is_err(), "{text}");
        }
    }
}

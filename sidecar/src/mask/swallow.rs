//! The rest of a value that is longer than what is held back: it is told from the bytes alone, and nothing of it waits.

/// How the rest of a long value is told.
#[derive(Clone, Debug)]
pub(super) enum Swallow {
    /// It goes on with these.
    Run(fn(u8) -> bool),
    /// It is a private key in PEM.
    Pem(Pem),
}

/// The inside of a private key: RFC 7468 section 3, with the headers of RFC 1421 section 4.6 and of RFC 9580 section 6.2.2, and with ends of lines
/// in any spelling, since keys stand in texts inside of texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Pem {
    /// How much of [`END`] came.
    end: usize,
    /// Hyphens in a row, after all of it.
    hyphens: usize,
    /// Characters since that began.
    line: usize,
    /// Base64 characters in a row.
    run: usize,
    /// Short words in a row.
    words: usize,
}

const END: &[u8] = b"-----END";
/// The hyphens that close a line.
const HYPHENS: usize = 5;
/// A longer line is no end of a key.
const MAX_END: usize = 64;
/// A row of base64 has more characters than that, except for the last one.
const SHORT: usize = 16;
/// So many short words in a row are prose, and no header.
const PROSE: usize = 6;

impl Swallow {
    /// How many of `text`'s bytes belong to the value, and whether it ended with them.
    pub(super) fn eat(&mut self, text: &[u8]) -> (usize, bool) {
        match self {
            Self::Run(belongs) => match text.iter().position(|byte| !belongs(*byte)) {
                Some(end) => (end, true),
                None => (text.len(), false),
            },
            Self::Pem(pem) => pem.eat(text),
        }
    }
}

impl Pem {
    fn eat(&mut self, text: &[u8]) -> (usize, bool) {
        for (at, byte) in text.iter().enumerate() {
            if self.end == END.len() {
                self.line += 1;
                self.hyphens = if *byte == b'-' { self.hyphens + 1 } else { 0 };
                if self.hyphens == HYPHENS {
                    return (at + 1, true);
                }
                if *byte == b'\n' || !byte.is_ascii() || self.line > MAX_END {
                    return (at, true);
                }
                continue;
            }
            if !is_inside(*byte) {
                return (at, true);
            }
            self.end = match *byte {
                byte if byte == END[self.end] => self.end + 1,
                b'-' if self.end == HYPHENS => HYPHENS,
                b'-' => 1,
                _ => 0,
            };
            if matches!(*byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=') {
                self.run += 1;
                continue;
            }
            self.words = match (*byte, self.run) {
                (b' ', 1..SHORT) => self.words + 1,
                (b' ', 0) => self.words,
                _ => 0,
            };
            self.run = 0;
            if self.words == PROSE {
                return (at, true);
            }
        }
        (text.len(), false)
    }
}

/// Whether a key may have it, its headers and the quotes of a program around its lines included.
fn is_inside(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/= \t\r\n\\-:,.()_@'\"".contains(&byte)
}

//! The text of a string: where it ends, and what its escapes stand for.

use std::borrow::Cow;

/// What stands between the quotes of a string.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    /// As it stands there.
    pub(super) text: &'a str,
    /// Whether there is an escape in it.
    pub(super) is_escaped: bool,
}

impl<'a> Raw<'a> {
    /// The characters that it stands for. Its escapes were checked when it was read.
    pub(super) fn unescape(self) -> Cow<'a, str> {
        if !self.is_escaped {
            return Cow::Borrowed(self.text);
        }
        let mut text = String::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let bytes = rest.as_bytes();
            let mut length = 2;
            text.push(match bytes[at + 1] {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    length = 6;
                    let units = [code_unit(bytes, at), code_unit(bytes, at + 6)];
                    let decoded = char::decode_utf16(units.into_iter().flatten()).next();
                    let character = decoded
                        .and_then(Result::ok)
                        .expect("surrogates were checked to come in pairs");
                    length += 6 * (character.len_utf16() - 1);
                    character
                }
                other => char::from(other),
            });
            rest = &rest[at + length..];
        }
        text.push_str(rest);
        Cow::Owned(text)
    }
}

/// How many bytes from the start are neither a quote nor a backslash nor a control character. Eight at a time, since most of a body is prose.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    /// The high bit of every zero byte is set; above the lowest such byte there may be others, which do not matter.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special =
            controls | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let tail = rest
        .iter()
        .position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
    words.len() * 8 + tail.unwrap_or(rest.len())
}

/// The UTF-16 code unit of the escape `\uXXXX` at `at`.
pub(super) fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    if !escape.starts_with(b"\\u") {
        return None;
    }
    escape[2..].iter().try_fold(0_u16, |unit, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

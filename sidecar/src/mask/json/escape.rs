//! The escapes of JSON's strings (RFC 8259 section 7), in pieces: what they stand for, where that stands, and how to write them.

use std::borrow::Cow;

use crate::mask::map::Map;

/// Takes the escapes off one string that comes in pieces.
#[derive(Debug, Default)]
pub(in crate::mask) struct Unescape {
    /// The beginning of an escape whose end did not come yet.
    open: String,
}

/// What the string `raw` stands for, which stands at `at` as a whole, and where that stands.
pub(in crate::mask) fn unescaped(raw: &str, at: u64) -> (Cow<'_, str>, Map) {
    let mut map = Map::new(0, at);
    if !raw.contains('\\') {
        return (raw.into(), map);
    }
    let mut text = String::with_capacity(raw.len());
    let mut unescape = Unescape::default();
    unescape.push(raw, at, 0, &mut text, &mut map);
    unescape.finish(at + raw.len() as u64, 0, &mut text, &mut map);
    (text.into(), map)
}

/// What an escape at the beginning of a text is.
enum Escape {
    /// So many bytes that stand for this.
    Whole(usize, char),
    /// More of it has to come.
    Open,
}

/// Half of a surrogate pair stands for nothing.
const NOTHING: char = '\u{FFFD}';

impl Unescape {
    /// Appends to `text`, which stands from `offset` on in the whole, what `raw` stands for; `raw` itself stands at `at`.
    pub(in crate::mask) fn push(
        &mut self,
        raw: &str,
        at: u64,
        offset: u64,
        text: &mut String,
        map: &mut Map,
    ) {
        if self.open.is_empty() {
            self.take(raw, at, offset, text, map);
        } else {
            let mut joined = std::mem::take(&mut self.open);
            let at = at - joined.len() as u64;
            joined.push_str(raw);
            self.take(&joined, at, offset, text, map);
        }
    }

    /// The string ends at `end`: what is left of an escape is none.
    pub(in crate::mask) fn finish(
        &mut self,
        end: u64,
        offset: u64,
        text: &mut String,
        map: &mut Map,
    ) {
        if !std::mem::take(&mut self.open).is_empty() {
            text.push(NOTHING);
            map.turn(offset + text.len() as u64, end);
        }
    }

    /// Whether nothing of an escape is open.
    pub(in crate::mask) fn is_between(&self) -> bool {
        self.open.is_empty()
    }

    fn take(&mut self, raw: &str, at: u64, offset: u64, text: &mut String, map: &mut Map) {
        let mut done = 0;
        map.turn(offset + text.len() as u64, at);
        while let Some(plain) = raw[done..].find('\\') {
            text.push_str(&raw[done..done + plain]);
            done += plain;
            match escape(&raw[done..]) {
                Escape::Open => {
                    self.open.push_str(&raw[done..]);
                    return;
                }
                Escape::Whole(length, character) => {
                    text.push(character);
                    done += length;
                    map.turn(offset + text.len() as u64, at + done as u64);
                }
            }
        }
        text.push_str(&raw[done..]);
    }
}

/// Reads the escape that `raw` begins with. What is none stands for the character behind the backslash, as lenient readers have it.
fn escape(raw: &str) -> Escape {
    let Some(letter) = raw[1..].chars().next() else {
        return Escape::Open;
    };
    let character = match letter {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(raw),
        other => other,
    };
    Escape::Whole(1 + letter.len_utf8(), character)
}

fn unicode(raw: &str) -> Escape {
    let high = match unit(raw.as_bytes()) {
        Unit::Open => return Escape::Open,
        Unit::None => return Escape::Whole(2, NOTHING),
        Unit::Some(unit) => unit,
    };
    if !matches!(high, 0xD800..=0xDBFF) {
        let character = char::from_u32(u32::from(high)).unwrap_or(NOTHING);
        return Escape::Whole(6, character);
    }
    match unit(&raw.as_bytes()[6..]) {
        Unit::Open => Escape::Open,
        Unit::Some(low) => match char::decode_utf16([high, low]).next() {
            Some(Ok(character)) => Escape::Whole(12, character),
            _ => Escape::Whole(6, NOTHING),
        },
        Unit::None => Escape::Whole(6, NOTHING),
    }
}

enum Unit {
    Some(u16),
    None,
    Open,
}

/// The code unit of the `\uXXXX` that `bytes` begin with.
fn unit(bytes: &[u8]) -> Unit {
    let mut unit = 0;
    for index in 0..6 {
        let Some(&byte) = bytes.get(index) else {
            return Unit::Open;
        };
        match (index, byte, char::from(byte).to_digit(16)) {
            (0, b'\\', _) | (1, b'u', _) => {}
            (2.., _, Some(digit)) => unit = unit << 4 | digit as u16,
            _ => return Unit::None,
        }
    }
    Unit::Some(unit)
}

/// `text` as it may stand in a string.
pub(in crate::mask) fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            control if control < ' ' => {
                written.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => written.push(other),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `raw` stands for where it is cut, and where each character of that stands.
    fn read(raw: &str, cut: usize) -> (String, Vec<u64>) {
        let (mut unescape, mut map, mut text) =
            (Unescape::default(), Map::new(0, 100), String::new());
        let (head, tail) = raw.split_at(cut);
        unescape.push(head, 100, 0, &mut text, &mut map);
        unescape.push(tail, 100 + cut as u64, 0, &mut text, &mut map);
        unescape.finish(100 + raw.len() as u64, 0, &mut text, &mut map);
        let places = text.char_indices().map(|(index, _)| index as u64);
        let places = places
            .chain([text.len() as u64])
            .map(|place| map.raw(place) - 100)
            .collect();
        (text, places)
    }

    #[test]
    fn escapes_are_read_wherever_they_are_cut() {
        for (raw, expected, places) in [
            ("plain", "plain", vec![0, 1, 2, 3, 4, 5]),
            (r#"a\n\"\/b"#, "a\n\"/b", vec![0, 1, 3, 5, 7, 8]),
            (r"\u0040x\u00e9é", "@xéé", vec![0, 6, 7, 13, 15]),
            (r"\ud83d\ude00!", "\u{1F600}!", vec![0, 12, 13]),
            (r"\ud83dx", "\u{FFFD}x", vec![0, 6, 7]),
            (r"\ude00\ud83d", "\u{FFFD}\u{FFFD}", vec![0, 6, 12]),
            (r"\ud83d\u0041", "\u{FFFD}A", vec![0, 6, 12]),
            (r"\ud83d\n", "\u{FFFD}\n", vec![0, 6, 8]),
            (r"\u00zz", "\u{FFFD}00zz", vec![0, 2, 3, 4, 5, 6]),
            (r"\q\é", "qé", vec![0, 2, 5]),
            (r"\u12", "\u{FFFD}", vec![0, 4]),
            ("\\", "\u{FFFD}", vec![0, 1]),
        ] {
            for cut in (0..=raw.len()).filter(|cut| raw.is_char_boundary(*cut)) {
                assert_eq!(
                    read(raw, cut),
                    (expected.to_owned(), places.clone()),
                    "{raw} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all: String = (0..0x80)
            .filter_map(char::from_u32)
            .chain("é\u{1F600}".chars())
            .collect();
        let written = escaped(&all);
        assert_eq!(read(&written, 0).0, all);
        let quoted: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
        assert_eq!(quoted, all);
    }
}

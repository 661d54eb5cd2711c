//! One server-sent event: the text that its `data` lines are, and what else it says.

use std::{borrow::Cow, ops::Range};

use memchr::memchr2;

use crate::mask::map::{Map, lossy};

/// What stands in one event.
pub(super) struct Event<'a> {
    /// Its data, lines joined by LF, and where that stands; `None` where it has none.
    pub(super) data: Option<(Cow<'a, str>, Map)>,
    /// Lines that no reader should look at: comments, and fields that do not exist. Fields that do (`event`, `id`, `retry`) are not among them.
    pub(super) others: Vec<Range<usize>>,
}

/// A byte order mark, which may stand before the first line of a stream.
const MARK: &[u8] = b"\xEF\xBB\xBF";

impl<'a> Event<'a> {
    /// Reads `block`, which is one event as it stands there.
    pub(super) fn read(block: &'a [u8]) -> Self {
        let mut data: Vec<Range<usize>> = Vec::new();
        let mut others = Vec::new();
        let mut start = 0;
        while start < block.len() {
            let rest = &block[start..];
            let line = &rest[..memchr2(b'\r', b'\n', rest).unwrap_or(rest.len())];
            let end = start + line.len();
            let line = match line.strip_prefix(MARK) {
                Some(rest) if start == 0 => rest,
                _ => line,
            };
            if let Some(value) = line.strip_prefix(b"data:") {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                data.push(end - value.len()..end);
            } else if line == b"data" {
                data.push(end..end);
            } else if !line.is_empty() && !is_field(line) {
                others.push(end - line.len()..end);
            }
            start = end + 1;
        }
        Self {
            data: join(block, &data),
            others,
        }
    }
}

fn is_field(line: &[u8]) -> bool {
    [&b"event"[..], b"id", b"retry"]
        .iter()
        .filter_map(|name| line.strip_prefix(*name))
        .any(|rest| rest.first().is_none_or(|byte| *byte == b':'))
}

/// The text on the lines at `ranges`. What ends a line and begins the next stands for the LF between them.
fn join<'a>(block: &'a [u8], ranges: &[Range<usize>]) -> Option<(Cow<'a, str>, Map)> {
    let first = ranges.first()?;
    let mut map = Map::new(0, first.start as u64);
    if ranges.len() == 1
        && let Ok(text) = std::str::from_utf8(&block[first.clone()])
    {
        return Some((text.into(), map));
    }
    let mut text = String::new();
    for (index, range) in ranges.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        lossy(
            &block[range.clone()],
            range.start as u64,
            &mut text,
            &mut map,
        );
    }
    Some((text.into(), map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_an_event_is_what_its_lines_say() {
        for end in ["\n", "\r\n", "\r"] {
            let block =
                "\u{feff}data: ab\n: hush\nid: 1\ndata:\ndata\ndata:  c\ndatum: x\nevent: y\n\n"
                    .replace('\n', end);
            let event = Event::read(block.as_bytes());
            let (text, map) = event.data.unwrap();
            assert_eq!(text, "ab\n\n\n c");
            let places: Vec<&str> = text
                .char_indices()
                .filter(|(_, character)| *character != '\n')
                .map(|(index, character)| {
                    let at = map.raw(index as u64) as usize;
                    assert!(block[at..].starts_with(character));
                    &block[at..at + 1]
                })
                .collect();
            assert_eq!(places.concat(), "ab c");
            let others: Vec<&str> = event.others.into_iter().map(|line| &block[line]).collect();
            assert_eq!(others, [": hush", "datum: x"]);
        }
    }

    #[test]
    fn data_on_one_line_is_not_copied() {
        let event = Event::read(b"data: {}\n\n");
        let (text, map) = event.data.unwrap();
        assert!(matches!(text, Cow::Borrowed("{}")));
        assert_eq!(map.raw(1), 7);
        assert!(Event::read(b": hello\n\n").data.is_none());
        let broken = Event::read(b"data: a\xFFb\n\n").data.unwrap();
        assert_eq!(broken.0, "a\u{FFFD}b");
        assert_eq!(broken.1.raw(4), 8);
    }
}

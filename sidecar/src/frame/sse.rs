//! Server-sent events, as <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation> reads them: lines end
//! with LF, CRLF or CR, a blank line ends an event, a byte order mark may stand in front.

use std::ops::Range;

use memchr::memchr2;

/// Cuts lines. A CR ends its line only once the next byte is seen, which may be an LF that belongs to it.
#[derive(Debug, Default)]
struct Lines {
    /// Whether the line has bytes already.
    has_text: bool,
    /// The line ended with a CR, and was blank if the value is true.
    after_cr: Option<bool>,
}

/// What [`Lines`] found.
enum Part<'a> {
    /// A piece of a line, without its end.
    Text(&'a [u8]),
    /// A line's end.
    End { is_blank: bool },
}

impl Lines {
    /// Calls `each` for every part, with the number of `bytes` that are done with it.
    fn push<'a>(&mut self, bytes: &'a [u8], mut each: impl FnMut(Part<'a>, usize)) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if let Some(is_blank) = self.after_cr.take() {
                at += usize::from(byte == b'\n');
                each(Part::End { is_blank }, at);
                continue;
            }
            let rest = &bytes[at..];
            let end = memchr2(b'\r', b'\n', rest);
            let text = &rest[..end.unwrap_or(rest.len())];
            at += text.len();
            if !text.is_empty() {
                self.has_text = true;
                each(Part::Text(text), at);
            }
            let Some(end) = end else { break };
            let is_blank = !std::mem::take(&mut self.has_text);
            at += 1;
            if rest[end] == b'\r' {
                self.after_cr = Some(is_blank);
            } else {
                each(Part::End { is_blank }, at);
            }
        }
    }
}

/// What [`Data`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A piece of an event's data. Lines of one event are joined by LF.
    Data(&'a [u8]),
    /// The event's end.
    End,
}

/// Finds the data of events and keeps none of it.
#[derive(Debug, Default)]
pub(crate) struct Data {
    lines: Lines,
    line: Line,
    /// Whether the event has data already.
    has_data: bool,
    /// Whether a byte order mark can no longer come.
    has_begun: bool,
}

/// How far a line is understood.
#[derive(Debug, Clone, Copy)]
enum Line {
    /// So many bytes of `data:` were seen, and nothing else.
    Name(usize),
    /// So many bytes of a byte order mark were seen.
    Mark(usize),
    /// Behind `data:`, where one space may stand.
    Space,
    /// In the data.
    Value,
    /// In a comment or another field.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

const NAME: &[u8] = b"data:";
const MARK: &[u8] = b"\xEF\xBB\xBF";

impl Data {
    /// Calls `each` for every piece of data and every end of an event that has some.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let Self {
            lines,
            line,
            has_data,
            has_begun,
        } = self;
        lines.push(bytes, |part, _| match part {
            Part::Text(mut text) => {
                while let Some(&byte) = text.first() {
                    match *line {
                        Line::Name(0) if !*has_begun && byte == MARK[0] => *line = Line::Mark(1),
                        Line::Mark(seen) if byte == MARK[seen] => {
                            let is_whole = seen + 1 == MARK.len();
                            *line = if is_whole {
                                Line::Name(0)
                            } else {
                                Line::Mark(seen + 1)
                            };
                            *has_begun = is_whole;
                        }
                        Line::Name(seen) if byte == NAME[seen] => {
                            *has_begun = true;
                            let is_whole = seen + 1 == NAME.len();
                            *line = if is_whole {
                                Line::Space
                            } else {
                                Line::Name(seen + 1)
                            };
                            if is_whole && std::mem::replace(has_data, true) {
                                each(Piece::Data(b"\n"));
                            }
                        }
                        Line::Space if byte == b' ' => *line = Line::Value,
                        Line::Space | Line::Value => {
                            *line = Line::Value;
                            each(Piece::Data(text));
                            return;
                        }
                        Line::Name(_) | Line::Mark(_) | Line::Other => {
                            *has_begun = true;
                            *line = Line::Other;
                            return;
                        }
                    }
                    text = &text[1..];
                }
            }
            Part::End { is_blank } => {
                *line = Line::default();
                *has_begun = true;
                if is_blank && std::mem::take(has_data) {
                    each(Piece::End);
                }
            }
        });
    }
}

/// Cuts a stream into events as they stand there, ends of lines and comments included, so that they can be passed on byte for byte.
#[derive(Debug)]
pub(crate) struct Blocks {
    lines: Lines,
    /// The beginning of an event whose end was not seen yet.
    held: Vec<u8>,
    limit: usize,
    is_lost: bool,
}

impl Blocks {
    /// Holds at most `limit` bytes of an event whose end was not seen yet.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            lines: Lines::default(),
            held: Vec::new(),
            limit,
            is_lost: false,
        }
    }

    /// Calls `each` for every whole event, blank line included. An event beyond the limit, and all that comes after it, is handed out in pieces
    /// as it comes: from then on [`Self::is_lost`] holds.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        let Self {
            lines,
            held,
            limit,
            is_lost,
        } = self;
        if *is_lost {
            each(bytes, false);
            return;
        }
        let mut start = 0;
        lines.push(bytes, |part, upto| {
            if let Part::End { is_blank: true } = part {
                let block = &bytes[start..upto];
                start = upto;
                if held.is_empty() {
                    each(block, true);
                } else {
                    held.extend_from_slice(block);
                    each(held, true);
                    held.clear();
                }
            }
        });
        held.extend_from_slice(&bytes[start..]);
        if held.len() > *limit {
            *is_lost = true;
            each(&std::mem::take(held), false);
        }
    }

    /// What is left when the stream ends.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// Finds where events end, and keeps nothing.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    lines: Lines,
}

impl Ends {
    /// Calls `each` with every place in `bytes` where an event ends, or nothing but blank lines stand.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(usize)) {
        self.lines.push(bytes, |part, upto| {
            if let Part::End { is_blank: true } = part {
                each(upto);
            }
        });
    }
}

/// Where the data of one whole event stands, if all of it is on one line.
pub(crate) fn only_data_line(block: &[u8]) -> Option<Range<usize>> {
    let mut found = None;
    let mut start = 0;
    for line in block.split(|b| matches!(b, b'\r' | b'\n')) {
        if let Some(value) = line.strip_prefix(NAME) {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let end = start + line.len();
            if found.replace(end - value.len()..end).is_some() {
                return None;
            }
        }
        start += line.len() + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every event's data, where the stream comes in two pieces cut at `cut`.
    fn events(stream: &[u8], cut: usize) -> Vec<String> {
        let mut data = Data::default();
        let (mut found, mut open) = (Vec::new(), Vec::new());
        let (head, tail) = stream.split_at(cut);
        for piece in [head, tail] {
            data.push(piece, |piece| match piece {
                Piece::Data(bytes) => open.extend_from_slice(bytes),
                Piece::End => found.push(String::from_utf8(std::mem::take(&mut open)).unwrap()),
            });
        }
        found
    }

    #[test]
    fn events_are_found_whatever_ends_their_lines_and_wherever_they_are_cut() {
        let stream = "\u{feff}: hello\n\ndata: one\n\nevent: x\nid: 1\ndata:two\ndata:  three\nretry: 5\n\ndatum: no\n\n\
                      data\n\ndata:\n\ndata: four: \u{2603}\n\n\ndata: unfinished";
        let expected = ["one", "two\n three", "", "four: \u{2603}"];
        for end in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', end);
            for cut in 0..=stream.len() {
                assert_eq!(
                    events(stream.as_bytes(), cut),
                    expected.map(|event| event.to_owned()),
                    "{end:?} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn a_stream_that_comes_byte_by_byte_has_the_same_events() {
        let stream = b"data: one\r\n\r\n:\r\ndata: two\r\rdata: three\n\n";
        let mut data = Data::default();
        let mut found = Vec::new();
        for byte in stream {
            data.push(&[*byte], |piece| match piece {
                Piece::Data(bytes) => found.extend_from_slice(bytes),
                Piece::End => found.push(b'|'),
            });
        }
        assert_eq!(found, b"one|two|three|");
    }

    #[test]
    fn blocks_are_the_stream_and_nothing_else() {
        let stream = b"\r\n: hello\n\ndata: one\r\n\r\ndata: two\n\rdata: three\n\n\ndata: rest";
        for cut in 0..=stream.len() {
            let mut blocks = Blocks::new(1024);
            let mut found: Vec<Vec<u8>> = Vec::new();
            let (head, tail) = stream.split_at(cut);
            for piece in [head, tail] {
                blocks.push(piece, |block, is_whole| {
                    assert!(is_whole);
                    found.push(block.to_vec());
                });
            }
            found.push(blocks.finish());
            assert_eq!(found.concat(), stream);
            let data = |block: &[u8]| {
                only_data_line(block).map(|line| String::from_utf8(block[line].to_vec()).unwrap())
            };
            let data: Vec<_> = found.iter().map(|block| data(block)).collect();
            let expected = [
                None,
                None,
                Some("one"),
                Some("two"),
                Some("three"),
                None,
                Some("rest"),
            ];
            assert_eq!(
                data,
                expected.map(|data| data.map(str::to_owned)),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn data_on_several_lines_has_no_line_of_its_own() {
        assert_eq!(
            only_data_line(b"event: x\r\ndata: ab\r\n\r\n"),
            Some(16..18)
        );
        assert_eq!(only_data_line(b"data:ab"), Some(5..7));
        assert_eq!(only_data_line(b"data: a\ndata: b\n\n"), None);
        assert_eq!(only_data_line(b": data: a\n\n"), None);
    }

    #[test]
    fn an_event_that_is_too_long_is_passed_on_and_not_kept() {
        let mut blocks = Blocks::new(16);
        let mut found = Vec::new();
        for piece in [
            &b"data: 1\n\ndata: 234"[..],
            b"56789012345",
            b"\n\ndata: 3\n\n",
        ] {
            blocks.push(piece, |block, is_whole| {
                found.push((block.to_vec(), is_whole));
            });
        }
        let expected: [(&[u8], bool); 3] = [
            (b"data: 1\n\n", true),
            (b"data: 23456789012345", false),
            (b"\n\ndata: 3\n\n", false),
        ];
        assert_eq!(
            found,
            expected.map(|(block, whole)| (block.to_vec(), whole))
        );
        assert!(blocks.finish().is_empty());
    }
}

//! Walks over JSON values that come in pieces and says what stands where, so that they can be edited byte for byte.
//!
//! What comes may be no JSON at all, or only begin like it: then the walk says from where on.

use memchr::memchr2;

/// Deeper values are not walked over. Real answers stay under 30.
const MAX_DEPTH: usize = 1024;
/// Names are cut to this many bytes.
const MAX_NAME: usize = 256;
/// Numbers have no more bytes.
pub(crate) const MAX_BARE: usize = 64;

/// What stands in the text. Places are counted in bytes from its beginning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// `{` or `[`.
    Open {
        /// Where it stands.
        at: u64,
        /// Which of the two.
        is_object: bool,
    },
    /// `}` or `]`.
    Close {
        /// What is behind it.
        end: u64,
    },
    /// The comma between two values or members.
    Comma {
        /// Where it stands.
        at: u64,
    },
    /// The name of the member whose value comes next.
    Name {
        /// Where its opening quote stands.
        at: u64,
        /// It, with its escapes as they are written; no more than its first 256 bytes.
        name: &'a str,
    },
    /// A string that is a value begins.
    Begin {
        /// Where its opening quote stands.
        at: u64,
    },
    /// A piece of it.
    Piece {
        /// Where it stands.
        at: u64,
        /// With its escapes as they are written.
        raw: &'a str,
        /// Whether it is the last.
        ends: bool,
    },
    /// It ends.
    End {
        /// What is behind its closing quote.
        end: u64,
    },
    /// A number, `true`, `false` or `null`.
    Bare {
        /// Where it stands.
        at: u64,
        /// It.
        text: &'a str,
    },
    /// From here on the text is no JSON, and the walk is over.
    Broken {
        /// Where that begins.
        at: u64,
        /// What was taken for a value before.
        before: &'a str,
        /// What is left of the piece behind that.
        rest: &'a str,
    },
}

/// The place of a walk.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Of each open container, whether it is an object.
    open: Vec<bool>,
    state: State,
    /// Bytes that were walked over.
    at: u64,
    /// Where the name or bare value begins that is being read.
    start: u64,
    /// That, as far as it was read; behind a bare value its white space.
    kept: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A value must come.
    Value,
    /// A value must come, or the end of an empty array.
    FirstValue,
    /// A name must come.
    Name,
    /// A name must come, or the end of an empty object.
    FirstName,
    /// In a name.
    InName { is_escaped: bool },
    /// The colon behind a name must come.
    Colon,
    /// In a string that is a value.
    InText { is_escaped: bool },
    /// In a bare value, or in the white space behind it: whether it is one is not known before something else comes.
    InBare { has_ended: bool },
    /// Behind a value.
    After,
    /// It is no JSON.
    Broken,
}

impl Walk {
    /// At the beginning of a text.
    pub(crate) fn new() -> Self {
        Self {
            open: Vec::new(),
            state: State::Value,
            at: 0,
            start: 0,
            kept: String::new(),
        }
    }

    /// How far the text is settled: what comes cannot change what was said of anything before.
    pub(crate) fn settled(&self) -> u64 {
        match self.state {
            State::InBare { .. } => self.start,
            _ => self.at,
        }
    }

    /// Walks on. After [`Step::Broken`] nothing more is said.
    pub(crate) fn push(&mut self, text: &str, mut each: impl FnMut(Step<'_>)) {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            index += match self.state {
                State::InName { is_escaped } => self.name(&text[index..], is_escaped, &mut each),
                State::InText { is_escaped } => self.text(&text[index..], is_escaped, &mut each),
                State::InBare { has_ended } => self.bare(&text[index..], has_ended, &mut each),
                State::Broken => return,
                _ => match bytes[index] {
                    b' ' | b'\t' | b'\r' | b'\n' => {
                        self.at += 1;
                        1
                    }
                    byte => self.between(byte, &text[index..], &mut each),
                },
            };
        }
    }

    /// Nothing follows.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Step<'_>)) {
        if matches!(self.state, State::InBare { .. }) {
            self.end_of_bare("", &mut each);
        }
    }

    /// One byte between values.
    fn between(&mut self, byte: u8, rest: &str, each: &mut impl FnMut(Step<'_>)) -> usize {
        let at = self.at;
        let is_value = matches!(self.state, State::Value | State::FirstValue);
        // Values may stand one after another, as in NDJSON; only those that prose does not begin with.
        let is_value = is_value
            || self.state == State::After && self.open.is_empty() && matches!(byte, b'{' | b'[');
        match (byte, self.state) {
            (b'{' | b'[', _) if is_value && self.open.len() < MAX_DEPTH => {
                let is_object = byte == b'{';
                self.open.push(is_object);
                self.state = if is_object {
                    State::FirstName
                } else {
                    State::FirstValue
                };
                each(Step::Open { at, is_object });
            }
            (b'"', _) if is_value => {
                self.state = State::InText { is_escaped: false };
                each(Step::Begin { at });
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', _) if is_value => {
                self.start = at;
                self.kept.clear();
                self.state = State::InBare { has_ended: false };
                return 0;
            }
            (b'"', State::Name | State::FirstName) => {
                self.start = at;
                self.kept.clear();
                self.state = State::InName { is_escaped: false };
            }
            (b':', State::Colon) => self.state = State::Value,
            (b',', State::After) if !self.open.is_empty() => {
                self.state = if self.open.last() == Some(&true) {
                    State::Name
                } else {
                    State::Value
                };
                each(Step::Comma { at });
            }
            (b'}', State::After | State::FirstName) if self.open.last() == Some(&true) => {
                self.close(each);
            }
            (b']', State::After | State::FirstValue) if self.open.last() == Some(&false) => {
                self.close(each);
            }
            _ => {
                self.state = State::Broken;
                each(Step::Broken {
                    at,
                    before: "",
                    rest,
                });
                return rest.len();
            }
        }
        self.at += 1;
        1
    }

    fn close(&mut self, each: &mut impl FnMut(Step<'_>)) {
        self.open.pop();
        self.state = State::After;
        each(Step::Close { end: self.at + 1 });
    }

    fn name(&mut self, text: &str, is_escaped: bool, each: &mut impl FnMut(Step<'_>)) -> usize {
        let (length, end) = in_string(text, is_escaped);
        let room = MAX_NAME.saturating_sub(self.kept.len());
        self.kept
            .push_str(&text[..text.floor_char_boundary(length.min(room))]);
        self.at += length as u64;
        match end {
            End::Open { is_escaped } => self.state = State::InName { is_escaped },
            End::Quote => {
                self.at += 1;
                self.state = State::Colon;
                each(Step::Name {
                    at: self.start,
                    name: &self.kept,
                });
                return length + 1;
            }
        }
        length
    }

    fn text(&mut self, text: &str, is_escaped: bool, each: &mut impl FnMut(Step<'_>)) -> usize {
        let (length, end) = in_string(text, is_escaped);
        if length > 0 {
            each(Step::Piece {
                at: self.at,
                raw: &text[..length],
                ends: matches!(end, End::Quote),
            });
        }
        self.at += length as u64;
        match end {
            End::Open { is_escaped } => self.state = State::InText { is_escaped },
            End::Quote => {
                self.at += 1;
                self.state = State::After;
                each(Step::End { end: self.at });
                return length + 1;
            }
        }
        length
    }

    fn bare(&mut self, text: &str, has_ended: bool, each: &mut impl FnMut(Step<'_>)) -> usize {
        let bytes = text.as_bytes();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}');
        let length = if has_ended {
            bytes.iter().take_while(|byte| is_space(byte)).count()
        } else {
            let inner = |byte: &&u8| !is_space(byte) && !is_end(byte);
            bytes.iter().take_while(inner).count()
        };
        let fits = self.kept.len() + length <= MAX_BARE;
        if fits {
            self.kept.push_str(&text[..length]);
            self.at += length as u64;
        }
        match bytes.get(length) {
            // So much white space is no number's beginning.
            _ if !fits && has_ended => {
                self.end_of_bare(text, each);
                0
            }
            _ if !fits => {
                self.broken(text, each);
                text.len()
            }
            None => length,
            Some(byte) if is_end(byte) => {
                self.end_of_bare(&text[length..], each);
                length
            }
            Some(byte) if is_space(byte) => {
                self.state = State::InBare { has_ended: true };
                length
            }
            Some(_) => {
                self.broken(&text[length..], each);
                text.len()
            }
        }
    }

    fn end_of_bare(&mut self, rest: &str, each: &mut impl FnMut(Step<'_>)) {
        let text = self.kept.trim_ascii_end();
        let is_number = text.bytes().any(|byte| byte.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        if is_number || matches!(text, "true" | "false" | "null") {
            self.state = State::After;
            each(Step::Bare {
                at: self.start,
                text,
            });
        } else {
            self.broken(rest, each);
        }
    }

    /// What was read as a bare value is none.
    fn broken(&mut self, rest: &str, each: &mut impl FnMut(Step<'_>)) {
        self.state = State::Broken;
        each(Step::Broken {
            at: self.start,
            before: &self.kept,
            rest,
        });
    }
}

/// What ends a piece of a string.
enum End {
    /// The piece itself; its last byte may be a backslash.
    Open { is_escaped: bool },
    /// The closing quote.
    Quote,
}

/// The length of the string that `text` begins in, if it ends there.
pub(crate) fn end_of_string(text: &str) -> Option<usize> {
    match in_string(text, false) {
        (length, End::Quote) => Some(length),
        (_, End::Open { .. }) => None,
    }
}

/// How much of `text` is inside the string that it begins in.
fn in_string(text: &str, is_escaped: bool) -> (usize, End) {
    let bytes = text.as_bytes();
    let mut from = usize::from(is_escaped);
    loop {
        let Some(found) = bytes
            .get(from..)
            .and_then(|rest| memchr2(b'"', b'\\', rest))
        else {
            // The backslash may have been the last byte.
            let is_escaped = from > bytes.len();
            return (bytes.len(), End::Open { is_escaped });
        };
        let at = from + found;
        if bytes[at] == b'"' {
            return (at, End::Quote);
        }
        from = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of `text`, cut at `cut`; pieces of one string joined.
    fn said(text: &str, cut: usize) -> String {
        let mut walk = Walk::new();
        let mut said = String::new();
        let mut each = |step: Step<'_>| {
            let word = match step {
                Step::Open { at, is_object } => {
                    format!(" {at}{}", if is_object { '{' } else { '[' })
                }
                Step::Close { end } => format!(" {end}|"),
                Step::Comma { at } => format!(" {at},"),
                Step::Name { at, name } => format!(" {at}:{name}"),
                Step::Begin { at } => format!(" {at}\""),
                Step::Piece { raw, .. } => raw.to_owned(),
                Step::End { end } => format!("\"{end}"),
                Step::Bare { at, text } => format!(" {at}={text}"),
                Step::Broken { at, before, rest } => format!(" {at}!{before}{rest}"),
            };
            said.push_str(&word);
        };
        let (head, tail) = text.split_at(cut);
        walk.push(head, &mut each);
        walk.push(tail, &mut each);
        walk.finish(&mut each);
        said.trim_start().to_owned()
    }

    #[test]
    fn a_walk_says_the_same_wherever_the_text_is_cut() {
        for (text, expected) in [
            (
                r#"{"a":1, "b" : "x\"y\\" }"#,
                r#"0{ 1:a 5=1 6, 8:b 14"x\"y\\"22 24|"#,
            ),
            (
                r#"[true ,null,[],{} , -1.5e3]"#,
                "0[ 1=true 6, 7=null 11, 12[ 14| 14, 15{ 17| 18, 20=-1.5e3 27|",
            ),
            ("{}\n{\"a\":[\"é\"]}\n", "0{ 2| 3{ 4:a 8[ 9\"é\"13 14| 15|"),
            (" 12 ", "1=12"),
            ("\"a\" ", "0\"a\"3"),
        ] {
            for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
                assert_eq!(said(text, cut), expected, "{text} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_only_begins_like_json_is_told_from_the_doubtful_value_on() {
        for (text, expected) in [
            ("[4111 1111]", "0[ 1!4111 1111]"),
            ("[see] this", "0[ 1!see] this"),
            ("[1] hello", "0[ 1=1 3| 4!hello"),
            ("{x", "0{ 1!x"),
            ("[1,]", "0[ 1=1 2, 3!]"),
            ("{\"a\" 1}", "0{ 1:a 5!1}"),
            ("hello", "0!hello"),
            ("[nul", "0[ 1!nul"),
            ("]", "0!]"),
            ("[1}", "0[ 1=1 2!}"),
        ] {
            let whole = said(text, 0);
            assert_eq!(whole, expected);
            for cut in 1..text.len() {
                // What comes behind is not looked at any more.
                assert!(
                    expected.starts_with(&said(text, cut)),
                    "{text} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn spaces_behind_a_number_are_not_kept_for_ever() {
        let text = format!("[1{}]", " ".repeat(1000));
        for cut in 0..text.len() {
            assert_eq!(said(&text, cut), "0[ 1=1 1003|");
        }
    }

    #[test]
    fn depth_and_names_are_bounded() {
        let deep = "[".repeat(2 * MAX_DEPTH);
        assert!(said(&deep, 0).contains(&format!(" {MAX_DEPTH}![")));
        let long = format!("{{\"{}\":1}}", "é".repeat(1000));
        assert!(said(&long, 0).len() < 300);
    }
}

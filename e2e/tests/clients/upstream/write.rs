//! How an answer is written: its pieces, escapes, lines and frames.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

/// One event of a stream: its name, if it has one, and its data.
pub(super) type Event = (Option<String>, Value);

/// An event that is named by the type in its data, as Anthropic's are and those of Responses.
pub(super) fn named(data: Value) -> Event {
    (data["type"].as_str().map(ToOwned::to_owned), data)
}

/// One way to write.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Writing {
    /// Characters of a text in one event.
    piece: usize,
    /// Bytes in one frame of HTTP.
    pub(super) frame: usize,
    line_end: String,
    /// Whether everything but ASCII is escaped.
    ascii: bool,
    /// Whether comments and empty lines stand between. No ids: once one came, OpenAI's SDK for Python takes every empty line for an event.
    comments: bool,
    /// Whether the data of an event is in several lines.
    lines: bool,
}

impl Writing {
    /// The pieces of a text, an empty one before them.
    pub(super) fn pieces(&self, text: &str) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let pieces = characters.chunks(self.piece).map(String::from_iter);
        std::iter::once(String::new()).chain(pieces).collect()
    }

    /// A value as text, which may stand in a string of another.
    pub(super) fn json(&self, value: &Value) -> String {
        self.escaped(&value.to_string())
    }

    fn escaped(&self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        let mut ascii = String::new();
        for unit in text.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => ascii.push(char::from(byte)),
                _ => write!(ascii, "\\u{unit:04x}").expect("a string takes all"),
            }
        }
        ascii
    }

    /// The events as a stream (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    pub(super) fn stream(&self, events: &[Event]) -> String {
        let mut stream = String::new();
        for (name, data) in events {
            if self.comments {
                stream.push_str(": kept alive\n\n:\n");
            }
            if let Some(name) = name {
                writeln!(stream, "event: {name}").expect("a string takes all");
            }
            let text = match data {
                Value::String(text) => text.clone(),
                data if self.lines => self.escaped(&format!("{data:#}")),
                data => self.json(data),
            };
            for line in text.lines() {
                writeln!(stream, "data: {line}").expect("a string takes all");
            }
            stream.push('\n');
        }
        stream.replace('\n', &self.line_end)
    }
}

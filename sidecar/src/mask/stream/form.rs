//! Events that are written like one before but for some values, as most of a stream are: what was read of that one is true of them too, so only those
//! values are looked at.

use std::ops::Range;

use super::{super::json::MIN_DIGITS, event::Gathered};
use crate::frame::json::walk::end_of_string;

/// So many forms are known at once: of choices or parts that take turns.
const MOST: usize = 4;
/// A longer event says something that no other does.
const LONGEST: usize = 4096;
/// An event with more values is walked over.
const MOST_VALUES: usize = 16;

/// How one event was written, and what was read of it.
pub(super) struct Form {
    text: String,
    /// What may be another in the next event, in order.
    values: Vec<Varying>,
    pub(super) gathered: Gathered,
}

/// A value that differs from event to event.
pub(super) struct Varying {
    /// Where it stands; a string without its quotes.
    pub(super) at: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A piece of a text: the mark of this index.
    Piece(usize),
    /// A string that stands for itself.
    Alone,
    /// A number of so few digits that nobody looks at it.
    Number,
}

impl Form {
    /// Of an event that is JSON as a whole and of which nothing was changed. `None` where it is too long or has too many values.
    pub(super) fn new(text: &str, values: Vec<Varying>, gathered: Gathered) -> Option<Self> {
        (text.len() <= LONGEST && values.len() <= MOST_VALUES).then(|| Self {
            text: text.to_owned(),
            values,
            gathered,
        })
    }

    /// The strings that stand for themselves.
    pub(super) fn alone(&self) -> impl Iterator<Item = &Range<usize>> {
        let is_alone = |value: &&Varying| value.kind == Kind::Alone;
        self.values.iter().filter(is_alone).map(|value| &value.at)
    }

    /// Whether `text` is written like this; from then on the form is that of `text`. All that tells what stands where is the same in both: the values
    /// end where a walk would have them end, and what stands between them is equal.
    fn fits(&mut self, text: &str) -> bool {
        if text.len() > LONGEST {
            return false;
        }
        let (bytes, known) = (text.as_bytes(), self.text.as_bytes());
        let mut places = [(0, 0); MOST_VALUES];
        let (mut at, mut done) = (0, 0);
        for (value, place) in self.values.iter().zip(&mut places) {
            let same = &known[done..value.at.start];
            if !bytes[at..].starts_with(same) {
                return false;
            }
            at += same.len();
            let end = match value.kind {
                Kind::Number => {
                    let digits = bytes[at..].iter().take(MIN_DIGITS);
                    let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
                    (1..MIN_DIGITS).contains(&count).then_some(at + count)
                }
                Kind::Piece(_) | Kind::Alone => {
                    end_of_string(&text[at..]).map(|length| at + length)
                }
            };
            let Some(end) = end else {
                return false;
            };
            *place = (at, end);
            (at, done) = (end, value.at.end);
        }
        if bytes[at..] != known[done..] {
            return false;
        }
        for (value, (start, end)) in self.values.iter_mut().zip(places) {
            value.at = start..end;
            if let Kind::Piece(mark) = value.kind {
                self.gathered.move_piece(mark, start..end);
            }
        }
        self.text.clear();
        self.text.push_str(text);
        true
    }
}

/// The forms of a stream's events, that of the last one in front.
#[derive(Default)]
pub(super) struct Forms(Vec<Form>);

impl Forms {
    /// The form that `text` is written in, if it is known.
    pub(super) fn take(&mut self, text: &str) -> Option<Form> {
        let index = self.0.iter_mut().position(|form| form.fits(text))?;
        Some(self.0.remove(index))
    }

    /// The form of the event that is read now.
    pub(super) fn put(&mut self, form: Form) {
        self.0.truncate(MOST - 1);
        self.0.insert(0, form);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        let text = r#"{"n":12,"a":"x","b":"y"}"#;
        let value = |what: &str, kind| {
            let at = text.find(what).unwrap();
            Varying {
                at: at..at + what.len(),
                kind,
            }
        };
        let values = vec![
            value("12", Kind::Number),
            value("x", Kind::Alone),
            value("y", Kind::Alone),
        ];
        Form::new(text, values, Gathered::default()).unwrap()
    }

    #[test]
    fn what_differs_in_its_values_alone_is_written_alike() {
        let mut form = form();
        for (text, alone) in [
            (r#"{"n":7,"a":"","b":"q\"z"}"#, ["", r#"q\"z"#]),
            (r#"{"n":12345678,"a":"é\\","b":"{"}"#, [r"é\\", "{"]),
            (r#"{"n":12,"a":"x","b":"y"}"#, ["x", "y"]),
        ] {
            assert!(form.fits(text), "{text}");
            let found: Vec<_> = form.alone().map(|range| &text[range.clone()]).collect();
            assert_eq!(found, alone);
        }
    }

    #[test]
    fn what_differs_otherwise_is_not() {
        let mut form = form();
        for text in [
            r#"{"n":123456789,"a":"x","b":"y"}"#,
            r#"{"n":1.5,"a":"x","b":"y"}"#,
            r#"{"n":-1,"a":"x","b":"y"}"#,
            r#"{"n":,"a":"x","b":"y"}"#,
            r#"{"n":12,"a":null,"b":"y"}"#,
            r#"{"n":12,"a":"x\","b":"y"}"#,
            r#"{"n":12,"a":"x","c":"y"}"#,
            r#"{"n":12,"a":"x","b":"y","c":1}"#,
            r#"{"n":12,"a":"x","b":"y"} "#,
            r#"{"n":12,"a":"x","b":"y""#,
            r#"{"n":12,"a":"x","b":"y"#,
            r#"{"n":12"#,
            "",
        ] {
            assert!(!form.fits(text), "{text}");
        }
        let long = format!(r#"{{"n":12,"a":"{}","b":"y"}}"#, "x".repeat(LONGEST));
        assert!(!form.fits(&long));
    }
}

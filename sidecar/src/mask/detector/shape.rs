//! Credentials that tell what they are: a prefix, and characters of one alphabet behind it.

use super::{Detect, Found, Reach, Triggers};
use crate::mask::{bytes::ByteSet, swallow::Swallow, view::View};

/// What is held back of a credential. The rest of a longer one is masked as it comes.
const MAX: usize = 1024;

/// The shape of one kind of credentials.
pub(super) struct Shape {
    pub(super) prefix: &'static str,
    /// Where in the prefix the byte stands that is looked for.
    pub(super) trigger: usize,
    pub(super) alphabet: fn(u8) -> bool,
    /// How many characters stand behind the prefix.
    pub(super) least: usize,
    /// With more than that it is something else.
    pub(super) most: usize,
}

impl Shape {
    /// A prefix, and at least so many characters behind it.
    pub(super) const fn new(
        prefix: &'static str,
        trigger: usize,
        alphabet: fn(u8) -> bool,
        least: usize,
    ) -> Self {
        Self {
            prefix,
            trigger,
            alphabet,
            least,
            most: usize::MAX,
        }
    }

    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let bytes = &view.bytes()[start..];
        let prefix = self.prefix.as_bytes();
        if bytes[0] != prefix[0] {
            return Found::Nothing;
        }
        if bytes.len() < prefix.len() {
            return if prefix.starts_with(bytes) && !view.is_last {
                Found::Open
            } else {
                Found::Nothing
            };
        }
        let Some(body) = bytes.strip_prefix(prefix) else {
            return Found::Nothing;
        };
        let most = self.most.min(MAX);
        let run = body
            .iter()
            .take(most + 1)
            .take_while(|byte| (self.alphabet)(**byte))
            .count();
        if run > most {
            return if self.most == most {
                Found::Nothing
            } else {
                Found::Long(start + prefix.len() + most, Swallow::Run(self.alphabet))
            };
        }
        if run == body.len() && !view.is_last {
            return Found::Open;
        }
        // A dot at the end is the sentence's.
        let text = &view.text[..start + prefix.len() + run];
        let end = text.trim_end_matches('.').len();
        if end < start + prefix.len() + self.least || view.is_free_after(text.len()) == Some(false)
        {
            return Found::Nothing;
        }
        Found::Value(end)
    }
}

/// Finds credentials of some shapes.
pub(super) struct Shapes {
    shapes: &'static [Shape],
    /// What stands before their triggers, but for those that begin with theirs.
    befores: ByteSet,
    /// The triggers of these.
    firsts: ByteSet,
}

impl Shapes {
    pub(super) fn new(shapes: &'static [Shape]) -> Self {
        let before = |shape: &Shape| Some(shape.prefix.as_bytes()[shape.trigger.checked_sub(1)?]);
        let first = |shape: &Shape| (shape.trigger == 0).then(|| shape.prefix.as_bytes()[0]);
        Self {
            shapes,
            befores: ByteSet::of(shapes.iter().filter_map(before)),
            firsts: ByteSet::of(shapes.iter().filter_map(first)),
        }
    }
}

impl Detect for Shapes {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if !view.is_free_before(start) {
            return Found::Nothing;
        }
        let mut longest = Found::Nothing;
        for shape in self.shapes {
            match (shape.at(view, start), &longest) {
                (Found::Open, _) => return Found::Open,
                (Found::Nothing, _) => {}
                (Found::Value(end), Found::Value(known)) if end <= *known => {}
                (Found::Value(_), Found::Long(..)) => {}
                (found, _) => longest = found,
            }
        }
        longest
    }

    fn triggers(&self) -> Vec<Triggers> {
        let bytes = self
            .shapes
            .iter()
            .map(|shape| shape.prefix.as_bytes()[shape.trigger]);
        // No prefix has two digits beside one another before its trigger.
        vec![Triggers {
            is_number: true,
            ..Triggers::bytes(ByteSet::of(bytes))
        }]
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        let bytes = view.bytes();
        let (byte, before) = (bytes[trigger], view.byte_before(trigger));
        // Most places are told by the byte before them.
        if !before.is_some_and(|before| self.befores.has(before)) && !self.firsts.has(byte) {
            return None;
        }
        self.shapes
            .iter()
            .filter(|shape| {
                let prefix = &shape.prefix.as_bytes()[..=shape.trigger];
                // The last two first: most are told by them.
                prefix[shape.trigger] == byte
                    && (shape.trigger == 0 || Some(prefix[shape.trigger - 1]) == before)
                    && bytes[..=trigger].ends_with(prefix)
            })
            .map(|shape| trigger - shape.trigger)
            .find(|start| view.is_free_before(*start))
    }

    fn reach(&self) -> Reach {
        let bytes = self.shapes.iter().map(|shape| shape.trigger).max();
        let heads = self.shapes.iter().map(|shape| shape.prefix.as_bytes()[0]);
        Reach::bytes(bytes.unwrap_or(0), ByteSet::of(heads))
    }
}

/// Letters and digits.
pub(super) fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// RFC 4648 section 6, in capitals.
pub(super) fn base32(byte: u8) -> bool {
    matches!(byte, b'A'..=b'Z' | b'2'..=b'7')
}

/// RFC 4648 section 4.
pub(super) fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// RFC 4648 section 5.
pub(super) fn base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Letters, digits and underscores.
pub(super) fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// As of RFC 4648 section 5, in parts with dots between them.
pub(super) fn dotted(byte: u8) -> bool {
    base64url(byte) || byte == b'.'
}

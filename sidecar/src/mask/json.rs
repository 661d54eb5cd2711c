//! A JSON text that comes in pieces: each of its strings is a text of its own, masked as what it stands for, and so is every long number.

use std::sync::Arc;

use super::{
    Masker, Text,
    change::Change,
    layer::{self, Layer, finish_plain, push_plain},
    map::Map,
};
use crate::frame::json::walk::{Step, Walk};
use escape::{Unescape, escaped, unescaped};

mod escape;
mod fields;

pub(super) use escape::{escaped as escaped_text, unescaped as unescaped_text};
pub(super) use fields::{Fields, Rules};

/// Numbers with fewer digits are nobody's: a number of social security has nine.
pub(super) const MIN_DIGITS: usize = 9;

/// One JSON text.
pub(super) struct Json {
    masker: Arc<Masker>,
    depth: usize,
    walk: Walk,
    fields: Option<Fields>,
    /// The string that is being read.
    value: Option<Value>,
    /// What is no JSON any more.
    behind: Option<Behind>,
}

/// What stands behind the JSON that there was.
enum Behind {
    /// Text, from this place on.
    Plain(Box<Text>, u64),
    /// More of a member that is masked whole, and how much of the text that was so far.
    Hidden(u64),
}

/// One string in it.
pub(super) struct Value {
    layer: Layer,
    unescape: Unescape,
    /// From what the string stands for to the text around it.
    map: Map,
    /// Bytes that it stands for so far.
    length: u64,
}

impl Json {
    /// A text inside of `depth` others, with members that are masked whole.
    pub(super) fn new(masker: Arc<Masker>, depth: usize, rules: Option<Rules>) -> Self {
        Self {
            masker,
            depth,
            walk: Walk::new(),
            fields: rules.and_then(Fields::new),
            value: None,
            behind: None,
        }
    }

    /// Reads on; appends what is settled.
    pub(super) fn push(&mut self, text: &str, changes: &mut Vec<Change>) {
        match &mut self.behind {
            None => self.walk(|walk, each| walk.push(text, each), changes),
            Some(Behind::Plain(plain, base)) => push_plain(plain, text, *base, changes),
            Some(Behind::Hidden(from)) => {
                let end = *from + text.len() as u64;
                changes.push(Change::cut(*from..end));
                *from = end;
            }
        }
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        if self.behind.is_none() {
            self.walk(|walk, each| walk.finish(each), changes);
        }
        if let Some(value) = &mut self.value.take() {
            value.finish(self.walk.settled(), changes);
        }
        if let Some(Behind::Plain(plain, base)) = &mut self.behind {
            finish_plain(plain, *base, changes);
        }
    }

    /// All input before this is final.
    pub(super) fn settled(&self) -> u64 {
        match &self.behind {
            None => {}
            Some(Behind::Plain(plain, base)) => return base + plain.settled(),
            Some(Behind::Hidden(from)) => return *from,
        }
        let walked = self.walk.settled();
        match (&self.value, &self.fields) {
            (Some(value), _) => value.settled(walked),
            (None, Some(fields)) => fields.settled(walked),
            (None, None) => walked,
        }
    }

    fn walk(
        &mut self,
        go: impl FnOnce(&mut Walk, &mut dyn FnMut(Step<'_>)),
        changes: &mut Vec<Change>,
    ) {
        let Self {
            masker,
            depth,
            walk,
            fields,
            value,
            behind,
        } = self;
        go(walk, &mut |step| {
            let is_hidden = fields
                .as_mut()
                .is_some_and(|fields| fields.step(&step, changes));
            match step {
                Step::Broken { at, before, rest } if is_hidden => {
                    *behind = Some(Behind::Hidden(at + (before.len() + rest.len()) as u64));
                }
                _ if is_hidden => {}
                Step::Piece {
                    at,
                    raw,
                    ends: true,
                } if value.is_none() => string(masker, *depth + 1, raw, at, changes),
                Step::Piece { at, raw, .. } => {
                    let new = || Value::new(Layer::new(Arc::clone(masker), *depth + 1), at);
                    value.get_or_insert_with(new).push(raw, at, changes);
                }
                Step::End { end } => {
                    if let Some(mut value) = value.take() {
                        value.finish(end - 1, changes);
                    }
                }
                Step::Bare { at, text } => changes.extend(number(masker, at, text)),
                Step::Broken { at, before, rest } => {
                    let mut plain = Text::new(Arc::clone(masker));
                    push_plain(&mut plain, before, at, changes);
                    push_plain(&mut plain, rest, at, changes);
                    *behind = Some(Behind::Plain(Box::new(plain), at));
                }
                Step::Open { .. }
                | Step::Close { .. }
                | Step::Comma { .. }
                | Step::Name { .. }
                | Step::Begin { .. } => {}
            }
        });
        if let Some(fields) = fields
            && behind.is_none()
        {
            fields.flush(walk.settled(), changes);
        }
    }
}

impl Value {
    /// A string whose text is `layer`, and whose first byte stands at `at`.
    fn new(layer: Layer, at: u64) -> Self {
        Self {
            layer,
            unescape: Unescape::default(),
            map: Map::new(0, at),
            length: 0,
        }
    }

    /// Reads on: `raw` stands at `at`.
    fn push(&mut self, raw: &str, at: u64, changes: &mut Vec<Change>) {
        if self.unescape.is_between() && !raw.contains('\\') {
            self.map.turn(self.length, at);
            self.text(raw, changes);
            return;
        }
        let mut text = String::with_capacity(raw.len());
        self.unescape
            .push(raw, at, self.length, &mut text, &mut self.map);
        self.text(&text, changes);
    }

    fn text(&mut self, text: &str, changes: &mut Vec<Change>) {
        self.length += text.len() as u64;
        let first = changes.len();
        self.layer.push(text, changes);
        place(&self.map, &mut changes[first..]);
        self.map.forget(self.layer.settled());
    }

    /// The string ends before `end`.
    fn finish(&mut self, end: u64, changes: &mut Vec<Change>) {
        let mut text = String::new();
        self.unescape
            .finish(end, self.length, &mut text, &mut self.map);
        if !text.is_empty() {
            self.text(&text, changes);
        }
        let first = changes.len();
        self.layer.finish(changes);
        place(&self.map, &mut changes[first..]);
    }

    /// Up to where the text around it is settled, of which `walked` came.
    fn settled(&self, walked: u64) -> u64 {
        let settled = self.layer.settled();
        if settled == self.length && self.unescape.is_between() {
            walked
        } else {
            self.map.raw(settled)
        }
    }
}

/// Makes changes of a string into changes of the text around it.
fn place(map: &Map, changes: &mut [Change]) {
    for change in changes {
        change.range = map.raw(change.range.start)..map.raw(change.range.end);
        change.by = escaped(&change.by);
    }
}

/// Appends the changes of a string inside of `depth` texts that is there as a whole: `raw`, which stands at `at`.
pub(super) fn string(
    masker: &Arc<Masker>,
    depth: usize,
    raw: &str,
    at: u64,
    changes: &mut Vec<Change>,
) {
    let (text, map) = unescaped(raw, at);
    let first = changes.len();
    layer::whole(masker, depth, &text, changes);
    place(&map, &mut changes[first..]);
}

/// What becomes of a bare value at `at`: a number that is masked becomes a string.
pub(super) fn number(masker: &Masker, at: u64, text: &str) -> Vec<Change> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() < MIN_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    layer::plain(masker, text, at, &mut changes);
    if !changes.iter().any(|change| change.applies) {
        return changes;
    }
    // All of it is written anew, in the first change; the others are counted.
    let (mut written, mut from) = ("\"".to_owned(), 0);
    for change in changes.iter_mut().filter(|change| change.applies) {
        let start = (change.range.start - at) as usize;
        written.push_str(&text[from..start]);
        written.push_str(&escaped(&change.by));
        from = (change.range.end - at) as usize;
    }
    written.push_str(&text[from..]);
    written.push('"');
    let end = at + text.len() as u64;
    let mut whole = Some(Change {
        range: at..end,
        by: written,
        what: None,
        applies: true,
    });
    for change in &mut changes {
        match whole.take_if(|_| change.applies) {
            Some(whole) => {
                change.range = whole.range;
                change.by = whole.by;
            }
            None => {
                change.range = end..end;
                change.by.clear();
            }
        }
    }
    changes
}

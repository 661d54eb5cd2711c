//! The masks of one call: its body, whole, after it was decided about.
//!
//! The texts of a body are the strings of its JSON, as what they stand for, with JSON inside of them; but not what [`kept`] names. What cannot be
//! read in one way only is not sent. *Not masked:* names of members, the path, the query and headers.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use postern_crds::provider::Dialect;

use super::{
    Masker, Masks,
    body::{Kind, framing},
    change::Change,
    counts::Counts,
    json::{Fields, escaped_text, number, unescaped_text},
    layer::Layer,
    stream::Framing,
};
use crate::{
    access::Masked,
    dialect::{Unreadable, encoding, json},
    frame::json::{
        Paths,
        walk::{Step, Walk},
    },
};
use kept::Kept;

mod kept;
#[cfg(test)]
mod tests;

/// What becomes of a call's body.
pub(crate) struct Sent {
    /// The body that is sent; `None` where it is the one that came.
    pub(crate) body: Option<Bytes>,
    /// What was masked in it.
    pub(crate) masked: Vec<Masked>,
    /// What puts values back into the answer, if any are to be put back.
    pub(crate) restoring: Option<Arc<Masker>>,
}

/// Why a call cannot be masked, and so is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsendable {
    /// Nobody knows what stands in a body of this type, or in this charset.
    #[error("its Content-Type is none whose text is known")]
    Type,
    /// Its encoding cannot be taken off.
    #[error(transparent)]
    Encoding(#[from] encoding::Error),
    /// It is longer than what is read.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// It is not the text that its type says, or can be read in more than one way.
    #[error(transparent)]
    Text(#[from] Unreadable),
    /// Masked, it would be another call than the one that was decided about.
    #[error("masked, it would ask for something else than what was allowed")]
    Meaning,
}

/// Masks `body`, which has no encoding, of a call of `dialect`.
///
/// # Errors
/// [`Unsendable`].
pub(crate) fn request(
    masks: &Masks,
    dialect: Dialect,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Sent, Unsendable> {
    let text = std::str::from_utf8(body).map_err(|_| Unsendable::Type)?;
    let masker = if masks.restores {
        Arc::new(masks.masker.noting())
    } else {
        Arc::clone(&masks.masker)
    };
    let changes = match kind(dialect, headers, body)? {
        Framing::Text => of_text(&masker, text, 0),
        _ => {
            let reading = Reading::new(&masker, kept::of(dialect), 0);
            // What all parsers read as JSON was walked over to its end.
            let fields = Fields::new(masks.rules.clone());
            reading.walk(text, fields).ok_or(Unsendable::Type)?
        }
    };
    let is_changed = changes.iter().any(|change| change.applies);
    let mut counts = Counts::default();
    for change in &changes {
        counts.add(change);
    }
    Ok(Sent {
        body: is_changed.then(|| changed(text, &changes).into()),
        masked: counts.take(&masker),
        restoring: masker.restoring().map(Arc::new),
    })
}

/// How the text of a call's body is framed: as JSON, as JSON on lines, or not at all.
fn kind(dialect: Dialect, headers: &HeaderMap, body: &[u8]) -> Result<Framing, Unsendable> {
    // Its server reads any type as JSON.
    if dialect == Dialect::Ollama {
        strict(body)?;
        return Ok(Framing::Json);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(media_type) = types.next() else {
        // Servers take it for JSON, or refuse it.
        strict(body)?;
        return Ok(Framing::Json);
    };
    let media_type = media_type.to_str().map_err(|_| Unsendable::Type)?;
    let charset = media_type
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let is_utf8 = |(_, value): (&str, &str)| {
        let value = value.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"]
            .iter()
            .any(|known| value.eq_ignore_ascii_case(known))
    };
    // A list would be two types in one header, of which servers take either.
    if media_type.contains(',') || !charset.into_iter().all(is_utf8) {
        return Err(Unsendable::Type);
    }
    match framing(headers, dialect, false) {
        Kind::Text(Framing::Json) => {
            strict(body)?;
            Ok(Framing::Json)
        }
        Kind::Text(Framing::Lines) => {
            for line in body.split(|byte| *byte == b'\n') {
                if !line.trim_ascii().is_empty() {
                    strict(line)?;
                }
            }
            Ok(Framing::Lines)
        }
        Kind::Text(Framing::Text) => Ok(Framing::Text),
        Kind::Text(_) | Kind::Media | Kind::Unknown => Err(Unsendable::Type),
    }
}

/// Demands one JSON document that all parsers read alike.
fn strict(document: &[u8]) -> Result<(), Unsendable> {
    Ok(json::read(document, |_| Ok(()))?)
}

/// JSON in a string in JSON in a string is read; what is deeper is masked as it stands.
const MAX_LAYERS: usize = 4;

/// What is changed in a text inside of `depth` others: in the strings of it where it is JSON, in all of it where it is none.
fn of_text(masker: &Arc<Masker>, text: &str, depth: usize) -> Vec<Change> {
    if depth >= MAX_LAYERS || !text.trim_ascii_start().starts_with(['{', '[']) {
        return through(Layer::plain(Arc::clone(masker)), text);
    }
    let reading = Reading::new(masker, kept::nothing(), depth);
    reading
        .walk(text, None)
        .unwrap_or_else(|| of_broken_json(masker, text))
}

/// What is changed in a text that begins like JSON and is none, or was cut off: it is read as both, so that neither an escape nor a quote that is
/// missing hides a value.
fn of_broken_json(masker: &Arc<Masker>, text: &str) -> Vec<Change> {
    let mut changes = through(Layer::new(Arc::clone(masker), 0), text);
    let once = changed(text, &changes);
    let more = through(Layer::plain(Arc::clone(masker)), &once);
    let more: Vec<Change> = more.into_iter().filter(|change| change.applies).collect();
    if more.is_empty() {
        return changes;
    }
    // All of it is written anew; what was found is counted.
    let end = text.len() as u64;
    let whole = Change {
        range: 0..end,
        by: changed(&once, &more),
        what: None,
        applies: true,
    };
    changes.extend(more);
    for change in changes.iter_mut().filter(|change| change.applies) {
        change.range = end..end;
        change.by.clear();
    }
    changes.insert(0, whole);
    changes
}

/// What is changed in all of `text`.
fn through(mut layer: Layer, text: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    layer.push(text, &mut changes);
    layer.finish(&mut changes);
    changes
}

/// What `changes` make of `text`.
fn changed(text: &str, changes: &[Change]) -> String {
    let mut changes: Vec<&Change> = changes.iter().filter(|change| change.applies).collect();
    changes.sort_by_key(|change| (change.range.start, change.range.end));
    let place = |place: u64| usize::try_from(place).expect("the text is in memory");
    let mut written = String::with_capacity(text.len());
    let mut from = 0;
    for change in changes {
        // Two changes of one place do not happen; were they to, nothing of either is sent.
        let start = place(change.range.start).max(from);
        written.push_str(&text[from..start]);
        written.push_str(&change.by);
        from = place(change.range.end).max(start);
    }
    written.push_str(&text[from..]);
    written
}

/// A walk over JSON, one document or several.
struct Reading<'a> {
    masker: &'a Arc<Masker>,
    kept: &'static Paths<Kept>,
    /// How many texts it is inside of.
    depth: usize,
    /// The containers that are open.
    open: Vec<Level>,
    /// The value that comes next.
    next: Place,
    changes: Vec<Change>,
    is_broken: bool,
}

struct Level {
    place: Place,
    is_object: bool,
}

/// What is known of the place of a value.
#[derive(Clone, Copy)]
enum Place {
    /// Nothing: it is masked.
    Any,
    /// A node of the table.
    Node(usize),
    /// In something of which these members are kept, and whether it is one of them.
    Within(&'static [&'static str], bool),
}

impl<'a> Reading<'a> {
    /// Of JSON inside of `depth` other texts, of which this is kept.
    fn new(masker: &'a Arc<Masker>, kept: &'static Paths<Kept>, depth: usize) -> Self {
        Self {
            masker,
            kept,
            depth,
            open: Vec::new(),
            next: Place::Node(Paths::<Kept>::ROOT),
            changes: Vec::new(),
            is_broken: false,
        }
    }

    /// What is changed in `text`; `None` where it is no JSON, or not to its end.
    fn walk(mut self, text: &str, mut fields: Option<Fields>) -> Option<Vec<Change>> {
        let mut walk = Walk::new();
        let mut each = |step: Step<'_>| {
            let is_hidden = fields
                .as_mut()
                .is_some_and(|fields| fields.step(&step, &mut self.changes));
            self.step(&step, is_hidden);
        };
        walk.push(text, &mut each);
        walk.finish(&mut each);
        (!self.is_broken && self.open.is_empty()).then_some(self.changes)
    }

    fn step(&mut self, step: &Step<'_>, is_hidden: bool) {
        match *step {
            Step::Open { is_object, .. } => {
                let place = match self.next {
                    Place::Node(node) => match self.kept.value(node) {
                        Some(Kept::Within(names)) => Place::Within(names, false),
                        Some(Kept::Call) => Place::Node(Paths::<Kept>::ROOT),
                        Some(Kept::Value) | None => Place::Node(node),
                    },
                    next => next,
                };
                self.open.push(Level { place, is_object });
                self.element();
            }
            Step::Close { .. } => {
                self.open.pop();
                if self.open.is_empty() {
                    self.next = Place::Node(Paths::<Kept>::ROOT);
                }
            }
            Step::Comma { .. } => self.element(),
            Step::Name { name, .. } => {
                let object = self.open.last().map_or(Place::Any, |level| level.place);
                self.next = match object {
                    Place::Any => Place::Any,
                    Place::Node(node) => self.child(node, name),
                    Place::Within(names, _) => Place::Within(names, names.contains(&name)),
                };
            }
            _ if is_hidden => {}
            // All of it is there, so a string has one piece, or none.
            Step::Piece { at, raw, .. } => {
                if !self.is_kept() {
                    self.string(at, raw);
                }
            }
            Step::Begin { .. } | Step::End { .. } => {}
            Step::Bare { at, text } => {
                if !self.is_kept() && !self.is_within() {
                    self.changes.extend(number(self.masker, at, text));
                }
            }
            Step::Broken { .. } => self.is_broken = true,
        }
    }

    /// A string that is masked, as `raw` writes it at `at`.
    fn string(&mut self, at: u64, raw: &str) {
        let (text, map) = unescaped_text(raw, at);
        for mut change in of_text(self.masker, &text, self.depth + 1) {
            change.range = map.raw(change.range.start)..map.raw(change.range.end);
            change.by = escaped_text(&change.by);
            self.changes.push(change);
        }
    }

    /// In an array the next element is about to come.
    fn element(&mut self) {
        if let Some(level) = self.open.last()
            && !level.is_object
        {
            self.next = match level.place {
                Place::Node(node) => self.child(node, "*"),
                place => place,
            };
        }
    }

    fn child(&self, node: usize, name: &str) -> Place {
        let child = |name: &str| self.kept.child(node, name.as_bytes());
        let child = child(name).or_else(|| child(&in_camel_case(name)?));
        child.map_or(Place::Any, Place::Node)
    }

    /// Whether numbers stay as they are.
    fn is_within(&self) -> bool {
        match self.next {
            Place::Any => false,
            Place::Node(node) => matches!(self.kept.value(node), Some(Kept::Within(_))),
            Place::Within(..) => true,
        }
    }

    /// Whether the value that comes next stays as it is.
    fn is_kept(&self) -> bool {
        match self.next {
            Place::Any => false,
            Place::Node(node) => self.kept.value(node) == Some(Kept::Value),
            Place::Within(_, is_kept) => is_kept,
        }
    }
}

/// `inline_data` as `inlineData`: protobuf's JSON has both. `None` where it is the same.
fn in_camel_case(name: &str) -> Option<String> {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let mut camel = words.next()?.to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1)?;
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    (camel != name).then_some(camel)
}

//! A text that may be JSON: where it is, its strings are masked as what they stand for; where it is not, or not any more, as it is.
//!
//! The arguments of a tool, and answers that follow a schema, are JSON inside of a string of JSON. What looks for an address of mail in `"\u0040"`
//! has to read both.

use std::sync::Arc;

use super::{
    Edit, Masker, Text,
    change::Change,
    json::{Json, Rules},
};

/// JSON in a string in JSON in a string is read; what is deeper is masked as it stands.
const MAX_LAYERS: usize = 4;
/// White space that a text may begin with before it is taken as plain.
const MAX_SPACE: usize = 64;

/// One text that comes in pieces. Like [`Text`], it hands out changes in order, and says up to where they are all.
pub(super) struct Layer {
    masker: Arc<Masker>,
    /// How many texts it is inside of.
    depth: usize,
    kind: Kind,
}

enum Kind {
    /// Nothing but this white space came yet.
    Undecided(String),
    Plain(Text),
    Json(Box<Json>),
}

impl Layer {
    /// A text inside of `depth` others.
    pub(super) fn new(masker: Arc<Masker>, depth: usize) -> Self {
        let kind = if depth < MAX_LAYERS {
            Kind::Undecided(String::new())
        } else {
            Kind::Plain(Text::new(Arc::clone(&masker)))
        };
        Self {
            masker,
            depth,
            kind,
        }
    }

    /// A text that is no JSON, whatever it begins with.
    pub(super) fn plain(masker: Arc<Masker>) -> Self {
        Self::new(masker, MAX_LAYERS)
    }

    /// JSON, whatever it begins with, with members that are masked whole.
    pub(super) fn json(masker: Arc<Masker>, rules: Rules) -> Self {
        let json = Json::new(Arc::clone(&masker), 0, Some(rules));
        Self {
            masker,
            depth: 0,
            kind: Kind::Json(Box::new(json)),
        }
    }

    /// Reads on; appends what is settled.
    pub(super) fn push(&mut self, text: &str, changes: &mut Vec<Change>) {
        if let Kind::Undecided(space) = &mut self.kind {
            let begins = text.bytes().find(|byte| !byte.is_ascii_whitespace());
            let room = MAX_SPACE.saturating_sub(space.len());
            let kind = match begins {
                None if text.len() <= room => {
                    space.push_str(text);
                    return;
                }
                Some(b'{' | b'[') => {
                    let json = Json::new(Arc::clone(&self.masker), self.depth, None);
                    Kind::Json(Box::new(json))
                }
                _ => Kind::Plain(Text::new(Arc::clone(&self.masker))),
            };
            let space = std::mem::take(space);
            self.kind = kind;
            if !space.is_empty() {
                self.push(&space, changes);
            }
        }
        match &mut self.kind {
            Kind::Undecided(_) => {}
            Kind::Plain(plain) => push_plain(plain, text, 0, changes),
            Kind::Json(json) => json.push(text, changes),
        }
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, changes: &mut Vec<Change>) {
        match &mut self.kind {
            Kind::Undecided(space) => {
                let space = std::mem::take(space);
                let mut plain = Text::new(Arc::clone(&self.masker));
                push_plain(&mut plain, &space, 0, changes);
                finish_plain(&mut plain, 0, changes);
                self.kind = Kind::Plain(plain);
            }
            Kind::Plain(plain) => finish_plain(plain, 0, changes),
            Kind::Json(json) => json.finish(changes),
        }
    }

    /// All input before this is final.
    pub(super) fn settled(&self) -> u64 {
        match &self.kind {
            Kind::Undecided(_) => 0,
            Kind::Plain(plain) => plain.settled(),
            Kind::Json(json) => json.settled(),
        }
    }
}

/// Pushes into a plain text that begins at `base`.
pub(super) fn push_plain(plain: &mut Text, text: &str, base: u64, changes: &mut Vec<Change>) {
    let mut edits = Vec::new();
    plain.push(text, &mut edits);
    append(edits, base, changes);
}

/// Finishes a plain text that begins at `base`.
pub(super) fn finish_plain(plain: &mut Text, base: u64, changes: &mut Vec<Change>) {
    let mut edits = Vec::new();
    plain.finish(&mut edits);
    append(edits, base, changes);
}

fn append(edits: Vec<Edit>, base: u64, changes: &mut Vec<Change>) {
    changes.extend(edits.into_iter().map(|edit| {
        let mut change = Change::from(edit);
        change.range = base + change.range.start..base + change.range.end;
        change
    }));
}

//! A text that may be JSON: where it is, its strings are masked as what they stand for; where it is not, or not any more, as it is.
//!
//! The arguments of a tool, and answers that follow a schema, are JSON inside of a string of JSON. What looks for an address of mail in `"\u0040"`
//! has to read both.

use std::sync::Arc;

use super::{
    Edit, Masker, Text,
    change::Change,
    json::{Json, Rules},
    text,
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
            let kind = match begins(space.len(), text) {
                None => {
                    space.push_str(text);
                    return;
                }
                Some(Begins::Json) => {
                    let json = Json::new(Arc::clone(&self.masker), self.depth, None);
                    Kind::Json(Box::new(json))
                }
                Some(Begins::Plain) => Kind::Plain(Text::new(Arc::clone(&self.masker))),
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

/// What a text is, by its begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Json,
    Plain,
}

/// How `text` begins, behind so much white space; `None` where more has to come.
fn begins(space: usize, text: &str) -> Option<Begins> {
    let more = text.len() - text.trim_ascii_start().len();
    match text.as_bytes().get(more) {
        _ if space + more > MAX_SPACE => Some(Begins::Plain),
        None => None,
        Some(b'{' | b'[') => Some(Begins::Json),
        Some(_) => Some(Begins::Plain),
    }
}

/// Appends the changes of a text that is there as a whole, inside of `depth` others: what a [`Layer`] would say of it.
pub(super) fn whole(masker: &Arc<Masker>, depth: usize, text: &str, changes: &mut Vec<Change>) {
    if depth < MAX_LAYERS && begins(0, text) == Some(Begins::Json) {
        let mut json = Json::new(Arc::clone(masker), depth, None);
        json.push(text, changes);
        json.finish(changes);
    } else {
        plain(masker, text, 0, changes);
    }
}

/// Appends the changes of a plain text that is there as a whole and begins at `base`.
pub(super) fn plain(masker: &Masker, text: &str, base: u64, changes: &mut Vec<Change>) {
    let mut edits = Vec::new();
    text::whole(masker, text, &mut edits);
    append(edits, base, changes);
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

#[cfg(test)]
mod tests {
    use postern_crds::{egress_policy::Detector, policy::Masked};

    use super::*;
    use crate::mask::tests::{item, masker};

    #[test]
    fn what_a_text_is_does_not_depend_on_where_its_white_space_is_cut() {
        let masker = masker(vec![item(Masked::Detector(Detector::Email))]);
        for (space, is_json) in [(0, true), (MAX_SPACE, true), (MAX_SPACE + 1, false)] {
            let text = format!("{}{{\"a\":\"b\\u0040example.com\"}}", " ".repeat(space));
            let mut all = Vec::new();
            whole(&masker, 1, &text, &mut all);
            assert_eq!(all.len(), usize::from(is_json));
            for cut in 0..=text.len() {
                let mut layer = Layer::new(Arc::clone(&masker), 1);
                let mut changes = Vec::new();
                layer.push(&text[..cut], &mut changes);
                layer.push(&text[cut..], &mut changes);
                layer.finish(&mut changes);
                assert_eq!(changes, all);
            }
        }
    }
}

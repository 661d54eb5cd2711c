//! Members that are masked whole, wherever they stand in a JSON text: those that a policy names, and `logprobs`, which say a text again.

use std::sync::Arc;

use postern_crds::{
    egress_policy::FieldAction,
    policy::{Field, Step as PathStep},
};

use crate::{
    frame::json::walk::Step,
    mask::{
        change::{Change, What},
        json::escape::unescaped,
    },
};

/// What stands in the place of a masked member.
const LABEL: &str = "\"[FIELD]\"";

/// Members that repeat the text token by token: OpenAI's, in chat, completions and Responses, and those of all that speak its format
/// (<https://platform.openai.com/docs/api-reference/chat/object>), and Gemini's (<https://ai.google.dev/api/generate-content#LogprobsResult>).
const REPEATING: [&str; 2] = ["logprobs", "logprobsResult"];

/// Which members are masked whole.
#[derive(Clone, Debug)]
pub(in crate::mask) struct Rules {
    pub(in crate::mask) fields: Arc<[Field]>,
    /// Whether [`REPEATING`] members are emptied.
    pub(in crate::mask) empties: bool,
}

/// Finds them along a walk.
#[derive(Debug)]
pub(in crate::mask) struct Fields {
    rules: Rules,
    /// Some rule leaves members out.
    drops: bool,
    open: Vec<Level>,
    /// The rules whose path leads to the value that comes next, or past it; by their index.
    next: Vec<usize>,
    /// The value that comes next has a repeating name.
    repeats: bool,
    hidden: Option<Hidden>,
    /// What is settled where members may be left out: a comma is only once the name behind it is known.
    done: u64,
}

/// A container.
#[derive(Debug)]
struct Level {
    is_object: bool,
    /// The rules whose path leads into it.
    rules: Vec<usize>,
    /// The comma before the member that comes next, if one is kept before it.
    comma: Option<u64>,
    /// The end of what was left out where nothing is kept before it: the comma behind goes too.
    left_out: Option<u64>,
    keeps_some: bool,
}

/// A value of which nothing more is passed on.
#[derive(Debug)]
struct Hidden {
    /// How many containers were open when it began.
    depth: usize,
    /// What comes after this is still to be cut.
    from: u64,
    /// The member is left out, name and all.
    is_member: bool,
}

impl Fields {
    /// At the beginning of a text; `None` where nothing is looked for.
    pub(in crate::mask) fn new(rules: Rules) -> Option<Self> {
        if rules.fields.is_empty() && !rules.empties {
            return None;
        }
        let drops = rules
            .fields
            .iter()
            .any(|field| field.enforce && field.action == FieldAction::Drop);
        Some(Self {
            rules,
            drops,
            open: Vec::new(),
            next: Vec::new(),
            repeats: false,
            hidden: None,
            done: 0,
        })
    }

    /// How far the text is settled, of what was walked over up to `walked`.
    pub(in crate::mask) fn settled(&self, walked: u64) -> u64 {
        if self.drops && self.hidden.is_none() {
            self.done.min(walked)
        } else {
            walked
        }
    }

    /// Takes note of a step, and says whether it belongs to a value that is hidden.
    pub(in crate::mask) fn step(&mut self, step: &Step<'_>, changes: &mut Vec<Change>) -> bool {
        match *step {
            Step::Open { at, is_object } => {
                let was_hidden = self.hidden.is_some();
                self.begins(at, Some(is_object), changes);
                let rules = if was_hidden {
                    Vec::new()
                } else {
                    std::mem::take(&mut self.next)
                };
                self.open.push(Level {
                    is_object,
                    rules,
                    comma: None,
                    left_out: None,
                    keeps_some: false,
                });
                self.element();
                self.done = at + 1;
                self.hidden.is_some()
            }
            Step::Name { at, name } => {
                self.named(at, name, changes);
                self.hidden.is_some()
            }
            Step::Begin { at } => {
                self.begins(at, None, changes);
                self.hidden.is_some()
            }
            Step::Bare { at, text } => {
                let end = at + text.len() as u64;
                if text != "null" {
                    self.begins(at, None, changes);
                }
                self.ends(end, changes)
            }
            Step::Piece { .. } => self.hidden.is_some(),
            Step::End { end } => self.ends(end, changes),
            Step::Close { end } => {
                self.open.pop();
                self.ends(end, changes)
            }
            Step::Comma { at } => {
                self.comma(at, changes);
                self.hidden.is_some()
            }
            // What is hidden has no end then, and nothing behind it is passed on.
            Step::Broken { at, before, rest } => {
                self.done = at;
                self.flush(at + (before.len() + rest.len()) as u64, changes);
                self.hidden.is_some()
            }
        }
    }

    /// Cuts what was walked over of a hidden value.
    pub(in crate::mask) fn flush(&mut self, walked: u64, changes: &mut Vec<Change>) {
        if let Some(hidden) = &mut self.hidden
            && hidden.from < walked
        {
            changes.push(Change::cut(hidden.from..walked));
            hidden.from = walked;
        }
    }

    /// In an array the next element is about to come.
    fn element(&mut self) {
        self.next.clear();
        self.repeats = false;
        if let Some(level) = self.open.last()
            && !level.is_object
        {
            let index = self.open.len() - 1;
            let fits =
                |rule: &&usize| self.rules.fields[**rule].path.get(index) == Some(&PathStep::Every);
            self.next.extend(level.rules.iter().filter(fits));
        }
    }

    fn named(&mut self, at: u64, name: &str, changes: &mut Vec<Change>) {
        let Some(level) = self.open.last_mut() else {
            return;
        };
        if self.hidden.is_some() {
            return;
        }
        self.next.clear();
        self.repeats = self.rules.empties && REPEATING.contains(&name);
        if !level.rules.is_empty() {
            self.follow(name);
        }
        let index = self.open.len();
        let dropped = self.next.iter().copied().find(|rule| {
            let field = &self.rules.fields[*rule];
            field.action == FieldAction::Drop && field.path.len() == index
        });
        let Some(rule) = dropped else {
            self.done = at;
            return;
        };
        let enforce = self.rules.fields[rule].enforce;
        let comma = self.open.last().and_then(|level| level.comma);
        let from = if enforce { comma.unwrap_or(at) } else { at };
        changes.push(Change {
            range: from..from,
            by: String::new(),
            what: Some(What::Field),
            applies: enforce,
        });
        if enforce {
            self.hidden = Some(Hidden {
                depth: index,
                from,
                is_member: true,
            });
        }
        self.done = at;
    }

    /// The rules that lead on by `name`.
    fn follow(&mut self, name: &str) {
        let (name, _) = unescaped(name, 0);
        let index = self.open.len() - 1;
        let fits = |rule: &usize| matches!(self.rules.fields[*rule].path.get(index), Some(PathStep::Name(step)) if *step == name);
        self.next
            .extend(self.open[index].rules.iter().copied().filter(fits));
    }

    /// A value begins at `at`; `is_object` says which container it is, if it is one.
    fn begins(&mut self, at: u64, is_object: Option<bool>, changes: &mut Vec<Change>) {
        if self.hidden.is_some() {
            return;
        }
        if self.open.is_empty() {
            // The outermost value: all rules lead into it.
            self.next = (0..self.rules.fields.len()).collect();
            return;
        }
        let index = self.open.len();
        let masked = self.next.iter().copied().find(|rule| {
            let field = &self.rules.fields[*rule];
            field.action == FieldAction::Mask && field.path.len() == index
        });
        let (by, what, applies) = match (masked, is_object) {
            (Some(rule), _) => (LABEL, Some(What::Field), self.rules.fields[rule].enforce),
            (None, Some(true)) if self.repeats => ("null", None, true),
            (None, Some(false)) if self.repeats => ("[]", None, true),
            _ => return,
        };
        let end = if applies { at + 1 } else { at };
        changes.push(Change {
            range: at..end,
            by: by.to_owned(),
            what,
            applies,
        });
        if applies {
            self.hidden = Some(Hidden {
                depth: index,
                from: end,
                is_member: false,
            });
        }
    }

    /// A value ended before `end`. Says whether it is hidden.
    fn ends(&mut self, end: u64, changes: &mut Vec<Change>) -> bool {
        let was_hidden = self.hidden.is_some();
        let depth = self.open.len();
        let is_left_out = match &self.hidden {
            Some(hidden) if hidden.depth == depth => {
                let is_member = hidden.is_member;
                self.flush(end, changes);
                self.hidden = None;
                is_member
            }
            Some(_) => return true,
            None => false,
        };
        self.done = end;
        if let Some(level) = self.open.last_mut() {
            if !is_left_out {
                level.keeps_some = true;
            } else if !level.keeps_some {
                level.left_out = Some(end);
            }
            level.comma = None;
        }
        was_hidden
    }

    fn comma(&mut self, at: u64, changes: &mut Vec<Change>) {
        if self.hidden.is_some() {
            return;
        }
        if let Some(level) = self.open.last_mut() {
            match level.left_out.take() {
                Some(end) => changes.push(Change::cut(end..at + 1)),
                None => level.comma = level.is_object.then_some(at),
            }
        }
        self.element();
    }
}

//! One event's text: what of it goes on from the events before, what ends, and what stands for itself.

use std::{ops::Range, sync::Arc};

use super::{
    super::{
        Masker,
        change::Change,
        channel::{Ended, OWNERS, Role, ended_by},
        json::{Fields, MIN_DIGITS, Rules, number, string, unescaped_text},
        layer::{self, Layer},
        map::Map,
    },
    known::Known,
    queue::{Key, Queue, Spelling, Unreadable},
};
use crate::frame::json::{
    Paths,
    walk::{Step, Walk},
};

/// What every event of a stream is read by.
pub(super) struct Reader {
    pub(super) masker: Arc<Masker>,
    pub(super) paths: &'static Paths<Role>,
    pub(super) rules: Rules,
    /// What the events before said too.
    pub(super) known: Known,
}

/// The text of chunks that are no JSON.
const CHUNKS: Key = Key {
    channel: u8::MAX,
    owners: [0; OWNERS],
};

/// A container that is read.
struct Level {
    node: Option<usize>,
    is_object: bool,
    /// The first mark in it.
    first: usize,
    /// What its members say of whose the texts in it are.
    owners: [Option<u64>; OWNERS],
}

/// Something of interest in an event.
struct Mark {
    owners: [u64; OWNERS],
    what: Found,
}

enum Found {
    /// A piece of a text of this channel, which stands there.
    Piece(u8, Range<usize>),
    /// Texts end.
    End(Ended),
}

/// What is gathered in one walk.
struct Gathering<'a> {
    reader: &'a mut Reader,
    text: &'a str,
    open: Vec<Level>,
    /// The node of the value that comes next.
    next: Option<usize>,
    /// The string that is read: where it stands, as far as it came.
    string: Option<Range<usize>>,
    gathered: Gathered,
}

#[derive(Default)]
struct Gathered {
    marks: Vec<Mark>,
    /// Changes of what stands for itself.
    changes: Vec<Change>,
    /// Where it is no JSON any more.
    broken: Option<usize>,
    /// The first owner of the outermost object.
    owner: u64,
}

impl Reader {
    /// Reads the text of the event that `queue` got last. `map` is from it to what it stands in, `kind` what the frame says that it is.
    pub(super) fn read(
        &mut self,
        queue: &mut Queue,
        text: &str,
        map: &Map,
        plain: Spelling,
        kind: Option<&str>,
    ) -> Result<(), Unreadable> {
        let begin = text.trim_ascii_start();
        if begin.trim_ascii_end() == "[DONE]" {
            queue.finish(|_| true);
            return Ok(());
        }
        if !begin.starts_with(['{', '[', '"']) {
            // Bedrock's agents write plain text into their chunks, and it goes on from one to the next.
            if kind == Some("chunk") {
                return queue.piece(CHUNKS, text, map.clone(), plain, |masker| {
                    Layer::new(Arc::clone(masker), 0)
                });
            }
            self.alone(queue, text, 0, map, plain);
            return Ok(());
        }
        let gathered = Gathering::of(self, text);
        for change in gathered.changes {
            queue.change(placed(change, map));
        }
        if let Some(from) = gathered.broken {
            self.alone(queue, &text[from..], from as u64, map, plain);
        }
        for mark in &gathered.marks {
            if let Found::Piece(channel, range) = &mark.what {
                let key = Key {
                    channel: *channel,
                    owners: mark.owners,
                };
                let raw = &text[range.clone()];
                self.piece(queue, key, raw, range.start as u64, map)?;
            }
        }
        for mark in &gathered.marks {
            if let Found::End(ended) = mark.what {
                finish(queue, ended, mark.owners[0]);
            }
        }
        if let Some(ended) = kind.and_then(ended_by) {
            finish(queue, ended, gathered.owner);
        }
        Ok(())
    }

    /// A piece of a text that goes on: `raw`, which stands at `at` in the event's.
    fn piece(
        &self,
        queue: &mut Queue,
        key: Key,
        raw: &str,
        at: u64,
        map: &Map,
    ) -> Result<(), Unreadable> {
        let (text, places) = unescaped_text(raw, at);
        let places = places.through(map, &text);
        queue.piece(key, &text, places, Spelling::Json, |masker| {
            Layer::new(Arc::clone(masker), 1)
        })
    }

    /// A text at `from` that has nothing to do with other events.
    pub(super) fn alone(
        &self,
        queue: &mut Queue,
        text: &str,
        from: u64,
        map: &Map,
        spelling: Spelling,
    ) {
        let mut changes = Vec::new();
        layer::whole(&self.masker, 0, text, &mut changes);
        for mut change in changes {
            change.range = from + change.range.start..from + change.range.end;
            change.by = spelling.write(change.by);
            queue.change(placed(change, map));
        }
    }
}

impl<'a> Gathering<'a> {
    fn of(reader: &'a mut Reader, text: &'a str) -> Gathered {
        let mut fields = Fields::new(reader.rules.clone());
        let mut gathering = Self {
            reader,
            text,
            open: Vec::new(),
            next: Some(Paths::<Role>::ROOT),
            string: None,
            gathered: Gathered::default(),
        };
        let mut walk = Walk::new();
        let mut each = |step: Step<'_>| {
            let is_hidden = fields
                .as_mut()
                .is_some_and(|fields| fields.step(&step, &mut gathering.gathered.changes));
            gathering.step(&step, is_hidden);
        };
        walk.push(text, &mut each);
        walk.finish(&mut each);
        // It may be cut off.
        if let Some(fields) = &mut fields {
            fields.flush(text.len() as u64, &mut gathering.gathered.changes);
        }
        gathering.end_of_string();
        while !gathering.open.is_empty() {
            gathering.close();
        }
        gathering.gathered
    }

    fn step(&mut self, step: &Step<'_>, is_hidden: bool) {
        match *step {
            Step::Open { is_object, .. } => {
                self.open.push(Level {
                    node: self.next,
                    is_object,
                    first: self.gathered.marks.len(),
                    owners: [None; OWNERS],
                });
                self.element();
            }
            Step::Close { .. } => self.close(),
            Step::Comma { .. } => self.element(),
            _ if is_hidden => {}
            Step::Name { name, .. } => {
                let object = self.open.last().and_then(|level| level.node);
                self.next = object.and_then(|node| self.reader.paths.child(node, name.as_bytes()));
            }
            Step::Begin { at } => self.string = Some(at as usize + 1..at as usize + 1),
            Step::Piece { raw, .. } => {
                if let Some(string) = &mut self.string {
                    string.end += raw.len();
                }
            }
            Step::End { .. } => self.end_of_string(),
            Step::Bare { at, text } => {
                self.said(text);
                if text.len() >= MIN_DIGITS {
                    self.search(text, |masker, changes| {
                        changes.extend(number(masker, at, text));
                    });
                }
            }
            Step::Broken { at, .. } => self.gathered.broken = Some(at as usize),
        }
    }

    /// The node of what comes next, if it is an element. Those of an outermost array are events, as of Gemini's.
    fn element(&mut self) {
        self.next = self
            .open
            .last()
            .filter(|level| !level.is_object)
            .and_then(|level| level.node)
            .and_then(|node| {
                let below = self.reader.paths.child(node, b"*");
                below.or((self.open.len() == 1).then_some(Paths::<Role>::ROOT))
            });
    }

    fn close(&mut self) {
        let Some(level) = self.open.pop() else {
            return;
        };
        for mark in &mut self.gathered.marks[level.first..] {
            for (owner, said) in mark.owners.iter_mut().zip(level.owners) {
                *owner = said.unwrap_or(*owner);
            }
        }
        if self.open.is_empty() {
            self.gathered.owner = level.owners[0].unwrap_or_default();
            self.next = Some(Paths::<Role>::ROOT);
        }
    }

    fn end_of_string(&mut self) {
        let Some(range) = self.string.take() else {
            return;
        };
        let text = self.text;
        let raw = &text[range.clone()];
        let role = self.next.and_then(|node| self.reader.paths.value(node));
        if let Some(channel) = role.and_then(|role| role.channel) {
            self.mark(Found::Piece(channel, range));
            return;
        }
        self.said(raw);
        self.search(raw, |masker, changes| {
            string(masker, 1, raw, range.start as u64, changes);
        });
    }

    /// Has `text` searched, unless nothing was found in the same before.
    fn search(&mut self, text: &str, search: impl FnOnce(&Arc<Masker>, &mut Vec<Change>)) {
        let Reader { known, masker, .. } = &mut *self.reader;
        if known.has(text) {
            return;
        }
        let changes = &mut self.gathered.changes;
        let first = changes.len();
        search(masker, changes);
        if changes.len() == first {
            known.add(text);
        }
    }

    /// What a member says that is no piece of a text.
    fn said(&mut self, value: &str) {
        let Some(role) = self.next.and_then(|node| self.reader.paths.value(node)) else {
            return;
        };
        if let Some(owner) = role.owner
            && let Some(level) = self.open.last_mut()
        {
            level.owners[owner] = Some(number_of(value));
        }
        if let Some(ended) = role.stop.and_then(|stop| stop.ends(value)) {
            self.mark(Found::End(ended));
        }
    }

    fn mark(&mut self, what: Found) {
        self.gathered.marks.push(Mark {
            owners: [0; OWNERS],
            what,
        });
    }
}

/// A number for what a member says: itself, or one that hardly another value has. An owner that is not there is as one that says 0 or `false`.
fn number_of(value: &str) -> u64 {
    match value {
        "null" | "false" => 0,
        "true" => 1,
        value => value.parse().unwrap_or_else(|_| {
            // FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/).
            value.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
            })
        }),
    }
}

/// Makes a change of the text one of what it stands in.
fn placed(mut change: Change, map: &Map) -> Change {
    change.range = map.raw(change.range.start)..map.raw(change.range.end);
    change
}

fn finish(queue: &mut Queue, ended: Ended, owner: u64) {
    queue.finish(|key| match ended {
        Ended::All => true,
        Ended::OfOwner => key.owners[0] == owner,
    });
}

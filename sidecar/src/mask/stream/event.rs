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
    form::{Form, Forms, Kind, Varying},
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
    /// How the events before were written.
    pub(super) forms: Forms,
}

/// With more strings that no event said before, an event is the first of its kind, and what the next have in common with it is not known yet.
const MOST_UNKNOWN: usize = 2;

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
    /// Changes of what stands for itself.
    changes: Vec<Change>,
    /// What may be another in the next event.
    values: Vec<Varying>,
    /// Strings among that which are no pieces of a text.
    unknown: usize,
}

/// What was read of an event.
#[derive(Default)]
pub(super) struct Gathered {
    marks: Vec<Mark>,
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
        if let Some(form) = self.forms.take(text) {
            let mut changes = Vec::new();
            for range in form.alone() {
                let raw = &text[range.clone()];
                string(&self.masker, 1, raw, range.start as u64, &mut changes);
            }
            let event = (text, map);
            let read = self.place(queue, event, plain, kind, &form.gathered, changes);
            self.forms.put(form);
            return read;
        }
        let (gathered, changes, values) = Gathering::of(self, text);
        let values = values.filter(|_| changes.is_empty() && gathered.broken.is_none());
        self.place(queue, (text, map), plain, kind, &gathered, changes)?;
        if let Some(form) = values.and_then(|values| Form::new(text, values, gathered)) {
            self.forms.put(form);
        }
        Ok(())
    }

    /// Puts what was read of the event that `queue` got last where it belongs.
    fn place(
        &mut self,
        queue: &mut Queue,
        (text, map): (&str, &Map),
        plain: Spelling,
        kind: Option<&str>,
        gathered: &Gathered,
        changes: Vec<Change>,
    ) -> Result<(), Unreadable> {
        for change in changes {
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

impl Gathered {
    /// The piece that is the mark of this index stands at `range`.
    pub(super) fn move_piece(&mut self, mark: usize, range: Range<usize>) {
        if let Found::Piece(_, place) = &mut self.marks[mark].what {
            *place = range;
        }
    }
}

impl<'a> Gathering<'a> {
    /// What `text` says, the changes of what stands for itself, and what of it differs from event to event, if that can be told.
    fn of(reader: &'a mut Reader, text: &'a str) -> (Gathered, Vec<Change>, Option<Vec<Varying>>) {
        let mut fields = Fields::new(reader.rules.clone());
        let mut gathering = Self {
            reader,
            text,
            open: Vec::new(),
            next: Some(Paths::<Role>::ROOT),
            string: None,
            gathered: Gathered::default(),
            changes: Vec::new(),
            values: Vec::new(),
            unknown: 0,
        };
        let mut walk = Walk::new();
        let mut each = |step: Step<'_>| {
            let is_hidden = fields
                .as_mut()
                .is_some_and(|fields| fields.step(&step, &mut gathering.changes));
            gathering.step(&step, is_hidden);
        };
        walk.push(text, &mut each);
        walk.finish(&mut each);
        let is_whole = gathering.open.is_empty() && gathering.string.is_none();
        // It may be cut off.
        if let Some(fields) = &mut fields {
            fields.flush(text.len() as u64, &mut gathering.changes);
        }
        gathering.end_of_string();
        while !gathering.open.is_empty() {
            gathering.close();
        }
        let is_alike = is_whole && gathering.unknown <= MOST_UNKNOWN;
        let values = is_alike.then_some(gathering.values);
        (gathering.gathered, gathering.changes, values)
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
                } else if self.role().is_none() && text.bytes().all(|byte| byte.is_ascii_digit()) {
                    let at = at as usize;
                    self.varies(at..at + text.len(), Kind::Number);
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
        if let Some(channel) = self.role().and_then(|role| role.channel) {
            self.varies(range.clone(), Kind::Piece(self.gathered.marks.len()));
            self.mark(Found::Piece(channel, range));
            return;
        }
        self.said(raw);
        let is_known = self.search(raw, |masker, changes| {
            string(masker, 1, raw, range.start as u64, changes);
        });
        if !is_known && self.role().is_none() {
            self.varies(range, Kind::Alone);
            self.unknown += 1;
        }
    }

    /// The value at `at` may be another in the next event.
    fn varies(&mut self, at: Range<usize>, kind: Kind) {
        self.values.push(Varying { at, kind });
    }

    /// What the value is that comes next, or came last.
    fn role(&self) -> Option<Role> {
        self.next.and_then(|node| self.reader.paths.value(node))
    }

    /// Has `text` searched, unless nothing was found in the same before: whether that is so.
    fn search(&mut self, text: &str, search: impl FnOnce(&Arc<Masker>, &mut Vec<Change>)) -> bool {
        let Reader { known, masker, .. } = &mut *self.reader;
        if known.has(text) {
            return true;
        }
        let first = self.changes.len();
        search(masker, &mut self.changes);
        if self.changes.len() == first {
            known.add(text);
        }
        false
    }

    /// What a member says that is no piece of a text.
    fn said(&mut self, value: &str) {
        let Some(role) = self.role() else {
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

//! One pass over a text for all that a policy looks for.
//!
//! A table of bytes finds the places where a detector must be asked. Text without any of them costs one look at each byte, and a row of digits one
//! look for all who ask about digits.

use super::{
    detector::{Detect, Found, Row, Rows, Triggers},
    pairs::{Pairs, Set},
    swallow::Swallow,
    view::View,
};

/// What is looked for together.
pub(super) struct Scanner {
    detectors: Vec<Box<dyn Detect>>,
    /// Where there is a trigger for somebody.
    triggers: Pairs,
    /// Who wants to know of a byte, if such a one stands behind it.
    asks: Vec<Vec<Ask>>,
    /// Who wants to know of a digit even where another one stands before it.
    asks_inside: Vec<Vec<Ask>>,
    /// Somebody does.
    looks_inside: bool,
    /// Who wants to know of a row of digits.
    rows: Rows,
    /// By a value's first byte, whose triggers may stand behind it.
    tails: Vec<Vec<Tail>>,
    /// The longest way to one.
    reach: usize,
    /// Who tells of its open places itself.
    far: Vec<usize>,
}

/// A detector that is asked about a byte with one of a set behind it.
#[derive(Clone, Copy)]
struct Ask {
    by: u16,
    next: Set,
}

/// A detector whose triggers may stand behind the begin of a value.
#[derive(Clone, Copy)]
struct Tail {
    by: usize,
    /// How far.
    reach: usize,
    /// Whether a value begins free.
    begins_free: bool,
}

/// A value, wherever it stands among others.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The detector's index.
    pub(super) by: usize,
    /// How the rest of it is told.
    pub(super) rest: Option<Swallow>,
}

impl Scanner {
    pub(super) fn new(detectors: Vec<Box<dyn Detect>>) -> Self {
        let mut scanner = Self {
            detectors: Vec::new(),
            triggers: Pairs::new(),
            asks: vec![Vec::new(); 256],
            asks_inside: vec![Vec::new(); 256],
            looks_inside: false,
            rows: Rows::default(),
            tails: vec![Vec::new(); 256],
            reach: 0,
            far: Vec::new(),
        };
        for (index, detector) in detectors.iter().enumerate() {
            let by = u16::try_from(index).expect("the items of a policy are few");
            for triggers in detector.triggers() {
                let next = scanner
                    .triggers
                    .add(&triggers.bytes, triggers.next.as_ref());
                let is_of_rows =
                    triggers == Triggers::rows() && scanner.rows.add(index, &**detector);
                if is_of_rows {
                    continue;
                }
                for byte in triggers.bytes.iter() {
                    let ask = Ask { by, next };
                    scanner.asks[usize::from(byte)].push(ask);
                    if byte.is_ascii_digit() && !triggers.is_number {
                        scanner.asks_inside[usize::from(byte)].push(ask);
                        scanner.looks_inside = true;
                    }
                }
            }
            let reach = detector.reach();
            let tail = Tail {
                by: index,
                reach: reach.bytes,
                begins_free: detector.begins_free(),
            };
            if reach.bytes > 0 {
                for byte in reach.heads.iter() {
                    scanner.tails[usize::from(byte)].push(tail);
                }
                scanner.reach = scanner.reach.max(reach.bytes);
            }
            if reach.is_far {
                scanner.far.push(tail.by);
            }
        }
        scanner.detectors = detectors;
        scanner
    }

    pub(super) fn detector(&self, index: usize) -> &dyn Detect {
        &*self.detectors[index]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.detectors.is_empty()
    }

    /// Adds the values that begin at `from` or later to `values`, and returns the first open place: only what begins before it is for good.
    pub(super) fn scan(&self, view: &View<'_>, from: usize, values: &mut Vec<Value>) -> usize {
        let bytes = view.bytes();
        let mut open = bytes.len();
        let mut next = from;
        while let Some(trigger) = self.triggers.find(bytes, next) {
            next = trigger + 1;
            let byte = bytes[trigger];
            let mut asks = &self.asks;
            if byte.is_ascii_digit() {
                if view
                    .byte_before(trigger)
                    .is_some_and(|before| before.is_ascii_digit())
                {
                    asks = &self.asks_inside;
                } else {
                    let row = Row::of(view, trigger);
                    if !self.looks_inside {
                        next = trigger + row.count;
                    }
                    self.rows.each(&row, view, trigger, &self.detectors, |by| {
                        self.ask(by, view, trigger, from, &mut open, values);
                    });
                }
            }
            let behind = bytes.get(trigger + 1);
            for ask in &asks[usize::from(byte)] {
                if behind.is_none_or(|behind| self.triggers.has(ask.next, *behind)) {
                    let by = usize::from(ask.by);
                    self.ask(by, view, trigger, from, &mut open, values);
                }
            }
        }
        if view.is_last {
            return open;
        }
        for by in &self.far {
            open = open.min(self.detectors[*by].tail(view, from).unwrap_or(open));
        }
        self.tail(view, from, open)
    }

    /// Asks a detector about a trigger.
    fn ask(
        &self,
        by: usize,
        view: &View<'_>,
        trigger: usize,
        from: usize,
        open: &mut usize,
        values: &mut Vec<Value>,
    ) {
        let detector = &*self.detectors[by];
        let Some(start) = detector.start(view, trigger).filter(|at| *at >= from) else {
            return;
        };
        let (end, rest) = match detector.at(view, start) {
            Found::Nothing => return,
            Found::Open => {
                *open = (*open).min(start);
                return;
            }
            Found::Value(end) => (end, None),
            Found::Long(end, rest) => (end, Some(rest)),
        };
        values.push(Value {
            start,
            end,
            by,
            rest,
        });
    }

    /// The first open place before `open` whose trigger may still come.
    fn tail(&self, view: &View<'_>, from: usize, open: usize) -> usize {
        let end = view.text.len();
        for at in end.saturating_sub(self.reach).max(from)..open {
            let tails = &self.tails[usize::from(view.bytes()[at])];
            if tails.is_empty() || !view.text.is_char_boundary(at) {
                continue;
            }
            let is_free = view.is_free_before(at);
            let is_open = tails.iter().any(|tail| {
                end - at <= tail.reach
                    && (is_free || !tail.begins_free)
                    && matches!(self.detectors[tail.by].at(view, at), Found::Open)
            });
            if is_open {
                return at;
            }
        }
        open
    }
}

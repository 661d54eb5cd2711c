//! One pass over a text for all that a policy looks for.
//!
//! A table of bytes finds the places where a detector must be asked. Text without any of them costs one look at each byte, and a row of digits one
//! look for all who ask about digits.

use super::{
    bytes::ByteSet,
    detector::{Detect, Found, Row},
    pairs::Pairs,
    swallow::Swallow,
    view::View,
};

/// What is looked for together.
pub(super) struct Scanner {
    detectors: Vec<Box<dyn Detect>>,
    /// Where there is a trigger for somebody.
    triggers: Pairs,
    /// Who wants to know of a byte.
    asks: Vec<Vec<u16>>,
    /// Who wants to know of a digit even where another one stands before it.
    asks_inside: Vec<Vec<u16>>,
    /// Somebody does.
    looks_inside: bool,
    /// What must stand behind a trigger, by detector.
    nexts: Vec<Option<Box<ByteSet>>>,
    /// By a value's first byte, whose triggers may stand behind it.
    tails: Vec<Vec<Tail>>,
    /// The longest way to one.
    reach: usize,
    /// Who tells of its open places itself.
    far: Vec<usize>,
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
            nexts: Vec::new(),
            tails: vec![Vec::new(); 256],
            reach: 0,
            far: Vec::new(),
        };
        for (index, detector) in detectors.iter().enumerate() {
            let index = u16::try_from(index).expect("the items of a policy are few");
            let triggers = detector.triggers();
            for byte in triggers.bytes.iter() {
                scanner.asks[usize::from(byte)].push(index);
                if !triggers.is_number {
                    scanner.asks_inside[usize::from(byte)].push(index);
                    scanner.looks_inside |= byte.is_ascii_digit();
                }
            }
            scanner
                .triggers
                .add(&triggers.bytes, triggers.next.as_ref());
            scanner.nexts.push(triggers.next.map(Box::new));
            let reach = detector.reach();
            let tail = Tail {
                by: usize::from(index),
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
            let is_digit = byte.is_ascii_digit();
            let is_inside = is_digit
                && view
                    .byte_before(trigger)
                    .is_some_and(|b| b.is_ascii_digit());
            let (asks, row) = if is_inside {
                (&self.asks_inside, None)
            } else {
                (&self.asks, is_digit.then(|| Row::of(view, trigger)))
            };
            let behind = bytes.get(next);
            if let Some(row) = &row
                && !self.looks_inside
            {
                next = trigger + row.count;
            }
            for by in &asks[usize::from(byte)] {
                let by = usize::from(*by);
                if let (Some(next), Some(bytes)) = (behind, &self.nexts[by])
                    && !bytes.has(*next)
                {
                    continue;
                }
                let detector = &*self.detectors[by];
                if row.is_some_and(|row| !detector.may_be(&row)) {
                    continue;
                }
                let Some(start) = detector.start(view, trigger).filter(|at| *at >= from) else {
                    continue;
                };
                let (end, rest) = match detector.at(view, start) {
                    Found::Nothing => continue,
                    Found::Open => {
                        open = open.min(start);
                        continue;
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
        }
        if view.is_last {
            return open;
        }
        for by in &self.far {
            open = open.min(self.detectors[*by].tail(view, from).unwrap_or(open));
        }
        self.tail(view, from, open)
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

//! One pass over a text for all that a policy looks for.
//!
//! A table of bytes finds the places where a detector must be asked. Text without any of them costs one look at each byte.

use super::{
    bytes::ByteSet,
    detector::{Detect, Found},
    swallow::Swallow,
    view::View,
};

/// What is looked for together.
pub(super) struct Scanner {
    detectors: Vec<Box<dyn Detect>>,
    /// Which bytes are a trigger.
    is_hot: [bool; 256],
    /// Who wants to know of a byte.
    asks: Vec<Vec<u16>>,
    /// Who wants to know of a digit even where another one stands before it.
    asks_inside: Vec<Vec<u16>>,
    /// What must stand behind a trigger, by detector.
    nexts: Vec<Option<ByteSet>>,
    /// Whose triggers may stand behind the begin of a value: how far, whether it begins free, and the detector.
    tails: Vec<(usize, bool, usize)>,
    /// The longest of these ways.
    reach: usize,
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
            is_hot: [false; 256],
            asks: vec![Vec::new(); 256],
            asks_inside: vec![Vec::new(); 256],
            nexts: Vec::new(),
            tails: Vec::new(),
            reach: 0,
        };
        for (index, detector) in detectors.iter().enumerate() {
            let index = u16::try_from(index).expect("the items of a policy are few");
            let triggers = detector.triggers();
            for byte in triggers.bytes.iter().map(usize::from) {
                scanner.is_hot[byte] = true;
                scanner.asks[byte].push(index);
                if !triggers.is_number {
                    scanner.asks_inside[byte].push(index);
                }
            }
            scanner.nexts.push(triggers.next);
            if detector.reach() > 0 {
                let tail = (detector.reach(), detector.begins_free(), usize::from(index));
                scanner.tails.push(tail);
                scanner.reach = scanner.reach.max(detector.reach());
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
        while let Some(trigger) = self.trigger(bytes, next) {
            next = trigger + 1;
            let byte = bytes[trigger];
            let is_inside =
                byte.is_ascii_digit() && trigger > 0 && bytes[trigger - 1].is_ascii_digit();
            let asks = if is_inside {
                &self.asks_inside
            } else {
                &self.asks
            };
            for by in &asks[usize::from(byte)] {
                let by = usize::from(*by);
                if let (Some(next), Some(bytes)) = (bytes.get(next), &self.nexts[by])
                    && !bytes.has(*next)
                {
                    continue;
                }
                let detector = &*self.detectors[by];
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
        for detector in &self.detectors {
            open = open.min(detector.tail(view, from).unwrap_or(open));
        }
        self.tail(view, from, open)
    }

    /// The first open place before `open` whose trigger may still come.
    fn tail(&self, view: &View<'_>, from: usize, open: usize) -> usize {
        let end = view.text.len();
        for at in end.saturating_sub(self.reach).max(from)..open {
            if !view.text.is_char_boundary(at) {
                continue;
            }
            let is_free = view.is_free_before(at);
            let is_open = self.tails.iter().any(|(reach, begins_free, by)| {
                end - at <= *reach
                    && (is_free || !begins_free)
                    && matches!(self.detectors[*by].at(view, at), Found::Open)
            });
            if is_open {
                return at;
            }
        }
        open
    }

    /// The next place from `from` on where a trigger stands.
    fn trigger(&self, bytes: &[u8], from: usize) -> Option<usize> {
        const STEP: usize = 8;
        let rest = bytes.get(from..)?;
        let is_hot = |byte: &u8| self.is_hot[usize::from(*byte)];
        let mut at = 0;
        for chunk in rest.chunks_exact(STEP) {
            if chunk.iter().fold(false, |any, byte| any | is_hot(byte)) {
                break;
            }
            at += STEP;
        }
        rest[at..]
            .iter()
            .position(is_hot)
            .map(|next| from + at + next)
    }
}

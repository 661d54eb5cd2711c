//! A row of digits and what stands beside it: looked at once, for all detectors that ask about digits.

use super::Detect;
use crate::mask::view::View;

/// A row of digits at a place.
#[derive(Clone, Copy, Debug)]
pub(in crate::mask) struct Row {
    /// How many there are, up to [`Row::MOST`].
    pub(in crate::mask) count: usize,
    /// Whether a number begins with them: [`View::is_number_start`].
    pub(super) is_start: bool,
    /// What stands before them.
    pub(super) before: Option<u8>,
    /// What stands behind them, if something is there already.
    pub(super) next: Option<u8>,
    /// What stands behind that.
    pub(super) then: Option<u8>,
    /// What a second look tells.
    pub(super) more: Option<More>,
}

/// What a second look tells of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct More {
    /// The first digit.
    pub(super) first: u8,
    /// How many digits stand behind the one byte behind it, up to [`Row::MOST`].
    pub(super) count: usize,
    /// What stands behind those.
    pub(super) next: Option<u8>,
    /// What stands behind that.
    pub(super) then: Option<u8>,
}

impl Row {
    /// No detector tells longer ones apart.
    const MOST: usize = 20;

    /// The first byte of a no-break space.
    pub(super) const NBSP: u8 = 0xc2;

    /// The row whose first digit stands at `at`.
    pub(in crate::mask) fn of(view: &View<'_>, at: usize) -> Self {
        let (count, next, then) = row(view, at);
        Self {
            count,
            is_start: view.is_number_start(at),
            before: view.byte_before(at),
            next,
            then,
            more: None,
        }
    }

    /// The same after a second look; it stands at `at`.
    fn looked_at_again(mut self, view: &View<'_>, at: usize) -> Self {
        let (count, next, then) = row(view, at + self.count + 1);
        self.more = Some(More {
            first: view.bytes()[at],
            count,
            next,
            then,
        });
        self
    }

    /// How many places a table of rows has.
    const PLACES: usize = (Self::MOST + 1) * (KINDS.len() + 1).pow(2) * BEFORE.len() * 2;

    /// The place in such a table, by all that detectors tell apart at the first look.
    fn place(&self) -> usize {
        let kind = |byte: Option<u8>| {
            byte.map_or(KINDS.len(), |byte| usize::from(KIND[usize::from(byte)]))
        };
        let before = match self.before {
            Some(byte) if byte.is_ascii_alphabetic() => 0,
            Some(b' ') => 1,
            _ => 2,
        };
        let kinds = KINDS.len() + 1;
        let place = (self.count * kinds + kind(self.next)) * kinds + kind(self.then);
        (place * BEFORE.len() + before) * 2 + usize::from(self.is_start)
    }

    /// A row for each place.
    fn samples() -> impl Iterator<Item = (usize, Self)> {
        let behind = || KINDS.iter().copied().map(Some).chain([None]);
        let beside = move || {
            behind().flat_map(move |next| {
                behind().flat_map(move |then| {
                    let ends = [true, false].into_iter();
                    ends.flat_map(move |is_start| {
                        BEFORE.map(|before| (next, then, before, is_start))
                    })
                })
            })
        };
        (0..=Self::MOST)
            .flat_map(move |count| beside().map(move |beside| (count, beside)))
            .map(|(count, (next, then, before, is_start))| {
                let row = Self {
                    count,
                    is_start,
                    before,
                    next,
                    then,
                    more: None,
                };
                (row.place(), row)
            })
    }

    /// Whether a digit stands behind the byte behind it, or what stands there is not known.
    pub(super) fn may_go_on(&self) -> bool {
        self.then.is_none_or(|byte| byte.is_ascii_digit())
    }
}

impl More {
    /// Whether something that stands between groups of digits stands behind this one, and a digit may stand behind that.
    pub(super) fn may_go_on(&self) -> bool {
        match self.next {
            None | Some(b'(' | b')' | Row::NBSP) => true,
            Some(b' ' | b'-' | b'.' | b'/') => self
                .then
                .is_none_or(|byte| byte.is_ascii_digit() || matches!(byte, b'(' | b')')),
            Some(_) => false,
        }
    }
}

/// How many digits stand at `at`, and the two bytes behind them.
fn row(view: &View<'_>, at: usize) -> (usize, Option<u8>, Option<u8>) {
    let rest = view.bytes().get(at..).unwrap_or_default();
    let digits = rest.iter().take(Row::MOST);
    let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
    (
        count,
        rest.get(count).copied(),
        rest.get(count + 1).copied(),
    )
}

/// Who wants to know of which rows: a table of what [`Detect::may_be`] says at the first look, since most rows lead nowhere.
#[derive(Default)]
pub(in crate::mask) struct Rows {
    /// The detectors' indexes.
    who: Vec<usize>,
    /// By what is told of a row, a bit for each of them.
    table: Vec<u16>,
}

/// The bytes that detectors tell apart behind a row: one of each kind. `None` is the last kind.
const KINDS: [u8; 12] = *b" -./,()\xc2a0|\xe9";
/// By byte, its kind.
const KIND: [u8; 256] = kinds();
/// What is told apart before a row.
const BEFORE: [Option<u8>; 3] = [Some(b'a'), Some(b' '), None];

const fn kinds() -> [u8; 256] {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b' ' => 0,
            b'-' => 1,
            b'.' => 2,
            b'/' => 3,
            b',' => 4,
            b'(' => 5,
            b')' => 6,
            Row::NBSP => 7,
            b'a'..=b'z' | b'A'..=b'Z' => 8,
            b'0'..=b'9' => 9,
            0x80.. => 11,
            _ => 10,
        };
        byte += 1;
    }
    kinds
}

impl Rows {
    /// Has `detector`, whose index this is, asked about rows. Whether there is room for it.
    pub(in crate::mask) fn add(&mut self, index: usize, detector: &dyn Detect) -> bool {
        let bit = self.who.len() as u32;
        if bit == u16::BITS {
            return false;
        }
        self.who.push(index);
        self.table.resize(Row::PLACES, 0);
        for (place, row) in Row::samples() {
            if detector.may_be(&row) {
                self.table[place] |= 1 << bit;
            }
        }
        true
    }

    /// Calls `each` with all who want to know of `row`, which stands at `at`.
    pub(in crate::mask) fn each(
        &self,
        row: &Row,
        view: &View<'_>,
        at: usize,
        detectors: &[Box<dyn Detect>],
        mut each: impl FnMut(usize),
    ) {
        let mut who = self.table.get(row.place()).copied().unwrap_or_default();
        if who == 0 {
            return;
        }
        let row = row.looked_at_again(view, at);
        while who != 0 {
            let index = self.who[who.trailing_zeros() as usize];
            who &= who - 1;
            if detectors[index].may_be(&row) {
                each(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use postern_crds::{
        egress_policy::{Detector, Region},
        policy::Masked,
    };

    use super::*;
    use crate::mask::detector::detector;

    #[test]
    fn whoever_wants_to_know_of_a_row_is_asked() {
        let detectors: Vec<_> = Detector::ALL
            .into_iter()
            .map(|what| detector(&Masked::Detector(what), &BTreeSet::from(Region::ALL)))
            .collect();
        let mut rows = Rows::default();
        for (index, detector) in detectors.iter().enumerate() {
            assert!(rows.add(index, &**detector));
        }
        let bytes = || {
            let all = KINDS.into_iter().chain((0..=u8::MAX).step_by(9));
            all.map(Some).chain([None])
        };
        for count in 1..=Row::MOST {
            for (next, then) in bytes().flat_map(|next| bytes().map(move |then| (next, then))) {
                for before in BEFORE
                    .into_iter()
                    .chain([Some(b'Z'), Some(b'|'), Some(0xa0)])
                {
                    let row = Row {
                        count,
                        is_start: before != Some(b'|'),
                        before,
                        next,
                        then,
                        more: None,
                    };
                    let who = rows.table[row.place()];
                    for (index, detector) in detectors.iter().enumerate() {
                        assert!(who & 1 << index != 0 || !detector.may_be(&row), "{row:?}");
                    }
                }
            }
        }
    }
}

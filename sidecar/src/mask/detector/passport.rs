//! PASSPORT: numbers that a text calls a passport's, a little before them.
//!
//! A passport's number has up to nine letters and digits (ICAO Doc 9303 part 4, section 4.2.2.2:
//! <https://www.icao.int/publications/doc-series/doc-9303>); those of all large issuers have at least six, four of them digits.

use super::{
    Detect, Found, Reach, Row, Triggers,
    context::{Context, Word},
    cursor::{Cursor, Step},
};
use crate::mask::{bytes::ByteSet, view::View};

/// What says that a number is one.
const WORDS: [Word; 8] = [
    Word::Part("passport"),
    Word::Part("reisepass"),
    Word::Part("passeport"),
    Word::Part("pasaporte"),
    Word::Part("passaporto"),
    Word::Part("passaporte"),
    Word::Part("paspoort"),
    Word::Part("护照"),
];

const MIN: usize = 6;
const MAX: usize = 9;
const MIN_DIGITS: usize = 4;

/// Finds numbers.
pub(super) struct Passport {
    context: Context,
}

impl Passport {
    pub(super) fn new() -> Self {
        Self {
            context: Context::new(&WORDS),
        }
    }
}

impl Detect for Passport {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if !view.is_number_start(start) || view.is_escape(start) {
            return Found::Nothing;
        }
        let found = number(Cursor { view, at: start }).into();
        self.context.confirm(view, start, found)
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::rows()]
    }

    fn may_be(&self, row: &Row) -> bool {
        let is_part = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        row.count <= MAX
            && (row.count >= MIN || row.next.is_none() || is_part(row.before) || is_part(row.next))
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        let before = view.before(trigger, MAX).as_bytes();
        let letters = before
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count();
        let start = trigger - letters + usize::from(view.is_escape(trigger - letters));
        let rest = view.bytes()[start..].iter();
        let length = rest
            .take(MAX + 1)
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count();
        let is_cut = start + length == view.text.len();
        (letters < MAX && length <= MAX && (length >= MIN || is_cut)).then_some(start)
    }

    fn reach(&self) -> Reach {
        let heads = (0..=u8::MAX).filter(u8::is_ascii_alphanumeric);
        Reach::bytes(MAX, ByteSet::of(heads))
    }

    fn normalize(&self, value: &str) -> String {
        value.to_ascii_uppercase()
    }
}

fn number(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    let letters = cursor.view.bytes()[cursor.at..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    if letters > MAX - MIN_DIGITS {
        return Err(Found::Nothing);
    }
    let run = cursor.run(MIN, MAX, |char| char.is_ascii_alphanumeric())?;
    if run.bytes().filter(u8::is_ascii_digit).count() < MIN_DIGITS {
        return Err(Found::Nothing);
    }
    cursor.end()
}

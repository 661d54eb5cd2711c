//! US_SSN: social security numbers, `AAA-GG-SSSS`, with the same hyphen, space or dot between the groups; the nine digits alone where the text says
//! before them what they are.
//!
//! No number has area 000, 666 or 900 to 999, group 00 or serial 0000: <https://www.ssa.gov/employer/randomization.html>.

use super::{
    Detect, Found, Row, Triggers,
    context::{Context, Word},
    cursor::{Cursor, Step},
};
use crate::mask::view::View;

/// What says that nine digits are a number.
const WORDS: [Word; 3] = [
    Word::Whole("ssn"),
    Word::Part("social security"),
    Word::Part("social_security"),
];

/// All digits of one.
const DIGITS: usize = 9;

/// Finds numbers.
pub(super) struct UsSsn {
    context: Context,
}

impl UsSsn {
    pub(super) fn new() -> Self {
        Self {
            context: Context::new(&WORDS),
        }
    }

    fn read(&self, mut cursor: Cursor<'_, '_>) -> Step<usize> {
        let start = cursor.at;
        if matches!(digits(&mut cursor, 3)?, 666 | 900..) {
            return Err(Found::Nothing);
        }
        let separator = cursor.eat(|char| matches!(char, '-' | ' ' | '.'))?;
        digits(&mut cursor, 2)?;
        if cursor.eat(|char| Some(char) == separator)? != separator {
            return Err(Found::Nothing);
        }
        digits(&mut cursor, 4)?;
        if separator.is_none() && !self.context.precedes(cursor.view, start) {
            return Err(Found::Nothing);
        }
        match cursor.view.is_number_end(cursor.at) {
            Some(true) => Ok(cursor.at),
            Some(false) => Err(Found::Nothing),
            None => Err(Found::Open),
        }
    }
}

impl Detect for UsSsn {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if !view.is_number_start(start) {
            return Found::Nothing;
        }
        self.read(Cursor { view, at: start }).into()
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::rows()]
    }

    fn may_be(&self, row: &Row) -> bool {
        match (row.count, row.next) {
            _ if !row.is_start => false,
            (_, None) | (DIGITS, _) => true,
            (3, Some(b'-' | b' ' | b'.')) => match row.more {
                Some(more) if more.count > 0 => {
                    more.next.is_none() || (more.count == 2 && more.next == row.next)
                }
                _ => row.may_go_on(),
            },
            _ => false,
        }
    }

    fn start(&self, _view: &View<'_>, trigger: usize) -> Option<usize> {
        Some(trigger)
    }

    fn normalize(&self, value: &str) -> String {
        value.chars().filter(char::is_ascii_digit).collect()
    }
}

/// So many digits, which are not all zeros.
fn digits(cursor: &mut Cursor<'_, '_>, count: usize) -> Step<u32> {
    let mut number = 0;
    for _ in 0..count {
        let digit = cursor.expect(|char| char.is_ascii_digit())?;
        number = number * 10 + u32::from(digit as u8 - b'0');
    }
    if number == 0 {
        return Err(Found::Nothing);
    }
    Ok(number)
}

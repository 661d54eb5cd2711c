//! IBAN: international bank account numbers, by the length of their country and the check digits of ISO 13616 (ISO 7064, MOD 97-10).
//!
//! In any case of letters; electronic, or in groups of four with one space, no-break space or hyphen between them.

use super::{
    Detect, Found, Reach, Row, Triggers,
    cursor::{Cursor, Step},
};
use crate::mask::{bytes::ByteSet, view::View};

/// Country and length, in order: the IBAN registry, <https://www.swift.com/standards/data-standards/iban-international-bank-account-number>.
const LENGTHS: [(&[u8; 2], usize); 88] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// ISO 13616-1: at most 34 characters.
const MAX: usize = 34;

/// Finds numbers.
pub(super) struct Iban;

impl Detect for Iban {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if !view.is_free_before(start) {
            return Found::Nothing;
        }
        read(Cursor { view, at: start }).into()
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::rows()]
    }

    fn may_be(&self, row: &Row) -> bool {
        row.before.is_some_and(|byte| byte.is_ascii_alphabetic())
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        match view.before(trigger, 2).as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => Some(trigger - 2),
            _ => None,
        }
    }

    fn reach(&self) -> Reach {
        let letters = LENGTHS.iter().map(|(name, _)| name[0]);
        let heads = letters.flat_map(|letter| [letter, letter.to_ascii_lowercase()]);
        Reach::bytes(2, ByteSet::of(heads))
    }

    fn normalize(&self, value: &str) -> String {
        value
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|char| char.to_ascii_uppercase())
            .collect()
    }
}

fn read(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    let upper = |char: char| char.to_ascii_uppercase() as u8;
    let is_first = |char: char| {
        let place = LENGTHS.partition_point(|(name, _)| name[0] < upper(char));
        char.is_ascii()
            && LENGTHS
                .get(place)
                .is_some_and(|(name, _)| name[0] == upper(char))
    };
    let first = upper(cursor.expect(is_first)?);
    let second = upper(cursor.expect(|char| char.is_ascii_alphabetic())?);
    let place = LENGTHS
        .binary_search_by_key(&[first, second], |(name, _)| **name)
        .map_err(|_| Found::Nothing)?;
    let length = LENGTHS[place].1;
    let mut chars = [0; MAX];
    (chars[0], chars[1]) = (first, second);
    let mut separator = None;
    for (count, place) in chars[..length].iter_mut().enumerate().skip(2) {
        if count % 4 == 0 {
            let next = cursor.eat(|char| matches!(char, ' ' | '-' | '\u{a0}'))?;
            if *separator.get_or_insert(next) != next {
                return Err(Found::Nothing);
            }
        }
        *place = upper(cursor.expect(|char| match count {
            2 | 3 => char.is_ascii_digit(),
            _ => char.is_ascii_alphanumeric(),
        })?);
    }
    let end = cursor.end()?;
    if rest(&chars[..length]) == 1 {
        Ok(end)
    } else {
        Err(Found::Nothing)
    }
}

/// The rest of the division by 97, with the country and the check digits behind all others and letters as 10 to 35.
fn rest(chars: &[u8]) -> u32 {
    let (last, first) = chars.split_at(4);
    first.iter().chain(last).fold(0, |rest, char| {
        let value = char::from(*char).to_digit(36).unwrap_or(0);
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    })
}

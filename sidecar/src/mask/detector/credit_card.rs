//! CREDIT_CARD: numbers of payment cards, by the prefixes and lengths of their networks and by the check digit.
//!
//! Digits stand together, or in groups of at least three with the same space, no-break space or hyphen between all of them.

use super::{Detect, Found, Row, Triggers};
use crate::mask::view::{Next, View};

/// ISO/IEC 7812-1: an issuer's number has at most 19 digits.
const MAX_DIGITS: usize = 19;
/// The shortest number of any network.
const MIN_DIGITS: usize = 12;
/// As many digits of the prefix as tell the network.
const PREFIX: usize = 6;
/// The shortest group of digits: `4111 111 …` are groups, `4 1 1 1` is a list.
const MIN_GROUP: usize = 3;

/// The networks: first and last prefix, shortest and longest number. The table of <https://en.wikipedia.org/wiki/Payment_card_number>
/// (Issuer identification number), with the networks of <https://github.com/braintree/credit-card-type/blob/main/src/lib/card-types.ts> that it
/// leaves out.
const NETWORKS: [(u32, u32, usize, usize); 26] = [
    (220_000, 220_499, 16, 19), // Mir
    (222_100, 272_099, 16, 16), // Mastercard
    (300_000, 305_999, 14, 19), // Diners Club
    (309_500, 309_599, 14, 19), // Diners Club
    (340_000, 349_999, 15, 15), // American Express
    (352_800, 358_999, 16, 19), // JCB
    (360_000, 369_999, 14, 19), // Diners Club
    (370_000, 379_999, 15, 15), // American Express
    (380_000, 399_999, 16, 19), // Diners Club
    (400_000, 499_999, 13, 13), // Visa
    (400_000, 499_999, 16, 16), // Visa, Elo
    (400_000, 499_999, 18, 19), // Visa
    (500_000, 509_999, 12, 19), // Maestro, Dankort, Elo, RuPay, Verve
    (510_000, 559_999, 16, 16), // Mastercard
    (560_000, 589_999, 12, 19), // Maestro
    (600_000, 609_999, 16, 19), // Discover, RuPay, Hipercard
    (620_000, 629_999, 14, 19), // UnionPay, Discover
    (630_400, 630_499, 12, 19), // Maestro
    (636_297, 636_368, 16, 16), // Elo
    (637_000, 637_999, 16, 16), // Hiper
    (639_000, 639_099, 12, 19), // Maestro
    (644_000, 659_999, 16, 19), // Discover, RuPay, Troy, Verve
    (670_000, 679_999, 12, 19), // Maestro
    (810_000, 829_999, 14, 19), // UnionPay, RuPay
    (860_000, 860_099, 16, 16), // Uzcard
    (979_200, 979_289, 16, 16), // Troy
];

/// Finds numbers.
pub(super) struct CreditCard;

impl Detect for CreditCard {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if !matches!(view.byte(start), Some(b'2'..=b'6' | b'8' | b'9'))
            || !view.is_free_before(start)
            || is_fraction(view, start)
        {
            return Found::Nothing;
        }
        let mut digits = [0; MAX_DIGITS];
        let (mut count, mut group) = (0, 0);
        let mut separator = None;
        let mut best = None;
        let mut at = start;
        loop {
            match view.next(at) {
                Next::Char(char @ '0'..='9') => {
                    if count == MAX_DIGITS {
                        break;
                    }
                    digits[count] = char as u8 - b'0';
                    count += 1;
                    group += 1;
                    at += 1;
                    if count == PREFIX && networks(&digits).next().is_none() {
                        return Found::Nothing;
                    }
                }
                Next::Unknown => return Found::Open,
                next => {
                    if group < MIN_GROUP {
                        break;
                    }
                    if view.is_free_after(at) == Some(true) && is_card(&digits[..count]) {
                        best = Some(at);
                    }
                    let Next::Char(char @ (' ' | '-' | '\u{a0}')) = next else {
                        break;
                    };
                    let after = at + char.len_utf8();
                    if separator.is_some_and(|known| known != char) {
                        break;
                    }
                    match view.next(after) {
                        Next::Char('0'..='9') => {}
                        Next::Unknown => return Found::Open,
                        _ => break,
                    }
                    separator = Some(char);
                    group = 0;
                    at = after;
                }
            }
        }
        Found::value(best)
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::rows()]
    }

    fn may_be(&self, row: &Row) -> bool {
        let begins = |first: u8| matches!(first, b'2'..=b'6' | b'8' | b'9');
        if row.more.is_some_and(|more| !begins(more.first)) {
            return false;
        }
        match (row.count, row.next) {
            (_, None) | (MIN_DIGITS..=MAX_DIGITS, _) => true,
            (MIN_GROUP..MIN_DIGITS, Some(b' ' | b'-')) => match row.more {
                Some(more) if more.count > 0 => {
                    more.next.is_none()
                        || (more.count >= MIN_GROUP
                            && (row.count + more.count >= MIN_DIGITS || more.next == row.next))
                }
                _ => row.may_go_on(),
            },
            (MIN_GROUP..MIN_DIGITS, Some(Row::NBSP)) => true,
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

/// Whether what begins here are the decimals of a number.
fn is_fraction(view: &View<'_>, start: usize) -> bool {
    matches!(view.before(start, 2).as_bytes(), [b'0'..=b'9', b'.' | b','])
}

/// The shortest and the longest number of the networks that these digits may belong to.
fn networks(digits: &[u8; MAX_DIGITS]) -> impl Iterator<Item = (usize, usize)> {
    let prefix = digits[..PREFIX]
        .iter()
        .fold(0, |prefix, digit| prefix * 10 + u32::from(*digit));
    NETWORKS
        .iter()
        .filter(move |(first, last, ..)| (*first..=*last).contains(&prefix))
        .map(|(.., shortest, longest)| (*shortest, *longest))
}

/// Whether a network has numbers of so many digits, and the check digit is right: the formula of Luhn, ISO/IEC 7812-1 annex B.
fn is_card(digits: &[u8]) -> bool {
    let mut padded = [0; MAX_DIGITS];
    padded[..digits.len()].copy_from_slice(digits);
    let has_length =
        networks(&padded).any(|(shortest, longest)| (shortest..=longest).contains(&digits.len()));
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
            (1, digit) if digit > 4 => digit * 2 - 9,
            (1, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    has_length && sum.is_multiple_of(10)
}

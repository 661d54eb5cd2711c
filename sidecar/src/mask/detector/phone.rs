//! PHONE: numbers in international form (ITU-T E.164), and in the national forms of the regions that a policy names.
//!
//! International: `+`, a country code that is assigned (<https://www.itu.int/pub/T-SP-E.164D>), and as many digits as E.164 and the larger plans
//! have; where a policy names regions, also with `00` for the `+`, as it is dialled in most of them. National: the lengths and first digits of each
//! region's numbering plan. Digits may stand in groups, with one space, no-break space, hyphen, dot or slash between them, and with parentheses.
//! An extension may stand right behind them: `x204`.

use std::collections::BTreeSet;

use postern_crds::egress_policy::Region;

use super::{
    Detect, Found, Row, Triggers,
    cursor::{Cursor, Step},
};
use crate::mask::{
    bytes::ByteSet,
    view::{Next, View},
};

/// E.164 section 6.2.1.
const MAX_DIGITS: usize = 15;
/// The same with `00` for the `+`.
const MAX_DIALLED: usize = MAX_DIGITS + 2;
/// The shortest number: those of small islands with their country code, and those of small places with their trunk's zero.
const MIN_DIGITS: usize = 8;
/// The most characters between two digits: a parenthesis and what stands beside it. Without one, one less.
const MAX_SEPARATOR: usize = 2;
/// The longest extension behind an `x`: `extLimitAfterAmbiguousChar` of <https://github.com/google/libphonenumber>, PhoneNumberUtil.
const MAX_EXTENSION: usize = 9;

/// Finds numbers.
pub(super) struct Phone {
    regions: Vec<Region>,
}

impl Phone {
    pub(super) fn new(regions: &BTreeSet<Region>) -> Self {
        Self {
            regions: regions.iter().copied().collect(),
        }
    }

    /// Whether a number may begin with so many digits without anything between them, of which this is the first: what [`Self::is_dialled`] says, as far
    /// as that tells.
    fn may_begin(&self, first: u8, count: usize) -> bool {
        // Of a region, or `00`.
        first == b'0'
            || self.regions.iter().any(|region| match (region, first) {
                (Region::Us, b'1') => matches!(count, 1 | 4 | 11),
                (Region::Us, _) => matches!(count, 3 | 10),
                (Region::It, first) => first == b'3',
                (Region::Es | Region::In, first) => matches!(first, b'6'..=b'9'),
                (Region::Gb | Region::De | Region::Fr | Region::Nl | Region::Au, _) => false,
            })
    }
}

/// The digits so far, and after how many of them one of two groups ended.
#[derive(Default)]
struct Digits {
    digits: [u8; MAX_DIALLED],
    count: usize,
    /// One bit a digit.
    groups: u32,
}

impl Detect for Phone {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let has_plus = view.byte(start) == Some(b'+');
        let is_begin = match view.byte(start) {
            Some(b'+') => true,
            Some(b'(' | b'0'..=b'9') => !self.regions.is_empty(),
            _ => false,
        };
        if !is_begin || !view.is_number_start(start) || view.byte_before(start) == Some(b'+') {
            return Found::Nothing;
        }
        let mut digits = Digits::default();
        let mut best = None;
        let mut at = start + usize::from(has_plus);
        if has_plus && !matches!(view.next(at), Next::Char('1'..='9') | Next::Unknown) {
            return Found::Nothing;
        }
        loop {
            match view.next(at) {
                Next::Unknown => return Found::Open,
                Next::Char(char @ '0'..='9') => {
                    if !digits.add(char as u8 - b'0') {
                        break;
                    }
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let is_number = digits.count >= MIN_DIGITS
                && if has_plus {
                    is_international(digits.read())
                } else {
                    self.is_dialled(&digits)
                };
            if is_number {
                match end(view, at) {
                    Ok(end) => best = Some(end),
                    Err(Found::Open) => return Found::Open,
                    Err(_) => {}
                }
            }
            let is_first = digits.groups & !1 == 0 && digits.count > 0;
            if is_first && !has_plus && !self.may_begin(b'0' + digits.digits[0], digits.count) {
                break;
            }
            match separator(view, at) {
                None => return Found::Open,
                Some(after) if after > at => {
                    digits.groups |= 1 << digits.count;
                    at = after;
                }
                Some(_) => break,
            }
        }
        Found::value(best)
    }

    fn triggers(&self) -> Vec<Triggers> {
        let mut next = ByteSet::digits();
        let plus = Triggers::pairs(ByteSet::of([b'+']), next.clone());
        if self.regions.is_empty() {
            return vec![plus];
        }
        next.add(&ByteSet::of(*b" -./()"));
        next.add(&ByteSet::of([Row::NBSP]));
        let parenthesis = Triggers::pairs(ByteSet::of([b'(']), next);
        vec![plus, parenthesis, Triggers::rows()]
    }

    fn may_be(&self, row: &Row) -> bool {
        if !row.is_start
            || row
                .more
                .is_some_and(|more| !self.may_begin(more.first, row.count))
        {
            return false;
        }
        match (row.count, row.next) {
            (_, None) | (MIN_DIGITS..=MAX_DIALLED, _) => true,
            (1..MIN_DIGITS, Some(b' ' | b'-' | b'.' | b'/')) => match row.more {
                Some(more) if more.count > 0 => {
                    row.count + more.count >= MIN_DIGITS || more.may_go_on()
                }
                _ => row.may_go_on() || matches!(row.then, Some(b'(' | b')')),
            },
            (1..MIN_DIGITS, Some(b'(' | b')' | Row::NBSP)) => true,
            _ => false,
        }
    }

    fn start(&self, _view: &View<'_>, trigger: usize) -> Option<usize> {
        Some(trigger)
    }

    fn normalize(&self, value: &str) -> String {
        value
            .chars()
            .filter(|char| char.is_ascii_digit() || *char == '+')
            .collect()
    }
}

impl Phone {
    /// Whether these are digits as they are dialled in one of the regions.
    fn is_dialled(&self, digits: &Digits) -> bool {
        match digits.read() {
            [0, 0, number @ ..] => is_international(number),
            _ if digits.are_something_else() => false,
            _ => self.regions.iter().any(|region| digits.is_of(*region)),
        }
    }
}

/// The end of a number whose last digit stands before `at`.
fn end(view: &View<'_>, at: usize) -> Step<usize> {
    let mut cursor = Cursor { view, at };
    if cursor.eat(|char| matches!(char, 'x' | 'X'))?.is_some() {
        cursor.run(1, MAX_EXTENSION, |char| char.is_ascii_digit())?;
    }
    cursor.end()
}

/// The end of what may stand between two digits, or `at` where none follows. `None` where that is not known yet.
fn separator(view: &View<'_>, at: usize) -> Option<usize> {
    let mut after = at;
    let mut has_parenthesis = false;
    for count in 0..=MAX_SEPARATOR {
        if count == MAX_SEPARATOR && !has_parenthesis {
            break;
        }
        match view.next(after) {
            Next::Unknown => return None,
            Next::Char('0'..='9') => return Some(after),
            Next::Char(char @ (' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')')) => {
                has_parenthesis |= matches!(char, '(' | ')');
                after += char.len_utf8();
            }
            _ => return Some(at),
        }
    }
    Some(at)
}

impl Digits {
    /// Whether there was room for one more.
    fn add(&mut self, digit: u8) -> bool {
        let has_room = self.count < MAX_DIALLED;
        if has_room {
            self.digits[self.count] = digit;
            self.count += 1;
        }
        has_room
    }

    fn read(&self) -> &[u8] {
        &self.digits[..self.count]
    }

    /// Whether the groups are those of a date (`12/03/1980`), whatever follows it, or of a social security number of the US.
    fn are_something_else(&self) -> bool {
        let ends_before = |count: usize| self.groups & ((1 << count) - 1) & !1;
        let number = |digits: &[u8]| {
            let digits = digits.iter().copied().map(u16::from);
            digits.fold(0, |number, digit| number * 10 + digit)
        };
        let is_date = match self.read() {
            [a, b, c, d, rest @ ..] if rest.len() >= 4 => {
                let (first, second) = (number(&[*a, *b]), number(&[*c, *d]));
                (1..=12).contains(&first.min(second))
                    && (1..=31).contains(&first.max(second))
                    && (1900..2100).contains(&number(&rest[..4]))
                    && ends_before(8) == 1 << 2 | 1 << 4
                    && (self.count == 8 || self.groups & 1 << 8 != 0)
            }
            _ => false,
        };
        is_date || self.count == 9 && ends_before(9) == 1 << 3 | 1 << 5
    }

    /// Whether these are the digits of a number as `region` writes it.
    fn is_of(&self, region: Region) -> bool {
        match (region, self.read()) {
            // <https://www.nanpa.com/numbering/about-north-american-numbering-plan>: NXX NXX XXXX; N is 2 to 9, N9X and N11 are no area codes and
            // N11 is no office code. Groups are these three.
            (Region::Us, [1, rest @ ..]) if rest.len() == 10 => {
                is_american(rest) && self.has_groups(&[1, 4, 7])
            }
            (Region::Us, rest) => is_american(rest) && self.has_groups(&[3, 6]),
            // <https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbering-policy>: the National Telephone Numbering Plan, A1.
            (Region::Gb, [0, 1..=3 | 5 | 7..=9, ..]) => matches!(self.count, 10 | 11),
            // <https://www.bundesnetzagentur.de/DE/Fachthemen/Telekommunikation/Nummerierung/start.html>: up to 11 digits behind the zero.
            (Region::De, [0, 1..=9, ..]) => matches!(self.count, 8..=12),
            // <https://www.arcep.fr/la-regulation/grands-dossiers-thematiques-transverses/la-numerotation.html>
            (Region::Fr, [0, 1..=9, ..]) => self.count == 10,
            // <https://numeracionyoperadores.cnmc.es/>: nine digits, fixed ones with 8 and 9, mobile ones with 6 and 7.
            (Region::Es, [6..=9, ..]) => self.count == 9,
            // <https://www.mimit.gov.it/it/comunicazioni/servizi-alle-imprese/numerazione>: fixed ones with their zero, mobile ones with 3.
            (Region::It, [0, 1..=9, ..]) => matches!(self.count, 8..=11),
            (Region::It, [3, ..]) => matches!(self.count, 9 | 10),
            // <https://wetten.overheid.nl/BWBR0010198/>: nine digits behind the zero.
            (Region::Nl, [0, 1..=9, ..]) => self.count == 10,
            // <https://www.acma.gov.au/numbering>: area codes 2, 3, 7 and 8, mobile ones with 4.
            (Region::Au, [0, 2 | 3 | 4 | 7 | 8, ..]) => self.count == 10,
            // <https://dot.gov.in/national-numbering-plan>: mobile ones with 6 to 9; fixed ones ten digits behind the zero.
            (Region::In, [6..=9, ..]) => self.count == 10,
            (Region::In, [0, 1..=9, ..]) => self.count == 11,
            _ => false,
        }
    }

    /// Whether the digits stand together, or in groups that end after these counts.
    fn has_groups(&self, ends: &[usize]) -> bool {
        let inside = self.groups & !1 & !(1 << self.count);
        let allowed = ends.iter().fold(0, |bits, end| bits | 1 << end);
        let last_two = &ends[ends.len() - 2..];
        inside == 0 || (inside & !allowed == 0 && last_two.iter().all(|end| inside & 1 << end != 0))
    }
}

/// Whether these are the digits of a number with its country code. Some write the trunk's zero too: `+49 (0)30`.
fn is_international(digits: &[u8]) -> bool {
    let &[a, b, c, ..] = digits else {
        return false;
    };
    let [a, b, c] = [a, b, c].map(u16::from);
    let lengths = match (a, a * 10 + b, a * 100 + b * 10 + c) {
        (0, ..) => return false,
        (1 | 7, ..) => 11..=11,
        (_, 33 | 34 | 31 | 61, _) => 11..=12,
        (_, 44, _) => 9..=13,
        (_, 91, _) => 12..=13,
        (_, 39, _) => MIN_DIGITS..=13,
        (_, two, _) if is_two(two) => MIN_DIGITS..=MAX_DIGITS,
        (.., three) if is_three(three) => MIN_DIGITS..=MAX_DIGITS,
        _ => return false,
    };
    lengths.contains(&digits.len())
}

fn is_american(digits: &[u8]) -> bool {
    match digits {
        [2..=9, b @ 0..=8, c, 2..=9, e, f, _, _, _, _] => (*b, *c) != (1, 1) && (*e, *f) != (1, 1),
        _ => false,
    }
}

/// Country codes of two digits.
fn is_two(code: u16) -> bool {
    matches!(code, 20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98)
}

/// Country codes of three digits, and those of services.
fn is_three(code: u16) -> bool {
    matches!(code,
        211..=213 | 216 | 218 | 220..=269 | 290 | 291 | 297..=299 | 350..=359 | 370..=378 | 380..=383 | 385..=387 | 389 | 420 | 421 | 423
        | 500..=509 | 590..=599 | 670 | 672..=683 | 685..=692 | 800 | 808 | 850 | 852 | 853 | 855 | 856 | 870 | 878 | 880..=883 | 886 | 888
        | 960..=968 | 970..=977 | 979 | 992..=996 | 998)
}

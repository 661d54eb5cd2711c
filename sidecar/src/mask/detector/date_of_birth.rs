//! DATE_OF_BIRTH: dates that a text calls somebody's birthday, a little before them.
//!
//! The forms are those of ISO 8601 (`1980-03-12`, `19800312`), day, month and year in digits in either order with `/`, `-` or `.` between them, and
//! with the month's name. The words before them and the months are English, German, French, Spanish, Italian, Portuguese and Dutch
//! (<https://cldr.unicode.org/>, gregorian months), the words Chinese too. Only the date is masked.

use super::{
    Detect, Found, Reach, Row, Triggers,
    context::{Context, Word},
    cursor::{Cursor, Step},
};
use crate::mask::{
    bytes::ByteSet,
    view::{Next, View},
};

/// What says that a date is one.
const WORDS: [Word; 24] = [
    Word::Part("birth"),
    Word::Part("geburt"),
    Word::Part("geboren"),
    Word::Part("geboorte"),
    Word::Part("naissance"),
    Word::Part("nacimiento"),
    Word::Part("nascimento"),
    Word::Part("nascita"),
    Word::Part("cumpleaños"),
    Word::Part("compleanno"),
    Word::Part("出生"),
    Word::Part("生日"),
    Word::Whole("born"),
    Word::Whole("dob"),
    Word::Whole("d.o.b"),
    Word::Whole("bday"),
    Word::Whole("geb"),
    Word::Whole("né le"),
    Word::Whole("née le"),
    Word::Whole("nacido"),
    Word::Whole("nacida"),
    Word::Whole("nascido"),
    Word::Whole("nato il"),
    Word::Whole("nata il"),
];

/// The months' names and what of them stands for the whole, in order.
const MONTHS: [&str; 67] = [
    "abril",
    "agosto",
    "août",
    "apr",
    "april",
    "aprile",
    "aug",
    "august",
    "avril",
    "dec",
    "december",
    "dezember",
    "dezembro",
    "dicembre",
    "diciembre",
    "décembre",
    "enero",
    "feb",
    "febbraio",
    "febrero",
    "februar",
    "february",
    "février",
    "gennaio",
    "giugno",
    "jan",
    "janeiro",
    "januar",
    "january",
    "janvier",
    "juillet",
    "juin",
    "jul",
    "juli",
    "julio",
    "july",
    "jun",
    "june",
    "juni",
    "junio",
    "luglio",
    "maggio",
    "mai",
    "mar",
    "march",
    "mars",
    "marzo",
    "março",
    "may",
    "mayo",
    "märz",
    "nov",
    "november",
    "novembre",
    "noviembre",
    "oct",
    "october",
    "octobre",
    "octubre",
    "oktober",
    "ottobre",
    "sep",
    "sept",
    "september",
    "septembre",
    "septiembre",
    "settembre",
];
/// The longest of them, in bytes, and a dot and two spaces.
const REACH: usize = 14;
/// The longest of them, in characters.
const MAX_MONTH: usize = 10;

/// Finds dates.
pub(super) struct DateOfBirth {
    context: Context,
}

impl DateOfBirth {
    pub(super) fn new() -> Self {
        Self {
            context: Context::new(&WORDS),
        }
    }
}

impl Detect for DateOfBirth {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let is_begin = match view.next(start) {
            Next::Char(char) if char.is_ascii_digit() => {
                view.is_number_start(start) && month_before(view, start).is_none()
            }
            Next::Char(char) => char.is_alphabetic() && view.is_free_before(start),
            Next::End | Next::Unknown => false,
        };
        if !is_begin {
            return Found::Nothing;
        }
        let found = date(Cursor { view, at: start }).into();
        self.context.confirm(view, start, found)
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::rows()]
    }

    fn may_be(&self, row: &Row) -> bool {
        if !row.is_start {
            return false;
        }
        // A month stands there or `of`, or behind a month the year.
        let is_word = |byte: u8| !byte.is_ascii() || may_begin(byte);
        let is_next = |byte: u8| {
            is_word(byte) || byte == b' ' || (byte.is_ascii_digit() && row.before == Some(b' '))
        };
        match (row.count, row.next) {
            (_, None) | (8, _) => true,
            // In digits, with the same between day and month and before the year.
            (1 | 2 | 4, Some(b'-' | b'/' | b'.')) if row.may_go_on() => {
                row.more.is_none_or(|more| {
                    more.next.is_none() || (more.count <= 2 && more.next == row.next)
                })
            }
            (1 | 2, Some(b'-')) => row.then.is_none_or(is_word),
            (1 | 2, Some(b'.')) => row
                .then
                .is_none_or(|byte| is_next(byte) || byte.is_ascii_alphabetic()),
            (1 | 2, Some(b' ')) => row.then.is_none_or(is_next),
            (1 | 2, Some(b',')) => {
                row.before == Some(b' ') && row.then.is_none_or(|byte| byte == b' ')
            }
            // `st` and the like.
            (1 | 2, Some(next)) => !next.is_ascii() || next.is_ascii_alphabetic(),
            _ => false,
        }
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        Some(month_before(view, trigger).unwrap_or(trigger))
    }

    fn reach(&self) -> Reach {
        let letters = MONTHS.iter().map(|month| month.as_bytes()[0]);
        let both = letters.flat_map(|letter| [letter, letter.to_ascii_uppercase()]);
        Reach::bytes(REACH, ByteSet::of(both.chain(b'0'..=b'9')))
    }
}

/// Where the month's name begins that stands before a day.
fn month_before(view: &View<'_>, day: usize) -> Option<usize> {
    let mut near = view.bytes()[..day].iter().rev().copied();
    let is_near = |byte: u8| byte == b'.' || byte.is_ascii_alphabetic() || !byte.is_ascii();
    // Most numbers have something else before their spaces.
    if near.next() != Some(b' ') || !near.find(|byte| *byte != b' ').is_some_and(is_near) {
        return None;
    }
    let before = view.before(day, REACH + 4);
    let name = before.trim_end_matches(' ');
    let name = name.strip_suffix('.').unwrap_or(name);
    if before.len() - name.len() > 3 {
        return None;
    }
    let begin = name
        .char_indices()
        .rfind(|(_, char)| !char.is_alphabetic())
        .map_or(0, |(at, char)| at + char.len_utf8());
    let name = &name[begin..];
    (name.len() >= 3 && is_month(name)).then(|| day - before.len() + begin)
}

fn is_month(name: &str) -> bool {
    closest_month(name) == Some(name.len())
}

/// Whether a month or `of` may begin with this.
fn may_begin(first: u8) -> bool {
    matches!(
        first.to_ascii_lowercase(),
        b'a' | b'd' | b'e' | b'f' | b'g' | b'j' | b'l' | b'm' | b'n' | b'o' | b's'
    )
}

/// Whether the first two letters of ASCII are those of a month: few other words begin like that.
fn begins_month(name: &[u8]) -> bool {
    let [first, second, ..] = name else {
        return true;
    };
    match (first.to_ascii_lowercase(), second.to_ascii_lowercase()) {
        (first, second) if !(first.is_ascii() && second.is_ascii()) => true,
        (b'a', b'b' | b'g' | b'o' | b'p' | b'u' | b'v')
        | (b'd', b'e' | b'i')
        | (b'e', b'n')
        | (b'f', b'e')
        | (b'g', b'e' | b'i')
        | (b'j', b'a' | b'u')
        | (b'l', b'u')
        | (b'm', b'a')
        | (b'n', b'o')
        | (b'o', b'c' | b'k' | b't')
        | (b's', b'e') => true,
        _ => false,
    }
}

/// The length of the first month that begins with `name`.
fn closest_month(name: &str) -> Option<usize> {
    if !begins_month(name.as_bytes()) {
        return None;
    }
    let mut ascii = [0; MAX_MONTH];
    let unicode;
    let name = match ascii.get_mut(..name.len()) {
        Some(lower) if name.is_ascii() => {
            lower.copy_from_slice(name.as_bytes());
            lower.make_ascii_lowercase();
            &*lower
        }
        None if name.is_ascii() => return None,
        _ => {
            unicode = name.to_lowercase();
            unicode.as_bytes()
        }
    };
    let index = MONTHS.partition_point(|month| month.as_bytes() < name);
    let month = MONTHS.get(index)?.as_bytes();
    month.starts_with(name).then_some(month.len())
}

/// A date, to its end.
fn date(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    if cursor.peek()?.is_some_and(|char| !char.is_ascii_digit()) {
        month(&mut cursor)?;
        cursor.eat(|char| char == '.')?;
        spaces(&mut cursor, 1)?;
        day(&mut cursor)?;
        ordinal(&mut cursor)?;
        cursor.eat(|char| char == ',')?;
        spaces(&mut cursor, 1)?;
        return year(cursor);
    }
    let (first, length) = cursor.number(1, 8)?;
    match length {
        8 => {
            let (year, month, day) = (first / 10_000, first / 100 % 100, first % 100);
            if is_year(year) && is_day_of(month, day) {
                return cursor.end();
            }
            Err(Found::Nothing)
        }
        4 if is_year(first) => {
            let separator = cursor.expect(|char| matches!(char, '-' | '/' | '.'))?;
            let (month, _) = cursor.number(1, 2)?;
            cursor.expect(|char| char == separator)?;
            let (day, _) = cursor.number(1, 2)?;
            // A time may follow: `1980-03-12T00:00`.
            if is_day_of(month, day) {
                Ok(cursor.at)
            } else {
                Err(Found::Nothing)
            }
        }
        1 | 2 if (1..=31).contains(&first) => {
            if let Some(separator) = cursor.eat(|char| matches!(char, '-' | '/' | '.'))? {
                let next = cursor.peek()?;
                if next.is_some_and(|char| char.is_ascii_digit()) {
                    let (second, _) = cursor.number(1, 2)?;
                    if !is_day_of(second, first) && !is_day_of(first, second) {
                        return Err(Found::Nothing);
                    }
                    cursor.expect(|char| char == separator)?;
                    return short_year(cursor);
                }
                if separator == '-' {
                    month(&mut cursor)?;
                    cursor.expect(|char| char == '-')?;
                    return year(cursor);
                }
            }
            ordinal(&mut cursor)?;
            spaces(&mut cursor, 1)?;
            of(&mut cursor)?;
            month(&mut cursor)?;
            cursor.eat(|char| matches!(char, '.' | ','))?;
            spaces(&mut cursor, 1)?;
            of(&mut cursor)?;
            year(cursor)
        }
        _ => Err(Found::Nothing),
    }
}

fn spaces(cursor: &mut Cursor<'_, '_>, least: usize) -> Step<()> {
    cursor.run(least, 2, |char| char == ' ').map(|_| ())
}

/// `of` and the like, and the space behind it.
fn of(cursor: &mut Cursor<'_, '_>) -> Step<()> {
    let start = cursor.at;
    let word = cursor.run(0, MAX_MONTH, char::is_alphabetic)?;
    if matches!(word, "of" | "de" | "do") {
        spaces(cursor, 1)
    } else {
        cursor.at = start;
        Ok(())
    }
}

fn month(cursor: &mut Cursor<'_, '_>) -> Step<()> {
    let text = &cursor.view.text[cursor.at..];
    let is_cut = text.chars().take(MAX_MONTH + 1).all(char::is_alphabetic);
    if is_cut && closest_month(text).is_none() {
        return Err(Found::Nothing);
    }
    if is_month(cursor.run(3, MAX_MONTH, char::is_alphabetic)?) {
        Ok(())
    } else {
        Err(Found::Nothing)
    }
}

fn day(cursor: &mut Cursor<'_, '_>) -> Step<()> {
    match cursor.number(1, 2)? {
        (1..=31, _) => Ok(()),
        _ => Err(Found::Nothing),
    }
}

/// `st`, `nd`, `rd`, `th`, `er`, `º`, if one stands here.
fn ordinal(cursor: &mut Cursor<'_, '_>) -> Step<()> {
    let start = cursor.at;
    let word = cursor.run(0, MAX_MONTH, char::is_alphabetic)?;
    if !matches!(word, "" | "st" | "nd" | "rd" | "th" | "er" | "º") {
        cursor.at = start;
    }
    Ok(())
}

/// A year of four digits, which ends the date.
fn year(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    match cursor.number(4, 4)? {
        (number, _) if is_year(number) => cursor.end(),
        _ => Err(Found::Nothing),
    }
}

/// A year of two or four digits, which ends the date.
fn short_year(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    match cursor.number(2, 4)? {
        (_, 2) => cursor.end(),
        (number, 4) if is_year(number) => cursor.end(),
        _ => Err(Found::Nothing),
    }
}

fn is_year(number: u32) -> bool {
    (1900..2100).contains(&number)
}

fn is_day_of(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

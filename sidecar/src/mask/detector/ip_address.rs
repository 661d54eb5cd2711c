//! IP_ADDRESS: addresses of IP version 4 in dotted decimals (RFC 3986 section 3.2.2, without zeros in front), and of version 6 in any of the forms
//! of RFC 4291 section 2.2, with a zone (RFC 4007 section 11) or without.
//!
//! `::` alone is none, and neither is one without a decimal digit: `ab::cd` is a name in a program far more often.

use std::net::Ipv6Addr;

use super::{
    Detect, Found, Reach, Row, Triggers,
    cursor::{Cursor, Step},
};
use crate::mask::{
    bytes::ByteSet,
    view::{Next, View},
};

/// The longest way to write one, of version 6 with the last 32 bits in decimals.
const MAX_V6: usize = 45;
/// The longest name of an interface on Linux, IFNAMSIZ without its zero.
const MAX_ZONE: usize = 15;
/// Digits of one group of version 6.
const GROUP: usize = 4;

/// Finds addresses.
pub(super) struct IpAddress;

impl Detect for IpAddress {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if !view.is_free_before(start) || view.byte_before(start) == Some(b':') {
            return Found::Nothing;
        }
        let (v4, v6) = (v4(Cursor { view, at: start }), v6(view, start));
        match (v4, v6) {
            (Err(Found::Open), _) | (_, Found::Open) => Found::Open,
            (Ok(end), _) => Found::Value(end),
            (Err(_), v6) => v6,
        }
    }

    fn triggers(&self) -> Vec<Triggers> {
        let mut next = ByteSet::of((0..=u8::MAX).filter(u8::is_ascii_hexdigit));
        next.add(&ByteSet::of([b':']));
        vec![Triggers::rows(), Triggers::pairs(ByteSet::of([b':']), next)]
    }

    fn may_be(&self, row: &Row) -> bool {
        // What begins with a group of version 6 is led to by its colon.
        row.count <= 3
            && match (row.next, &row.more) {
                (None, _) => true,
                (Some(b'.'), None) => row.may_go_on(),
                (Some(b'.'), Some(more)) => {
                    row.may_go_on() && more.count <= 3 && matches!(more.next, None | Some(b'.'))
                }
                _ => false,
            }
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        if view.byte(trigger) != Some(b':') {
            return Some(trigger);
        }
        let before = view.before(trigger, GROUP).bytes();
        Some(trigger - before.rev().take_while(u8::is_ascii_hexdigit).count())
    }

    fn reach(&self) -> Reach {
        Reach::bytes(
            GROUP,
            ByteSet::of((0..=u8::MAX).filter(u8::is_ascii_hexdigit)),
        )
    }

    fn normalize(&self, value: &str) -> String {
        value
            .parse::<Ipv6Addr>()
            .map_or_else(|_| value.to_owned(), |address| address.to_string())
    }
}

fn v4(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    let before = cursor.view.before(cursor.at, 2).as_bytes();
    if matches!(before, [b'0'..=b'9', b'.']) {
        return Err(Found::Nothing);
    }
    for octet in 0..4 {
        if octet > 0 {
            cursor.expect(|char| char == '.')?;
        }
        let digits = cursor.run(1, 3, |char| char.is_ascii_digit())?;
        if digits.parse::<u8>().is_err() || (digits.len() > 1 && digits.starts_with('0')) {
            return Err(Found::Nothing);
        }
    }
    let end = cursor.end()?;
    // `1.2.3.4.5` is a version.
    if cursor.eat(|char| char == '.')?.is_some()
        && cursor.peek()?.is_some_and(|c| c.is_ascii_digit())
    {
        return Err(Found::Nothing);
    }
    Ok(end)
}

fn v6(view: &View<'_>, start: usize) -> Found {
    let run = view.bytes()[start..]
        .iter()
        .take(MAX_V6 + 1)
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    let text = &view.text[start..start + run];
    let next = view.next(start + run);
    let may_be = next == Next::Unknown || text.as_bytes().contains(&b':');
    if run == 0 || run > MAX_V6 || !may_be || !is_begin(text) {
        return Found::Nothing;
    }
    if next == Next::Unknown {
        return Found::Open;
    }
    // What ends a sentence is none of it.
    let kept = text.trim_end_matches('.');
    let kept = match kept.strip_suffix(':') {
        Some(one) if !one.ends_with(':') => one,
        _ => kept,
    };
    let is_address = kept.parse::<Ipv6Addr>().is_ok() && kept.bytes().any(|b| b.is_ascii_digit());
    let end = start + kept.len();
    if !is_address || view.is_free_after(end) == Some(false) {
        return Found::Nothing;
    }
    if next != Next::Char('%') || kept.len() < run {
        return Found::Value(end);
    }
    let mut cursor = Cursor { view, at: end + 1 };
    match cursor.run(1, MAX_ZONE, |char| char.is_ascii_alphanumeric()) {
        Ok(_) => Found::Value(cursor.at),
        Err(Found::Open) => Found::Open,
        Err(_) => Found::Value(end),
    }
}

/// Whether an address can begin like that.
fn is_begin(text: &str) -> bool {
    let (head, _) = text.split_once('.').unwrap_or((text, ""));
    // The last 32 bits may be in decimals, but no address of version 6 begins with them.
    if head.len() < text.len() && !head.contains(':') {
        return false;
    }
    let groups = head.split(':').filter(|group| !group.is_empty());
    groups.clone().count() <= 8
        && groups.clone().all(|group| group.len() <= GROUP)
        && text.matches("::").count() <= 1
        && !text.contains(":::")
}

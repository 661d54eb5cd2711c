//! EMAIL: addresses of mail, as people write them.
//!
//! The syntax is that of RFC 5321 section 4.1.2 and RFC 6531 section 3.3, with these differences. Quoted local parts and addresses of bare numbers
//! (`me@[192.0.2.1]`) are not found. Of the punctuation of a local part `. _ % + - ' ~` are taken: the rest (`= & / # ?` …) stands around addresses
//! far more often than in them. A domain has at least two labels, and the last one is of letters, or `xn--` and more (RFC 3696 section 2),
//! and not the extension of a file that no domain has (`icon@2x.png`). Characters of scripts without spaces end an address.

use super::{Detect, Found, Reach, Triggers};
use crate::mask::{
    bytes::ByteSet,
    view::{Next, View, escape, joins},
};

/// RFC 5321 section 4.5.3.1.1, in bytes. Of a longer local part the last so many are masked.
const MAX_LOCAL: usize = 64;
/// RFC 1035 section 2.3.4 allows 255 with the lengths of the labels; this is how long such a name is when written.
const MAX_DOMAIN: usize = 253;
/// RFC 1035 section 2.3.4.
const MAX_LABEL: usize = 63;

/// Extensions of files that are no top-level domains (<https://data.iana.org/TLD/tlds-alpha-by-domain.txt>).
const EXTENSIONS: [&str; 28] = [
    "css", "csv", "dll", "doc", "docx", "exe", "gif", "gz", "html", "jar", "jpeg", "jpg", "js",
    "json", "jsx", "lock", "pdf", "png", "svg", "tgz", "toml", "ts", "tsx", "txt", "webp", "xml",
    "yaml", "yml",
];

/// Finds addresses.
pub(super) struct Email;

impl Detect for Email {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let text = &view.text[start..];
        let end = text
            .char_indices()
            .find(|(at, char)| *at > MAX_LOCAL || !is_local(*char))
            .map(|(at, _)| start + at);
        match end {
            None if text.len() > MAX_LOCAL || view.is_last => Found::Nothing,
            None if local(view, view.text.len()) <= start => Found::Open,
            None => Found::Nothing,
            Some(end) if end == start || view.byte(end) != Some(b'@') => Found::Nothing,
            Some(end) if local(view, end) != start => Found::Nothing,
            Some(end) => domain(view, end + 1),
        }
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![Triggers::bytes(ByteSet::of([b'@']))]
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        Some(local(view, trigger)).filter(|start| *start < trigger)
    }

    fn reach(&self) -> Reach {
        Reach {
            is_far: true,
            ..Reach::NONE
        }
    }

    fn tail(&self, view: &View<'_>, from: usize) -> Option<usize> {
        let end = view.text.len();
        Some(local(view, end).max(from)).filter(|start| *start < end)
    }

    fn normalize(&self, value: &str) -> String {
        value.to_lowercase()
    }
}

/// Where the local part begins that ends at `end`; `end` itself where there is none.
fn local(view: &View<'_>, end: usize) -> usize {
    let window = view.before(end, MAX_LOCAL);
    let run = window
        .char_indices()
        .rfind(|(_, char)| !is_local(*char))
        .map_or(0, |(at, char)| at + char.len_utf8());
    let mut start = end - window.len() + run;
    // The `n` of an escaped end of line is none of it, and neither are the digits of an escaped `<`.
    if view.byte_before(start) == Some(b'\\') {
        start += escape(&view.bytes()[start..end]);
    }
    view.text[start..end]
        .find(|char| joins(char) || char == '_')
        .map_or(end, |at| start + at)
}

/// Whether a local part may have it.
fn is_local(char: char) -> bool {
    joins(char) || matches!(char, '.' | '_' | '%' | '+' | '-' | '\'' | '~')
}

/// The longest domain that begins at `start`.
fn domain(view: &View<'_>, start: usize) -> Found {
    let (mut at, mut label, mut labels) = (start, start, 0);
    let mut best = None;
    while at - start <= MAX_DOMAIN && at - label <= MAX_LABEL {
        let next = view.next(at);
        if let Next::Char(char) = next
            && joins(char)
        {
            at += char.len_utf8();
            continue;
        }
        if next == Next::Unknown {
            return Found::Open;
        }
        // A word ends here, and so may the domain.
        if labels > 0 && is_top(&view.text[label..at]) {
            best = Some(at);
        }
        match next {
            Next::Char('-') if at > label => at += 1,
            Next::Char('.') if at > label && !view.text[..at].ends_with('-') => {
                at += 1;
                labels += 1;
                label = at;
            }
            _ => break,
        }
    }
    Found::value(best)
}

/// Whether a name is one that a domain may end with.
fn is_top(label: &str) -> bool {
    let is_word = label.chars().nth(1).is_some() && label.chars().all(char::is_alphabetic);
    let is_coded = label
        .get(..4)
        .is_some_and(|head| head.eq_ignore_ascii_case("xn--"))
        && label.len() > 4
        && !label.ends_with('-');
    (is_word
        && !EXTENSIONS
            .iter()
            .any(|name| name.eq_ignore_ascii_case(label)))
        || is_coded
}

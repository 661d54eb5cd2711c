//! PRIVATE_KEY: private keys in PEM (RFC 7468 sections 10 and 11, RFC 1421, OpenSSH) and in the armour of OpenPGP (RFC 9580 section 6.2).
//!
//! A key may be longer than anything is held back for: once its begin is told, it is masked as it comes, to its last line, or to what no key has in
//! it where that is missing. Ends of lines may be written as in JSON or a program (`\n`), since keys stand in texts inside of texts.

use super::{
    Detect, Found, Triggers,
    cursor::{Cursor, Step},
};
use crate::mask::{
    bytes::ByteSet,
    swallow::{Pem, Swallow},
    view::View,
};

const BEGIN: &str = "-----BEGIN ";
const CLOSE: &str = "-----";
/// `OPENSSH PRIVATE KEY` and the like.
const MAX_LABEL: usize = 40;
/// What may stand between the first line and the key.
const MAX_SPACE: usize = 32;
/// So much of a key must be there, or it is one that is talked about.
const MIN_KEY: usize = 16;

/// Finds keys.
pub(super) struct PrivateKey;

impl Detect for PrivateKey {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        if view.byte_before(start) == Some(b'-') {
            return Found::Nothing;
        }
        match read(Cursor { view, at: start }) {
            Ok(end) => Found::Long(end, Swallow::Pem(Pem::default())),
            Err(found) => found,
        }
    }

    fn triggers(&self) -> Vec<Triggers> {
        let hyphen = ByteSet::of([b'-']);
        vec![Triggers::pairs(hyphen.clone(), hyphen)]
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        Some(trigger).filter(|at| view.byte_before(*at) != Some(b'-'))
    }
}

/// To where it is certain that a key is there.
fn read(mut cursor: Cursor<'_, '_>) -> Step<usize> {
    cursor.literal(BEGIN)?;
    let label = cursor.run(1, MAX_LABEL, |char| {
        char.is_ascii_uppercase() || char.is_ascii_digit() || char == ' '
    })?;
    let label = label.strip_suffix(" BLOCK").unwrap_or(label);
    if !label.ends_with("PRIVATE KEY") {
        return Err(Found::Nothing);
    }
    cursor.literal(CLOSE)?;
    let begin = cursor.at;
    loop {
        if cursor.at - begin > MAX_SPACE {
            return Err(Found::Nothing);
        }
        if cursor.eat(|char| char == '\\')?.is_some() {
            cursor.eat(|char| matches!(char, 'n' | 'r'))?;
        } else if cursor
            .eat(|char| char.is_ascii_whitespace() || matches!(char, '"' | '\'' | '+' | ','))?
            .is_none()
        {
            break;
        }
    }
    // A header's name, or the key.
    let mut count = 0;
    while count < MIN_KEY {
        let char = cursor.expect(|char| {
            char.is_ascii_alphanumeric() || matches!(char, '+' | '/' | '=' | '-' | ':')
        })?;
        count += 1;
        match char {
            ':' if count > 1 => break,
            ':' => return Err(Found::Nothing),
            _ => {}
        }
    }
    Ok(cursor.at)
}

//! Which member of an object a key is, and which it may be to another parser.

use std::borrow::Cow;

use super::Fault;

/// The members that are read of an object.
#[derive(Clone, Copy)]
pub(super) enum Fields<'f> {
    /// None.
    None,
    /// These.
    Plain(&'f [&'static str]),
    /// These, in camel case or in snake case.
    Proto(&'f [&'static str]),
}

impl Fields<'_> {
    /// Which one `key` is.
    ///
    /// # Errors
    /// It is one but for case.
    pub(super) fn find(self, key: &str) -> Result<Option<&'static str>, Fault> {
        let (fields, is_proto) = match self {
            Self::None => return Ok(None),
            Self::Plain(fields) => (fields, false),
            Self::Proto(fields) => (fields, true),
        };
        let is_exact = |field: &str| field == key || is_proto && is_snake(key, field);
        if let Some(field) = fields.iter().find(|field| is_exact(field)) {
            return Ok(Some(field));
        }
        let bare: Cow<'_, str> = match is_proto && key.contains('_') {
            true => key.replace('_', "").into(),
            false => key.into(),
        };
        let is_same = |field: &&&str| {
            if bare.is_ascii() {
                bare.eq_ignore_ascii_case(field)
            } else {
                is_folded(&bare, field)
            }
        };
        match fields.iter().find(is_same) {
            Some(field) => Err(Fault::KeyCase(field)),
            None => Ok(None),
        }
    }
}

/// Whether `key` is `field` in snake case.
fn is_snake(key: &str, field: &str) -> bool {
    let mut rest = key.bytes();
    let is_same = field.bytes().all(|byte| {
        if byte.is_ascii_uppercase() {
            rest.next() == Some(b'_') && rest.next() == Some(byte.to_ascii_lowercase())
        } else {
            rest.next() == Some(byte)
        }
    });
    is_same && rest.next().is_none()
}

/// Whether a parser without regard to case takes `key` for `field`, which is ASCII. Go folds by Unicode's simple rule, by which two characters
/// outside ASCII are letters within: U+017F is `s` and U+212A is `k` (<https://pkg.go.dev/encoding/json#Unmarshal>).
fn is_folded(key: &str, field: &str) -> bool {
    let folded = key.chars().map(|character| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    });
    folded.eq(field.chars().map(|c| c.to_ascii_lowercase()))
}

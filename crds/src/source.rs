//! What a source must be like before its bytes become a credential: alike on a cluster and on a laptop.

use crate::secret::Secret;

/// The longest secret that is taken. Servers refuse headers well below that.
const MAX_BYTES: usize = 16 * 1024;

/// Why a value cannot be a credential's secret. It tells nothing of the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has nothing in it but line ends and white space.
    #[error("is empty")]
    Empty,
    /// It is longer than a header may be.
    #[error("is longer than 16 KiB, more than a header can carry")]
    TooLong,
    /// It has a line end, tab or other control character inside.
    #[error(
        "has a line end, tab or other control character inside, and no header can carry that (line ends after it are taken off)"
    )]
    ControlCharacter,
    /// It has a byte outside ASCII, as of a byte-order mark.
    #[error(
        "has a character outside ASCII, perhaps a byte-order mark that an editor wrote, and no header can carry that"
    )]
    NotAscii,
}

/// Whether the value of [`ALLOW_IDENTITY_ANNOTATION`](crate::names::ALLOW_IDENTITY_ANNOTATION) has `identity` or `*` among its
/// comma-separated names. No annotation is no consent.
pub fn consents(annotation: Option<&str>, identity: &str) -> bool {
    annotation
        .into_iter()
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .any(|name| name == "*" || name == identity)
}

/// The secret in `value`, without the line end that `echo key > file` and most editors put after it.
///
/// # Errors
/// [`Unfit`] when no header could carry it.
pub fn secret(value: &[u8]) -> Result<Secret, Unfit> {
    let mut value = value;
    while let [rest @ .., b'\n' | b'\r'] = value {
        value = rest;
    }
    if value.iter().all(u8::is_ascii_whitespace) {
        Err(Unfit::Empty)
    } else if value.len() > MAX_BYTES {
        Err(Unfit::TooLong)
    } else if value.iter().any(u8::is_ascii_control) {
        Err(Unfit::ControlCharacter)
    } else if !value.is_ascii() {
        Err(Unfit::NotAscii)
    } else {
        Ok(Secret::new(value.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_names_the_identity_or_all() {
        assert!(consents(Some("*"), "bot"));
        assert!(consents(Some("other, bot"), "bot"));
        assert!(!consents(Some("bot2"), "bot"));
        assert!(!consents(Some(""), "bot"));
        assert!(!consents(None, "bot"));
    }

    #[test]
    fn a_line_end_after_the_secret_is_not_part_of_it() {
        assert_eq!(secret(b"sk-live\r\n").unwrap().expose(), b"sk-live");
        assert_eq!(secret(b" sk live ").unwrap().expose(), b" sk live ");
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        assert_eq!(secret(b"\n"), Err(Unfit::Empty));
        assert_eq!(secret(b"  \t"), Err(Unfit::Empty));
        assert_eq!(secret(b"sk\nlive"), Err(Unfit::ControlCharacter));
        assert_eq!(secret("\u{feff}sk-live".as_bytes()), Err(Unfit::NotAscii));
        assert_eq!(secret(&[b'k'; MAX_BYTES + 1]), Err(Unfit::TooLong));
    }
}

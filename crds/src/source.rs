//! What a source must be like before its bytes become a credential: alike on a cluster and on a laptop.

mod aws;

pub use aws::AwsKeys;

use crate::{agent_identity::Credential, secret::Secret};

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
    /// It should be `user:password`, and has no colon.
    #[error(
        "has no ':' between a user's name and a password; set inject.basic.username if it is the password alone"
    )]
    NoColon,
    /// It has a character that ends or quotes a cookie's value.
    #[error(
        "has a space, comma, semicolon, quote or backslash in it, and no cookie can carry that"
    )]
    NotACookie,
    /// It should be the keys of an AWS principal.
    #[error(
        "is not a JSON document with accessKeyId, secretAccessKey and perhaps sessionToken, each a text of printable ASCII characters without spaces"
    )]
    NotAwsKeys,
}

/// What a secret must look like, for the way in which it is put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything that a header can carry.
    Text,
    /// `user:password`.
    UserAndPassword,
    /// What RFC 6265 section 4.1.1 allows in a cookie.
    Cookie,
    /// The JSON document of [`AwsKeys`].
    AwsKeys,
}

impl Shape {
    /// What the secret of `credential` must look like.
    pub fn of(credential: &Credential) -> Self {
        let Some(inject) = credential.inject() else {
            return Self::Text;
        };
        if inject.cookie.is_some() {
            Self::Cookie
        } else if let Some(basic) = &inject.basic
            && basic.username.is_none()
        {
            Self::UserAndPassword
        } else if inject.aws_sig_v4.is_some() {
            Self::AwsKeys
        } else {
            Self::Text
        }
    }
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
/// [`Unfit`] when it is not of `shape`, or no header could carry it.
pub fn secret(value: &[u8], shape: Shape) -> Result<Secret, Unfit> {
    fit(value, shape).map(|value| Secret::new(value.to_vec()))
}

/// The part of `value` that is the secret, where it is of `shape`: see [`secret`].
///
/// # Errors
/// Alike.
pub fn fit(mut value: &[u8], shape: Shape) -> Result<&[u8], Unfit> {
    while let [rest @ .., b'\n' | b'\r'] = value {
        value = rest;
    }
    if value.iter().all(u8::is_ascii_whitespace) {
        Err(Unfit::Empty)
    } else if value.len() > MAX_BYTES {
        Err(Unfit::TooLong)
    } else if shape == Shape::AwsKeys {
        AwsKeys::read(value).map(|_| value)
    } else if value.iter().any(u8::is_ascii_control) {
        Err(Unfit::ControlCharacter)
    } else if !value.is_ascii() {
        Err(Unfit::NotAscii)
    } else if shape == Shape::UserAndPassword && !value.contains(&b':') {
        Err(Unfit::NoColon)
    } else if shape == Shape::Cookie && value.iter().any(|b| b" \",;\\".contains(b)) {
        Err(Unfit::NotACookie)
    } else {
        Ok(value)
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
        assert_eq!(
            secret(b"sk-live\r\n", Shape::Text).unwrap().expose(),
            b"sk-live"
        );
        assert_eq!(
            secret(b" sk live ", Shape::Text).unwrap().expose(),
            b" sk live "
        );
    }

    #[test]
    fn what_no_header_can_carry_is_refused() {
        assert_eq!(secret(b"\n", Shape::Text), Err(Unfit::Empty));
        assert_eq!(secret(b"  \t", Shape::Text), Err(Unfit::Empty));
        assert_eq!(
            secret(b"sk\nlive", Shape::Text),
            Err(Unfit::ControlCharacter)
        );
        assert_eq!(
            secret("\u{feff}sk-live".as_bytes(), Shape::Text),
            Err(Unfit::NotAscii)
        );
        assert_eq!(
            secret(&[b'k'; MAX_BYTES + 1], Shape::Text),
            Err(Unfit::TooLong)
        );
    }

    #[test]
    fn a_secret_has_the_shape_that_its_way_into_a_request_needs() {
        assert_eq!(secret(b"me", Shape::UserAndPassword), Err(Unfit::NoColon));
        assert!(secret(b"me:pass", Shape::UserAndPassword).is_ok());
        for value in ["a b", "a;b", "a,b", "\"a\"", "a\\b"] {
            assert_eq!(
                secret(value.as_bytes(), Shape::Cookie),
                Err(Unfit::NotACookie),
                "{value}"
            );
            assert!(secret(value.as_bytes(), Shape::Text).is_ok());
        }
    }

    #[test]
    fn a_document_may_have_line_ends_and_must_have_its_members() {
        let document =
            b"{\n\t\"accessKeyId\": \"AKIDEXAMPLE\",\n\t\"secretAccessKey\": \"s/k+\"\n}\n";
        assert!(secret(document, Shape::AwsKeys).is_ok());
        assert_eq!(secret(b"s/k+", Shape::AwsKeys), Err(Unfit::NotAwsKeys));
    }

    #[test]
    fn the_shape_is_that_of_the_injection_in_force() {
        let shape = |credential: &str| {
            let mut credential: serde_json::Value = crate::yaml::from_str(credential).unwrap();
            credential["name"] = "x".into();
            credential["source"] = serde_json::json!({"secret": {"name": "s", "key": "k"}});
            Shape::of(&serde_json::from_value(credential).unwrap())
        };
        assert_eq!(shape("{provider: openai}"), Shape::Text);
        assert_eq!(
            shape("{provider: openai, inject: {basic: {}}}"),
            Shape::UserAndPassword
        );
        assert_eq!(
            shape("{http: {hosts: [h], inject: {basic: {username: me}}}}"),
            Shape::Text
        );
        assert_eq!(
            shape("{http: {hosts: [h], inject: {cookie: {name: sid}}}}"),
            Shape::Cookie
        );
    }
}

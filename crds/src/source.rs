//! What a source must be like before its bytes become a credential: alike on a cluster and on a laptop.

mod aws;
mod document;
mod gcp;

pub use aws::AwsKeys;
pub use gcp::GcpKey;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::{
    agent_identity::{Credential, KeyEncoding},
    secret::Secret,
};

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
    /// It should be the key of a Google Cloud service account.
    #[error(
        "is not the JSON key file of a Google Cloud service account (type service_account, with client_email and a private_key in PEM)"
    )]
    NotGcpKey,
    /// It should be hexadecimal digits or base64.
    #[error("is not written as inject.hmac.keyEncoding says")]
    NotEncoded,
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
    /// The JSON document of [`GcpKey`].
    GcpKey,
    /// A key that is written so.
    Key(KeyEncoding),
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
        } else if inject.gcp_service_account.is_some() {
            Self::GcpKey
        } else if let Some(hmac) = &inject.hmac {
            Self::Key(hmac.key_encoding)
        } else {
            Self::Text
        }
    }

    /// Whether it is a JSON document of several members.
    pub fn is_document(self) -> bool {
        match self {
            Self::AwsKeys | Self::GcpKey => true,
            Self::Text | Self::UserAndPassword | Self::Cookie | Self::Key(_) => false,
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
    } else if shape == Shape::GcpKey {
        GcpKey::read(value).map(|_| value)
    } else if value.iter().any(u8::is_ascii_control) {
        Err(Unfit::ControlCharacter)
    } else if !value.is_ascii() {
        Err(Unfit::NotAscii)
    } else if shape == Shape::UserAndPassword && !value.contains(&b':') {
        Err(Unfit::NoColon)
    } else if shape == Shape::Cookie && value.iter().any(|b| b" \",;\\".contains(b)) {
        Err(Unfit::NotACookie)
    } else if let Shape::Key(encoding) = shape {
        key(value, encoding).map(|_| value)
    } else {
        Ok(value)
    }
}

/// What of `secret` must be seen nowhere: all of it, or the members of a document that are secret themselves.
pub fn parts(secret: &Secret, shape: Shape) -> Vec<Secret> {
    let whole = || vec![secret.clone()];
    let part = |text: &str| Secret::new(text.as_bytes().to_vec());
    match shape {
        Shape::AwsKeys => AwsKeys::read(secret.expose()).map_or_else(
            |_| whole(),
            |keys| {
                let token = keys.session_token.as_deref().map(String::as_str);
                let parts = [Some(keys.secret_access_key.as_str()), token];
                parts.into_iter().flatten().map(part).collect()
            },
        ),
        Shape::GcpKey => GcpKey::read(secret.expose())
            .map_or_else(|_| whole(), |key| vec![part(&key.private_key)]),
        Shape::UserAndPassword => {
            let password = secret.expose().splitn(2, |byte| *byte == b':').nth(1);
            let password = password.map(|password| Secret::new(password.to_vec()));
            password.into_iter().chain(whole()).collect()
        }
        Shape::Text | Shape::Cookie | Shape::Key(_) => whole(),
    }
}

/// The bytes of a key that is written in `encoding`.
///
/// # Errors
/// [`Unfit::NotEncoded`].
pub fn key(value: &[u8], encoding: KeyEncoding) -> Result<Zeroizing<Vec<u8>>, Unfit> {
    let bytes = match encoding {
        KeyEncoding::Text => Some(value.to_vec()),
        KeyEncoding::Base64 => BASE64_STANDARD.decode(value).ok(),
        KeyEncoding::Hex => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let byte = |pair: &[u8]| match *pair {
                [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
                _ => None,
            };
            value.chunks(2).map(byte).collect()
        }
    };
    bytes.map(Zeroizing::new).ok_or(Unfit::NotEncoded)
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
    fn of_a_document_only_some_members_are_secret() {
        let parts = |secret: &str, shape| -> Vec<String> {
            let secret = Secret::new(secret.into());
            let text = |part: &Secret| String::from_utf8(part.expose().to_vec()).unwrap();
            parts(&secret, shape).iter().map(text).collect()
        };
        let keys = r#"{"accessKeyId": "AKID", "secretAccessKey": "s", "sessionToken": "t"}"#;
        assert_eq!(parts(keys, Shape::AwsKeys), ["s", "t"]);
        assert_eq!(parts("broken", Shape::AwsKeys), ["broken"]);
        assert_eq!(parts("me:a:b", Shape::UserAndPassword), ["a:b", "me:a:b"]);
        assert_eq!(parts("sk", Shape::Text), ["sk"]);
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let read = |value: &str, encoding| {
            secret(value.as_bytes(), Shape::Key(encoding))
                .and_then(|value| key(value.expose(), encoding))
                .map(|key| key.to_vec())
        };
        assert_eq!(read("k\n", KeyEncoding::Text), Ok(b"k".to_vec()));
        assert_eq!(read("00fF\n", KeyEncoding::Hex), Ok(vec![0, 0xff]));
        assert_eq!(read("AP8=\n", KeyEncoding::Base64), Ok(vec![0, 0xff]));
        for (value, encoding) in [
            ("0", KeyEncoding::Hex),
            ("0g", KeyEncoding::Hex),
            ("AP8", KeyEncoding::Base64),
            ("?", KeyEncoding::Base64),
        ] {
            assert_eq!(read(value, encoding), Err(Unfit::NotEncoded), "{value}");
        }
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
        for (inject, expected) in [
            ("{cookie: {name: sid}}", Shape::Cookie),
            ("{awsSigV4: {service: s3, region: r}}", Shape::AwsKeys),
            ("{gcpServiceAccount: {audience: a}}", Shape::GcpKey),
            (
                "{oauth2ClientCredentials: {tokenUrl: \"https://h/t\", clientId: me}}",
                Shape::Text,
            ),
            (
                "{hmac: {keyEncoding: Hex, message: a, headers: []}}",
                Shape::Key(KeyEncoding::Hex),
            ),
        ] {
            let credential = format!("{{http: {{hosts: [h], inject: {inject}}}}}");
            assert_eq!(shape(&credential), expected, "{inject}");
        }
    }
}

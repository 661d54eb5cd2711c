//! The bytes of a credential, in a type that cannot be printed.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// Secret bytes. Wiped when dropped; `Debug` shows nothing of them, not even their length.
///
/// It serialises (as base64) because the bundle must reach the sidecar; nothing else may put one into a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes ownership of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves, for the one stage that puts them into a request.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = Zeroizing::new(BASE64_STANDARD.encode(self.expose()));
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64)
    }
}

/// Decodes from the text in place where the parser lends it, so that no second copy of it stays behind in memory.
struct Base64;

impl de::Visitor<'_> for Base64 {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret in base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        // The decoder's own error would quote the offending byte of the secret.
        BASE64_STANDARD
            .decode(text)
            .map(Secret::new)
            .map_err(|_| E::custom("a secret is not valid base64"))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        self.visit_str(&Zeroizing::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", Secret::new(b"sk-live".to_vec())),
            "[secret]"
        );
    }

    #[test]
    fn any_bytes_survive_a_round_trip() {
        let secret = Secret::new((0..=255).collect());
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
        assert_eq!(
            serde_json::from_value::<Secret>(serde_json::from_str(&json).unwrap()).unwrap(),
            secret
        );
    }

    #[test]
    fn a_broken_secret_is_not_quoted_in_its_error() {
        let error = serde_json::from_str::<Secret>("\"sk-live!\"").unwrap_err();
        assert!(!error.to_string().contains("sk-live"), "{error}");
    }
}

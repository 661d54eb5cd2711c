//! What secrets that are JSON documents have in common.

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// Reads a text that is wiped when dropped.
pub(super) fn wiped<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// Reads such a text where there is one.
pub(super) fn wiped_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Zeroizing::new))
}

/// Whether `text` is something, of visible ASCII characters.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

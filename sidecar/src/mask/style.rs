//! What stands in the place of a value.

use aws_lc_rs::{error::Unspecified, hmac, rand};
use postern_crds::egress_policy::MaskStyle;

/// How many characters of a value are shown at most.
const SHOWN: usize = 4;
/// How many bytes of a hash are shown: with a thousand values in one session, two of them share one in about one of 8,000 sessions.
const HASH_BYTES: usize = 4;

/// The key of this process' hashes: the same value has the same hash while the sidecar runs, and nobody can try values against one. It has no
/// `Debug`.
pub(crate) struct SessionKey(hmac::Key);

impl SessionKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn new() -> Result<Self, Unspecified> {
        hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).map(Self)
    }

    /// What stands for `value` of `kind`, and tells nothing of it.
    fn tag(&self, kind: &str, value: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(kind.as_bytes());
        context.update(b"\n");
        context.update(value.as_bytes());
        context.sign()
    }
}

/// One for each half of a byte. There is no digit among them and no vowel: no number and no word of a dictionary is found in a pseudonym, so that
/// the masks of an answer leave it for what puts the value back.
const LETTERS: &[u8; 16] = b"bdfghjklmnprstvz";

/// What stands for `value` of `kind` in texts that are written further: `EMAIL-bdfghjkl`, with so many letters, at most 64. JSON, Markdown, HTML, shells and
/// addresses have no need to escape any of it, and it begins like no JSON.
pub(super) fn pseudonym(key: &SessionKey, kind: &str, value: &str, letters: usize) -> String {
    let tag = key.tag(kind, value);
    let halves = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let letters = halves
        .take(letters)
        .map(|half| char::from(LETTERS[usize::from(half)]));
    format!("{kind}-{}", letters.collect::<String>())
}

/// What stands in the place of `value`, as it is compared with others. `None` where only its begin is known: nothing of it is shown then.
pub(super) fn replacement(
    style: MaskStyle,
    name: &str,
    value: Option<&str>,
    key: &SessionKey,
) -> String {
    match (style, value) {
        (MaskStyle::Remove, _) => String::new(),
        (MaskStyle::Label, _) | (_, None) => ["[", name, "]"].concat(),
        (MaskStyle::Hash, Some(value)) => {
            let tag = key.tag(name, value);
            format!(
                "[{name}:{}]",
                crate::wiped::hex(&tag.as_ref()[..HASH_BYTES])
            )
        }
        (MaskStyle::Pseudonym, Some(value)) => pseudonym(key, name, value, 2 * HASH_BYTES),
        (MaskStyle::Partial, Some(value)) => {
            // Half of a short one at most.
            let count = value.chars().count();
            let hidden = count - SHOWN.min(count / 2);
            let shown: String = value.chars().skip(hidden).collect();
            format!("****{shown}")
        }
    }
}

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

    /// A few digits that stand for `value` of `kind`.
    fn hash(&self, kind: &str, value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(kind.as_bytes());
        context.update(b"\n");
        context.update(value.as_bytes());
        crate::wiped::hex(&context.sign().as_ref()[..HASH_BYTES])
    }
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
        (MaskStyle::Label, _) | (_, None) => format!("[{name}]"),
        (MaskStyle::Hash, Some(value)) => format!("[{name}:{}]", key.hash(name, value)),
        (MaskStyle::Partial, Some(value)) => {
            // Half of a short one at most.
            let count = value.chars().count();
            let hidden = count - SHOWN.min(count / 2);
            let shown: String = value.chars().skip(hidden).collect();
            format!("****{shown}")
        }
    }
}

//! Placeholder keys: shaped like real ones, worth nothing, and recognised wherever they turn up.

use sha2::{Digest, Sha256};

/// The placeholder of one credential. It depends on nothing but these names, so that webhook, sidecar and command line agree on it
/// without exchanging it.
pub fn render(shape: &str, namespace: &str, identity: &str, credential: &str) -> String {
    shape.replacen("{}", &digits(namespace, identity, credential), 1)
}

/// The 32 hexadecimal digits by which a placeholder is recognised.
pub fn digits(namespace: &str, identity: &str, credential: &str) -> String {
    let digest = Sha256::digest(format!(
        "postern placeholder\n{namespace}\n{identity}\n{credential}"
    ));
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

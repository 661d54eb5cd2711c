//! Buffers that hold a secret and are wiped when they go.

use bytes::Bytes;
use zeroize::Zeroizing;

/// `parts`, one after the other. The buffer never grows, since that would leave a copy behind.
pub(super) fn join(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut joined = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        joined.extend_from_slice(part);
    }
    joined
}

/// The same as bytes that are shared: wiped when the last reference to them goes.
pub(super) fn bytes(buffer: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(buffer)
}

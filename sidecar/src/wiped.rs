//! Buffers that hold a secret and are wiped when they go.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, header::InvalidHeaderValue};
use zeroize::Zeroizing;

/// `parts`, one after the other. The buffer never grows, since that would leave a copy behind.
pub(crate) fn join(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut joined = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        joined.extend_from_slice(part);
    }
    joined
}

/// The same as bytes that are shared: wiped when the last reference to them goes.
pub(crate) fn bytes(buffer: Zeroizing<Vec<u8>>) -> Bytes {
    Bytes::from_owner(buffer)
}

/// A header's value of `parts`. Its bytes are wiped when the last reference to them goes; it prints as `Sensitive`, and HPACK never indexes it.
///
/// # Errors
/// When a byte of it cannot stand in a header.
pub(crate) fn header(parts: &[&[u8]]) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_maybe_shared(bytes(join(parts)))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Hexadecimal digits in lower case, of what is not secret itself.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(digits, "{byte:02x}").expect("a String takes everything");
    }
    digits
}

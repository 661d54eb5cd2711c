//! Percent-encoding (RFC 3986 section 2.1), strictly to and leniently fro.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// Encodes all but the unreserved characters (section 2.3) and those in `also`.
pub(crate) fn encode(bytes: &[u8], also: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if is_unreserved(byte) || also.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
    }
    encoded
}

/// Encodes all but the unreserved characters, into a buffer that never grows and is wiped.
pub(crate) fn encode_wiped(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Zeroizing::new(Vec::with_capacity(secret.len() * 3));
    for &byte in secret {
        if is_unreserved(byte) {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(&[
                b'%',
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]);
        }
    }
    encoded
}

/// Whether `byte` means the same encoded and not.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Decodes `text`; a `%` that begins no encoding stands for itself, as most servers have it.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_decoded_to_the_same() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all, b"/")), all);
        assert_eq!(encode_wiped(&all).as_slice(), encode(&all, b"").as_bytes());
        assert_eq!(encode(b"a/b c~", b"/"), "a/b%20c~");
        assert_eq!(encode(b"a/b", b""), "a%2Fb");
        assert_eq!(decode("%zz%4%41"), b"%zz%4A");
    }
}

//! Sets of bytes, and how often text has them.

/// A set of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ByteSet([bool; 256]);

impl ByteSet {
    /// None.
    pub(super) const EMPTY: Self = Self([false; 256]);

    /// All of `bytes`.
    pub(super) fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut set = Self::EMPTY;
        for byte in bytes {
            set.0[usize::from(byte)] = true;
        }
        set
    }

    /// The ten digits.
    pub(super) fn digits() -> Self {
        Self::of(b'0'..=b'9')
    }

    /// Whether it has one.
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// Those of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|byte| self.0[usize::from(*byte)])
    }

    /// Takes in `other`.
    pub(super) fn add(&mut self, other: &Self) {
        for byte in other.iter() {
            self.0[usize::from(byte)] = true;
        }
    }

    /// How many of a thousand bytes of text are among these, roughly: of prose, code and JSON together.
    pub(super) fn frequency(&self) -> u32 {
        self.iter().map(frequency).sum()
    }
}

fn frequency(byte: u8) -> u32 {
    match byte {
        b' ' => 150,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 55,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' => 25,
        b'a'..=b'z' => 10,
        b'0'..=b'9' | b'"' | b',' | b'.' | b'\n' => 8,
        b'A'..=b'Z' | b'-' | b'_' | b':' | b'\'' | b'(' | b')' => 3,
        0x80.. => 2,
        _ => 1,
    }
}

//! Places in a text where two bytes beside one another may lead to a value: one look at each byte, however many look for one.

use super::bytes::ByteSet;

/// So many sets of second bytes are told apart; the first is that of all bytes, which also stands for those beyond.
const SETS: usize = 8;
/// Bytes that are looked at together.
const STEP: usize = 8;

/// A set of second bytes.
#[derive(Clone, Copy)]
pub(super) struct Set(u8);

/// First bytes, and what must stand behind each.
pub(super) struct Pairs {
    seconds: Vec<ByteSet>,
    /// Of each byte, with which sets it may be a first one, a bit each.
    is_first: [u8; 256],
    /// Of each byte, which sets it is in.
    is_second: [u8; 256],
}

impl Pairs {
    /// None yet.
    pub(super) fn new() -> Self {
        Self {
            seconds: vec![ByteSet::of(0..=u8::MAX)],
            is_first: [0; 256],
            is_second: [1; 256],
        }
    }

    /// Any of `firsts` with any of `second` behind it, if anything stands there. Returns what [`Self::has`] tells second bytes by.
    pub(super) fn add(&mut self, firsts: &ByteSet, second: Option<&ByteSet>) -> Set {
        let known = |second| self.seconds.iter().position(|known| known == second);
        let set = match second.map(|second| (second, known(second))) {
            None => 0,
            Some((_, Some(set))) => set,
            Some((second, None)) if self.seconds.len() < SETS => {
                let set = self.seconds.len();
                for byte in second.iter() {
                    self.is_second[usize::from(byte)] |= 1 << set;
                }
                self.seconds.push(second.clone());
                set
            }
            Some((_, None)) => 0,
        };
        for byte in firsts.iter() {
            self.is_first[usize::from(byte)] |= 1 << set;
        }
        Set(1 << set)
    }

    /// Whether `byte` may be a second one.
    pub(super) fn has(&self, set: Set, byte: u8) -> bool {
        self.is_second[usize::from(byte)] & set.0 != 0
    }

    /// The place of the next first byte in `bytes`, from `from` on.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let first = |byte: u8| self.is_first[usize::from(byte)];
        let second = |byte: u8| self.is_second[usize::from(byte)];
        let mut at = from;
        while let Some(step) = bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk::<{ STEP + 1 }>())
        {
            let both = |index: usize| first(step[index]) & second(step[index + 1]);
            if (0..STEP).fold(0, |any, index| any | both(index)) != 0 {
                break;
            }
            at += STEP;
        }
        (at..bytes.len()).find(|at| {
            let next = bytes.get(at + 1).map_or(u8::MAX, |next| second(*next));
            first(bytes[*at]) & next != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_wherever_they_stand() {
        let mut pairs = Pairs::new();
        pairs.add(&ByteSet::of(*b"@"), None);
        pairs.add(&ByteSet::of(*b"ab"), Some(&ByteSet::of(*b"xy")));
        pairs.add(&ByteSet::of(*b"c"), Some(&ByteSet::of(*b"z")));
        for (pair, is_one) in [
            ("@.", true),
            ("ax", true),
            ("by", true),
            ("cz", true),
            ("az", false),
            ("cx", false),
        ] {
            for before in 0..3 * STEP {
                for after in [0, 1, STEP, 2 * STEP] {
                    let text = format!("{}{pair}{}", ".".repeat(before), ".".repeat(after));
                    let found = pairs.find(text.as_bytes(), 0);
                    assert_eq!(found, is_one.then_some(before), "{text}");
                    assert_eq!(pairs.find(text.as_bytes(), before), found);
                    assert_eq!(pairs.find(text.as_bytes(), before + 2), None);
                }
            }
        }
        // What stands behind the last byte is not known.
        assert_eq!(pairs.find(b"..a", 0), Some(2));
        assert_eq!(pairs.find(b"..x", 0), None);
    }

    #[test]
    fn many_sets_are_all_found() {
        let mut pairs = Pairs::new();
        for letter in b'a'..=b'z' {
            pairs.add(&ByteSet::of([letter]), Some(&ByteSet::of([letter])));
        }
        for letter in b'a'..=b'z' {
            assert_eq!(pairs.find(&[b'.', letter, letter, b'.'], 0), Some(1));
        }
        assert_eq!(pairs.find(b"..bc..", 0), None);
    }
}

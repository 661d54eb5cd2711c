//! The forms of a binding's secrets, and where in a text one of them stands.

use std::{ops::Range, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use memchr::memchr3;
use zeroize::Zeroizing;

use super::escape::{self, Escape, STARTERS};
use crate::wiped;

/// The shortest secret that is looked for, and the shortest form of one. A shorter one stands in a text by chance, or is a word that somebody wrote
/// where a key is asked for and none is needed (`ollama`), and to take it out would break answers that do not have it.
pub(super) const MIN_SECRET: usize = 8;

/// How many bytes of each form the prefilter looks for. They are all that the automaton keeps, and the only copy that is not wiped.
const PREFIX: usize = 4;

/// One form of a secret.
#[derive(Clone)]
struct Needle {
    /// Wiped with it.
    text: Zeroizing<Vec<u8>>,
    alphabet: Alphabet,
}

/// Which characters are the same.
#[derive(Clone, Copy)]
enum Alphabet {
    /// None.
    Plain,
    /// `+` and `-`, `/` and `_`: RFC 4648 sections 4 and 5.
    Base64,
    /// Letters of both cases.
    Hex,
}

/// Every form of the secrets that calls on one route send. It has no `Debug`.
pub(crate) struct Needles {
    needles: Vec<Needle>,
    /// Finds the first [`PREFIX`] bytes of a form that begins without an escape.
    prefixes: AhoCorasick,
    /// The bytes that stand among the first [`PREFIX`] of some form: what an escape must mean to be worth a look.
    heads: [bool; 256],
    placeholder: Vec<u8>,
}

/// What became of a text.
pub(super) struct Scrubbed {
    /// The text up to `end`, where a secret was in it.
    pub(super) clean: Option<Vec<u8>>,
    /// Up to here it is known; what follows may become a secret.
    pub(super) end: usize,
    /// How many secrets there were.
    pub(super) found: u64,
}

/// What there is in a text.
enum Found {
    /// A form of a secret.
    Secret(Range<usize>),
    /// What may become one with the bytes that follow.
    Begun(usize),
    /// Neither.
    Nothing,
}

impl Alphabet {
    /// The characters that stand for `byte`: itself, and another.
    fn both(self, byte: u8) -> [u8; 2] {
        let other = match (self, byte) {
            (Self::Plain, b' ') | (Self::Base64, b'-') => b'+',
            (Self::Base64, b'+') => b'-',
            (Self::Base64, b'/') => b'_',
            (Self::Hex, byte) => byte.to_ascii_uppercase(),
            (_, byte) => byte,
        };
        [byte, other]
    }
}

impl Needles {
    /// The forms of `secrets`, which are replaced by `placeholder`; `None` where none is long enough.
    pub(crate) fn new<'a>(
        secrets: impl Iterator<Item = &'a [u8]>,
        placeholder: &str,
    ) -> Option<Self> {
        let mut needles = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= MIN_SECRET) {
            needles.extend((0..3).map(|shift| base64(secret, shift)));
            needles.push(hex(secret));
            needles.push(Needle {
                text: wiped::join(&[secret]),
                alphabet: Alphabet::Plain,
            });
        }
        (!needles.is_empty()).then(|| Self::of(needles, placeholder.as_bytes()))
    }

    /// What is in `one` or in `other`.
    pub(crate) fn either(one: Option<Arc<Self>>, other: Option<Arc<Self>>) -> Option<Arc<Self>> {
        match (one, other) {
            (Some(one), Some(other)) => Self::union(&[other, one]).map(Arc::new),
            (one, other) => one.or(other),
        }
    }

    /// What is in any of `all`. The placeholder is the first one's. `None` where there are none.
    pub(crate) fn union(all: &[Arc<Self>]) -> Option<Self> {
        let needles = all.iter().flat_map(|one| one.needles.iter().cloned());
        Some(Self::of(needles.collect(), &all.first()?.placeholder))
    }

    fn of(needles: Vec<Needle>, placeholder: &[u8]) -> Self {
        let mut prefixes: Vec<[u8; PREFIX]> = needles.iter().flat_map(Needle::prefixes).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut heads = [false; 256];
        for byte in prefixes.iter().flatten() {
            heads[usize::from(*byte)] = true;
        }
        let prefixes = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&prefixes)
            .expect("some hundred patterns of four bytes are no limit of it");
        Self {
            needles,
            prefixes,
            heads,
            placeholder: placeholder.to_vec(),
        }
    }

    /// Looks for secrets in `text` and covers them. `is_last` where nothing follows.
    pub(super) fn scrub(&self, text: &[u8], is_last: bool) -> Scrubbed {
        let mut clean: Option<Vec<u8>> = None;
        let (mut from, mut found) = (0, 0);
        let end = loop {
            match self.find(text, from, is_last) {
                Found::Nothing => break text.len(),
                Found::Begun(at) => break at,
                Found::Secret(range) => {
                    from = range.end;
                    found += 1;
                    self.cover(&mut clean.get_or_insert_with(|| text.to_vec())[range]);
                }
            }
        };
        if let Some(clean) = &mut clean {
            clean.truncate(end);
        }
        Scrubbed { clean, end, found }
    }

    /// Puts the placeholder in the place of a secret, cut or filled up to its length.
    fn cover(&self, place: &mut [u8]) {
        let filled = self.placeholder.iter().chain(std::iter::repeat(&b'-'));
        for (byte, cover) in place.iter_mut().zip(filled) {
            *byte = *cover;
        }
    }

    /// The first form in `text`, from `from` on; of several at one place the longest. `is_last` where nothing follows.
    fn find(&self, text: &[u8], from: usize, is_last: bool) -> Found {
        let tail = if is_last {
            text.len()
        } else {
            // Too near the end for the prefilter: each place is looked at.
            (text.len() + 1).saturating_sub(PREFIX).max(from)
        };
        let mut literal = self.literal(text, from, tail);
        let mut escaped = self.escaped(text, from);
        let mut at = from;
        loop {
            // An escape may be any of the first bytes of a form.
            let begin = escaped.saturating_sub(PREFIX - 1).max(at);
            at = literal.min(begin).min(tail).max(at);
            if at >= text.len() {
                return Found::Nothing;
            }
            let (longest, is_begun) = self.matches(&text[at..]);
            if is_begun && !is_last {
                return Found::Begun(at);
            }
            if let Some(length) = longest {
                return Found::Secret(at..at + length);
            }
            at += 1;
            if literal < at {
                literal = self.literal(text, at, tail);
            }
            if escaped < at {
                escaped = self.escaped(text, at);
            }
        }
    }

    /// The next place where a form may begin without an escape, or `tail`.
    fn literal(&self, text: &[u8], from: usize, tail: usize) -> usize {
        if from >= tail {
            return tail;
        }
        self.prefixes
            .find(Input::new(text).range(from..))
            .map_or(tail, |found| found.start())
    }

    /// The next escape of a byte that a form has near its begin, or the end.
    fn escaped(&self, text: &[u8], mut from: usize) -> usize {
        let [one, two, three] = STARTERS;
        while let Some(next) = memchr3(one, two, three, &text[from..]) {
            let at = from + next;
            let is_of_use = |reading| match reading {
                Escape::Byte(byte, _) => self.heads[usize::from(byte)],
                Escape::Begun => true,
            };
            if escape::readings(&text[at..]).any(is_of_use) {
                return at;
            }
            from = at + 1;
        }
        // So far behind that what is before it is not looked at on its account.
        text.len() + PREFIX
    }

    /// The length of the longest form that `text` begins with, and whether all of it is the begin of one.
    fn matches(&self, text: &[u8]) -> (Option<usize>, bool) {
        let mut longest = None;
        let mut is_begun = false;
        for needle in &self.needles {
            let (length, begun) = needle.matches(text);
            longest = longest.max(length);
            is_begun |= begun;
        }
        (longest, is_begun)
    }
}

impl Needle {
    /// The ways to write its first bytes without an escape.
    fn prefixes(&self) -> impl Iterator<Item = [u8; PREFIX]> {
        (0..1_usize << PREFIX).map(|choice| {
            std::array::from_fn(|index| self.alphabet.both(self.text[index])[choice >> index & 1])
        })
    }

    /// As [`Needles::matches`], of one form.
    fn matches(&self, text: &[u8]) -> (Option<usize>, bool) {
        let first = self.alphabet.both(self.text[0]);
        if !text
            .first()
            .is_some_and(|byte| first.contains(byte) || STARTERS.contains(byte))
        {
            return (None, false);
        }
        // The places up to which the bytes so far may reach: more than one where a `%` is a byte of the secret or begins an escape.
        let mut reached = vec![0];
        let mut next = Vec::new();
        let mut is_begun = false;
        for &byte in self.text.iter() {
            let wanted = self.alphabet.both(byte);
            for &at in &reached {
                let Some(literal) = text.get(at) else {
                    is_begun = true;
                    continue;
                };
                if wanted.contains(literal) {
                    add(&mut next, at + 1);
                }
                for reading in escape::readings(&text[at..]) {
                    match reading {
                        Escape::Byte(byte, length) if wanted.contains(&byte) => {
                            add(&mut next, at + length);
                        }
                        Escape::Byte(..) => {}
                        Escape::Begun => is_begun = true,
                    }
                }
            }
            std::mem::swap(&mut reached, &mut next);
            next.clear();
            if reached.is_empty() {
                return (None, is_begun);
            }
        }
        (reached.into_iter().max(), is_begun)
    }
}

fn add(places: &mut Vec<usize>, place: usize) {
    if !places.contains(&place) {
        places.push(place);
    }
}

/// What base64 makes of `secret` behind `shift` other bytes, without the characters at its ends that depend on what stands beside it.
fn base64(secret: &[u8], shift: usize) -> Needle {
    let mut padded = Zeroizing::new(Vec::with_capacity(shift + secret.len()));
    padded.resize(shift, 0);
    padded.extend_from_slice(secret);
    let encoded = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(&*padded));
    let (begin, end) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    Needle {
        text: Zeroizing::new(encoded.as_bytes()[begin..end].to_vec()),
        alphabet: Alphabet::Base64,
    }
}

/// In lower case; [`Alphabet::Hex`] takes both.
fn hex(secret: &[u8]) -> Needle {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Zeroizing::new(Vec::with_capacity(secret.len() * 2));
    for byte in secret {
        text.extend([
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]);
    }
    Needle {
        text,
        alphabet: Alphabet::Hex,
    }
}

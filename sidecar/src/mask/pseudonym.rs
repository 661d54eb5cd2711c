//! What was masked in one call and is put back in its answer: which pseudonym stands for which value. It lives as long as the call.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::style::{self, SessionKey};

/// The values of one call. It has no `Debug`.
#[derive(Default)]
pub(super) struct Originals(BTreeMap<String, Original>);

struct Original {
    /// As it is compared with others.
    value: Zeroizing<String>,
    /// As the call spelled it first.
    spelling: Zeroizing<String>,
}

/// How many letters a pseudonym has: as few as tell one value from all others of the call.
const LETTERS: [usize; 3] = [8, 16, 64];

impl Originals {
    /// What stands for `value` of `kind`, which the call spells like this. The same value has the same pseudonym in every call, unless another one of
    /// this call has it already. `None` where even a whole hash is taken, which does not happen.
    pub(super) fn pseudonym(
        &mut self,
        key: &SessionKey,
        kind: &str,
        value: &str,
        spelling: &str,
    ) -> Option<String> {
        for letters in LETTERS {
            let pseudonym = style::pseudonym(key, kind, value, letters);
            match self.0.get(&folded(&pseudonym)) {
                Some(known) if known.value.as_str() != value => {}
                Some(_) => return Some(pseudonym),
                None => {
                    let original = Original {
                        value: Zeroizing::new(value.to_owned()),
                        spelling: Zeroizing::new(spelling.to_owned()),
                    };
                    self.0.insert(folded(&pseudonym), original);
                    return Some(pseudonym);
                }
            }
        }
        None
    }

    /// What `pseudonym` stands for, in whichever case a model wrote it.
    pub(super) fn spelling(&self, pseudonym: &str) -> Option<&str> {
        let original = self.0.get(&folded(pseudonym))?;
        Some(&original.spelling)
    }

    /// All pseudonyms, in small letters.
    pub(super) fn pseudonyms(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Whether nothing is to be put back.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn folded(pseudonym: &str) -> String {
    pseudonym.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_pseudonym_and_its_first_spelling() {
        let key = SessionKey::new().unwrap();
        let (mut one, mut other) = (Originals::default(), Originals::default());
        assert!(one.is_empty());
        let first = one.pseudonym(&key, "CARD", "4111", "41-11").unwrap();
        assert_eq!(one.pseudonym(&key, "CARD", "4111", "41 11").unwrap(), first);
        assert_eq!(other.pseudonym(&key, "CARD", "4111", "x").unwrap(), first);
        assert_ne!(one.pseudonym(&key, "IBAN", "4111", "x").unwrap(), first);
        assert_eq!(one.spelling(&first), Some("41-11"));
        assert_eq!(one.spelling(&first.to_lowercase()), Some("41-11"));
        assert_eq!(one.spelling("CARD-bbbbbbbb"), None);
        assert_eq!(one.pseudonyms().len(), 2);
    }

    #[test]
    fn two_values_of_one_call_never_share_a_pseudonym() {
        let key = SessionKey::new().unwrap();
        let mut originals = Originals::default();
        let short = style::pseudonym(&key, "CARD", "4111", 8);
        let taken = Original {
            value: Zeroizing::new("another".to_owned()),
            spelling: Zeroizing::new("another".to_owned()),
        };
        originals.0.insert(folded(&short), taken);
        let longer = originals.pseudonym(&key, "CARD", "4111", "41-11").unwrap();
        assert_eq!(longer, style::pseudonym(&key, "CARD", "4111", 16));
        assert_eq!(originals.spelling(&longer), Some("41-11"));
        assert_eq!(originals.spelling(&short), Some("another"));
    }
}

//! A dictionary of a policy: words, found anywhere.

use std::collections::BTreeSet;

use aho_corasick::{
    Anchored,
    automaton::{Automaton, StateID},
    nfa::contiguous::NFA,
};

use super::{Detect, Found, Reach, Triggers};
use crate::mask::{bytes::ByteSet, view::View};

/// Finds the words of one dictionary.
pub(super) struct Words {
    automaton: NFA,
    ignore_case: bool,
    triggers: Triggers,
    /// What words begin with.
    heads: ByteSet,
    /// How many bytes of a word stand before the trigger.
    offset: usize,
}

impl Words {
    /// The words of a dictionary, which has at least one, and none that is empty.
    pub(super) fn new(words: &BTreeSet<String>, ignore_case: bool) -> Self {
        let automaton = NFA::builder()
            .ascii_case_insensitive(ignore_case)
            .build(words)
            .expect("a policy has fewer words than the automaton states");
        let shortest = words.iter().map(String::len).min().unwrap_or(0);
        let heads: Vec<_> = (0..shortest)
            .map(|offset| {
                ByteSet::of(words.iter().flat_map(|word| {
                    let byte = word.as_bytes()[offset];
                    if ignore_case {
                        [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
                    } else {
                        [byte; 2]
                    }
                }))
            })
            .collect();
        let (offset, triggers) = Triggers::rarest(&heads);
        Self {
            automaton,
            ignore_case,
            triggers,
            heads: heads[0].clone(),
            offset,
        }
    }

    fn step(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::Yes, state, byte)
    }

    /// Whether a word ends here that has so many bytes: the state knows of shorter ones too that began later.
    fn is_word(&self, state: StateID, length: usize) -> bool {
        self.automaton.is_match(state)
            && (0..self.automaton.match_len(state)).any(|index| {
                let word = self.automaton.match_pattern(state, index);
                self.automaton.pattern_len(word) == length
            })
    }
}

impl Detect for Words {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let mut state = self
            .automaton
            .start_state(Anchored::Yes)
            .expect("it can search anchored");
        let mut best = None;
        for (index, byte) in view.bytes()[start..].iter().enumerate() {
            state = self.step(state, *byte);
            if self.automaton.is_dead(state) {
                return Found::value(best);
            }
            if self.is_word(state, index + 1) {
                best = Some(start + index + 1);
            }
        }
        let goes_on = (0..=u8::MAX).any(|byte| !self.automaton.is_dead(self.step(state, byte)));
        if goes_on && !view.is_last {
            return Found::Open;
        }
        Found::value(best)
    }

    fn triggers(&self) -> Vec<Triggers> {
        vec![self.triggers.clone()]
    }

    fn start(&self, view: &View<'_>, trigger: usize) -> Option<usize> {
        view.back(trigger, self.offset)
    }

    fn reach(&self) -> Reach {
        Reach::bytes(self.offset, self.heads.clone())
    }

    fn begins_free(&self) -> bool {
        false
    }

    fn normalize(&self, value: &str) -> String {
        if self.ignore_case {
            value.to_ascii_lowercase()
        } else {
            value.to_owned()
        }
    }
}

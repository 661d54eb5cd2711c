//! A pattern of a policy: a regular expression whose matches have a greatest length.
//!
//! Of the matches that begin at a place the longest is meant, however the expression's repetitions and alternatives are ordered.

use std::panic::{RefUnwindSafe, UnwindSafe};

use postern_crds::policy::parse_pattern;
use regex_automata::{
    Anchored, MatchKind,
    hybrid::{
        LazyStateID,
        dfa::{Cache, DFA},
    },
    nfa::thompson,
    util::{pool::Pool, start},
};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Detect, Found, Reach, Triggers};
use crate::mask::{bytes::ByteSet, view::View};

/// The most that the states of one search may take, in bytes. What is more is forgotten and built again.
const MAX_STATES_BYTES: usize = 256 * 1024;
/// How far into a match a byte is looked for that text seldom has.
const MAX_OFFSET: usize = 8;

type NewCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// Finds the matches of one pattern.
pub(super) struct Pattern {
    dfa: DFA,
    /// The automaton's states, which are built while it runs.
    caches: Pool<Cache, NewCache>,
    triggers: Triggers,
    /// What matches begin with.
    heads: ByteSet,
    /// How many bytes of a match stand before the trigger.
    offset: usize,
}

impl Pattern {
    /// The pattern of `regex`, which was checked when the policy was compiled.
    pub(super) fn new(regex: &str) -> Self {
        let hir = parse_pattern(regex).expect("a compiled policy has no other patterns");
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().which_captures(thompson::WhichCaptures::None))
            .build_from_hir(&hir)
            .expect("its size was checked with the rest");
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(MAX_STATES_BYTES)
            .skip_cache_capacity_check(true);
        let dfa = DFA::builder()
            .configure(config)
            .build_from_nfa(nfa)
            .expect("it has no boundary of Unicode words, and the cache's capacity is not checked");
        let heads = Heads::of(&hir).sets;
        let (offset, triggers) = Triggers::rarest(&heads[..heads.len().min(MAX_OFFSET)]);
        let of = dfa.clone();
        Self {
            caches: Pool::new(Box::new(move || of.create_cache())),
            dfa,
            triggers,
            heads: heads[0].clone(),
            offset,
        }
    }

    fn step(&self, cache: &mut Cache, state: LazyStateID, byte: u8) -> LazyStateID {
        self.dfa
            .next_state(cache, state, byte)
            .expect("it is not told to give up")
    }

    /// Whether nothing that follows changes that a match ends here: a state tells of a match one byte late.
    fn is_over(&self, cache: &mut Cache, state: LazyStateID) -> bool {
        let next = self.step(cache, state, 0);
        next.is_match()
            && (1..=u8::MAX).all(|byte| self.step(cache, state, byte) == next)
            && (0..=u8::MAX).all(|byte| self.step(cache, next, byte).is_dead())
    }
}

impl Detect for Pattern {
    fn at(&self, view: &View<'_>, start: usize) -> Found {
        let cache = &mut *self.caches.get();
        let before = start.checked_sub(1).map(|before| view.bytes()[before]);
        let mut state = self
            .dfa
            .start_state(
                cache,
                &start::Config::new()
                    .look_behind(before)
                    .anchored(Anchored::Yes),
            )
            .expect("no byte makes it quit");
        let mut best = None;
        for (index, byte) in view.bytes()[start..].iter().enumerate() {
            state = self.step(cache, state, *byte);
            if state.is_tagged() {
                if state.is_match() {
                    best = Some(start + index);
                } else if state.is_dead() {
                    return Found::value(best);
                }
            }
        }
        let end = view.text.len();
        if !view.is_last {
            if self.is_over(cache, state) {
                return Found::Value(end);
            }
            return Found::Open;
        }
        let last = self
            .dfa
            .next_eoi_state(cache, state)
            .expect("it is not told to give up");
        Found::value(if last.is_match() { Some(end) } else { best })
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
}

/// Which bytes the first of a match can be, one by one.
struct Heads {
    sets: Vec<ByteSet>,
    /// Every match is as long as that, so that what follows it in an expression is known too.
    is_whole: bool,
}

impl Heads {
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self {
                sets: Vec::new(),
                is_whole: true,
            },
            HirKind::Literal(literal) => Self {
                sets: literal.0.iter().map(|byte| ByteSet::of([*byte])).collect(),
                is_whole: true,
            },
            HirKind::Class(Class::Bytes(class)) => Self {
                sets: vec![ByteSet::of(
                    class.iter().flat_map(|range| range.start()..=range.end()),
                )],
                is_whole: true,
            },
            HirKind::Class(Class::Unicode(class)) => Self {
                sets: vec![ByteSet::of(class.iter().flat_map(|range| {
                    let first = |char: char| char.encode_utf8(&mut [0; 4]).as_bytes()[0];
                    first(range.start())..=first(range.end())
                }))],
                is_whole: class.is_ascii(),
            },
            HirKind::Repetition(repetition) => {
                let one = Self::of(&repetition.sub);
                let times = if one.is_whole {
                    usize::try_from(repetition.min).unwrap_or(MAX_OFFSET)
                } else {
                    repetition.min.min(1) as usize
                };
                let times = times.min(MAX_OFFSET);
                Self {
                    sets: one
                        .sets
                        .iter()
                        .cloned()
                        .cycle()
                        .take(one.sets.len() * times)
                        .collect(),
                    is_whole: one.is_whole && repetition.max == Some(times as u32),
                }
            }
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => {
                let mut all = Self {
                    sets: Vec::new(),
                    is_whole: true,
                };
                for part in parts.iter().map(Self::of) {
                    if !all.is_whole || all.sets.len() >= MAX_OFFSET {
                        all.is_whole = false;
                        break;
                    }
                    all.sets.extend(part.sets);
                    all.is_whole = part.is_whole;
                }
                all
            }
            HirKind::Alternation(parts) => {
                let mut parts = parts.iter().map(Self::of);
                let mut all = parts.next().unwrap_or(Self {
                    sets: Vec::new(),
                    is_whole: false,
                });
                for part in parts {
                    all.is_whole &= part.is_whole && part.sets.len() == all.sets.len();
                    all.sets.truncate(part.sets.len());
                    for (set, other) in all.sets.iter_mut().zip(&part.sets) {
                        set.add(other);
                    }
                }
                all
            }
        }
    }
}

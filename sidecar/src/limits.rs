//! Keeps the limits of the policy: sets aside before a call what it may use, and settles after it what it did use.
//!
//! # What a limit guarantees
//!
//! For `requests`, the calls that start in *any* span of length `per` are at most the limit; for `tokens` and `spend`, what the calls that end
//! in any such span used. A call's share is held from before it starts, so calls that run at the same time never pass a limit together. The
//! window slides: it is kept in slices of a sixtieth of `per`, and a slice is forgotten when its youngest moment is `per` ago, so capacity
//! comes back up to `per/60` late and never early.
//!
//! # What is set aside
//!
//! A request is one, whatever it asks for. For tokens and money it is the most that the call can use: its input by estimate, and the output
//! tokens that it asks for. Where that is more than is left, or not known at all:
//!
//! | The bound is | `EndStream`, the answer streams | `EndStream`, the answer comes whole | `Finish` |
//! |---|---|---|---|
//! | said by the call (`max_tokens`) | refused | refused | refused |
//! | the model's own, or unknown | all that is left; the stream is ended when it is used up | refused | all that is left; what it uses more counts against what comes next |
//!
//! So with `EndStream` a limit is passed by no more than an estimate of tokens errs, and with `Finish` by no more than one answer whose bound
//! nobody said. Every refusal says what would help.
//!
//! # What is kept
//!
//! The history outlives policies: it belongs to the limit's name and to what it counts. A limit whose numbers change goes on from what was
//! used, and one that is taken away and put back finds its past. Nothing is written down: a new pod starts with nothing used, which the scope
//! `Pod` means.
//!
//! *Architecture invariant: no timer and no task.* Whoever asks says what time it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use postern_crds::policy::{Limit, RuleId};

mod exceeded;
mod expected;
mod reservation;
mod share;
mod tally;
#[cfg(test)]
mod tests;

pub(crate) use exceeded::Exceeded;
pub(crate) use expected::Expected;
pub(crate) use reservation::{Draw, Reservation, Running};

use share::{Kind, Share};
use tally::Tally;

/// The state of all limits that this process has seen.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// One lock for all, since a call reserves of all its limits or of none. It is held for well under a microsecond.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tallies: Vec<Tally>,
    /// Whose they are.
    names: Vec<RuleId>,
    /// Where in `tallies` a limit's state is. A limit that counts something else than it did starts anew.
    index: HashMap<RuleId, [Option<usize>; Kind::COUNT]>,
}

/// How much of a limit is left.
#[derive(Debug)]
pub(crate) struct Remaining<'a> {
    /// The limit.
    pub(crate) limit: &'a Limit,
    /// In its own unit: calls, tokens, or picodollars.
    pub(crate) left: u64,
}

impl Limits {
    /// Sets aside what a call with `credential` is `expected` to use at most, of all of `limits` that concern it or of none.
    ///
    /// Limits that only observe refuse nothing: the reservation names those that would have.
    ///
    /// # Errors
    /// The limit that stands in the way; of several the one that does so longest.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        limits: &[Limit],
        credential: &str,
        expected: &Expected,
        now: Instant,
    ) -> Result<Reservation, Exceeded> {
        let mut shares = Vec::new();
        let mut observed = Vec::new();
        let mut refusal: Option<Exceeded> = None;
        let mut state = self.state();
        for limit in limits.iter().filter(|limit| limit.concerns(credential)) {
            let index = state.find(limit);
            let tally = &mut state.tallies[index];
            tally.forget(limit.per, now);
            let (share, exceeded) = Share::of(limit, index, expected, tally, now);
            shares.push(share);
            let Some(exceeded) = exceeded else { continue };
            if !limit.enforce {
                observed.push(exceeded);
            } else if refusal
                .as_ref()
                .is_none_or(|worst| exceeded.outlasts(worst))
            {
                refusal = Some(exceeded);
            }
        }
        if let Some(exceeded) = refusal {
            return Err(exceeded);
        }
        for share in &mut shares {
            share.take(&mut state.tallies[share.index], now);
        }
        drop(state);
        Ok(Reservation::new(
            self.clone(),
            shares,
            observed,
            expected.listed,
            now,
        ))
    }

    /// What is left of each of `limits`, for metrics.
    pub(crate) fn remaining<'a>(&self, limits: &'a [Limit], now: Instant) -> Vec<Remaining<'a>> {
        let mut state = self.state();
        limits
            .iter()
            .map(|limit| {
                let index = state.find(limit);
                let tally = &mut state.tallies[index];
                tally.forget(limit.per, now);
                Remaining {
                    limit,
                    left: tally.left(share::allowed(limit.measure)),
                }
            })
            .collect()
    }

    /// A panic under the lock leaves numbers that are each valid, so the lock is never given up for it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&mut self, limit: &Limit) -> usize {
        let kind = Kind::of(limit.measure) as usize;
        if let Some(known) = self.index.get(&limit.id).and_then(|kinds| kinds[kind]) {
            return known;
        }
        let new = self.tallies.len();
        self.tallies.push(Tally::default());
        self.names.push(limit.id.clone());
        self.index.entry(limit.id.clone()).or_default()[kind] = Some(new);
        new
    }
}

//! What is set aside for one call, as guards: whatever path a call takes, its shares are given back or settled.

use std::{sync::Arc, time::Instant};

use postern_crds::{policy::RuleId, price::Listed, usage::Usage};

use super::{Exceeded, Limits, share::Share};

/// Set aside for a call that is not made yet. Dropped, it is given back whole, requests included: nothing was asked of the provider.
#[derive(Debug)]
#[must_use = "dropped, it gives everything back"]
pub(crate) struct Reservation {
    held: Held,
    observed: Vec<Exceeded>,
}

/// Set aside for a call that was sent. Dropped, it is settled at all that was held: nobody knows what the provider bills for it.
#[derive(Debug)]
#[must_use = "dropped, it counts all that was set aside as used"]
pub(crate) struct Running {
    held: Held,
}

/// Whether a stream may go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// It may.
    Continue,
    /// Nothing is left of this limit: end it, then settle.
    Exhausted(RuleId),
}

#[derive(Debug)]
struct Held {
    limits: Arc<Limits>,
    /// Empty once they are given back or settled.
    shares: Vec<Share>,
    listed: Option<Listed>,
    since: Instant,
}

impl Reservation {
    pub(super) fn new(
        limits: Arc<Limits>,
        shares: Vec<Share>,
        observed: Vec<Exceeded>,
        listed: Option<Listed>,
        since: Instant,
    ) -> Self {
        Self {
            held: Held {
                limits,
                shares,
                listed,
                since,
            },
            observed,
        }
    }

    /// The limits that only observe and would have refused the call.
    pub(crate) fn observed(&self) -> &[Exceeded] {
        &self.observed
    }

    /// To be said before the first byte goes to the provider: from here on the call may be billed.
    pub(crate) fn send(mut self) -> Running {
        Running {
            held: Held {
                limits: self.held.limits.clone(),
                shares: std::mem::take(&mut self.held.shares),
                listed: self.held.listed,
                since: self.held.since,
            },
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.held.release();
    }
}

impl Running {
    /// Whether what the call uses is drawn from a limit while its answer comes.
    pub(crate) fn draws(&self) -> bool {
        self.held.shares.iter().any(Share::is_of_use)
    }

    /// Tells what the call used so far, as far as it is known. Takes no lock unless that is more than was set aside.
    pub(crate) fn draw(&mut self, so_far: &Usage, now: Instant) -> Draw {
        let Held {
            limits,
            shares,
            listed,
            ..
        } = &mut self.held;
        for share in shares {
            if !share.is_outgrown(so_far, listed.as_ref()) {
                continue;
            }
            let mut state = limits.state();
            let tally = &mut state.tallies[share.index];
            if !share.grow(tally, so_far, listed.as_ref(), now) {
                return Draw::Exhausted(state.names[share.index].clone());
            }
        }
        Draw::Continue
    }

    /// The call is over and used `usage`: nothing, where the provider answered with an error that it does not bill.
    pub(crate) fn settle(mut self, usage: &Usage, now: Instant) {
        self.held.settle(Some(usage), now);
    }

    /// The call did not reach the provider after all: no connection was made.
    pub(crate) fn release(mut self) {
        self.held.release();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A guard that is dropped cannot be told the time. Never before its start, for a test whose clock is ahead of the machine's.
        let now = Instant::now().max(self.held.since);
        self.held.settle(None, now);
    }
}

impl Held {
    fn release(&mut self) {
        let shares = std::mem::take(&mut self.shares);
        if shares.is_empty() {
            return;
        }
        let mut state = self.limits.state();
        for share in shares {
            share.release(&mut state.tallies[share.index]);
        }
    }

    fn settle(&mut self, usage: Option<&Usage>, now: Instant) {
        let shares = std::mem::take(&mut self.shares);
        if shares.is_empty() {
            return;
        }
        let mut state = self.limits.state();
        for share in shares {
            let tally = &mut state.tallies[share.index];
            share.settle(tally, usage, self.listed.as_ref(), now);
        }
    }
}

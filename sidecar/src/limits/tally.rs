//! What was used of one limit: a sliding window of what is settled, and what is held for calls that run.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Slices of a window.
const SLICES: u32 = 60;

/// The state of one limit. Sums are wider than amounts, so that they cannot overflow.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Oldest first. The first begins with the first amount, wherever the clock stands, so windows of two pods do not turn together.
    slices: VecDeque<Slice>,
    /// All slices together.
    counted: u128,
    /// Set aside for calls that run.
    held: u128,
}

#[derive(Debug)]
struct Slice {
    /// When the next begins.
    ends: Instant,
    amount: u128,
}

/// Names a slice for [`Tally::take_back`].
pub(super) type SliceId = Instant;

impl Tally {
    /// Forgets what is longer ago than `per`. A `per` that changed holds from now on: what was forgotten does not come back.
    pub(super) fn forget(&mut self, per: Duration, now: Instant) {
        while let Some(oldest) = self.slices.front()
            && oldest.ends + per <= now
        {
            self.counted -= oldest.amount;
            self.slices.pop_front();
        }
    }

    /// How much of `allowed` is neither used nor held.
    pub(super) fn left(&self, allowed: u64) -> u64 {
        let used = u64::try_from(self.counted + self.held).unwrap_or(u64::MAX);
        allowed.saturating_sub(used)
    }

    /// Sets `amount` aside.
    pub(super) fn hold(&mut self, amount: u64) {
        self.held += u128::from(amount);
    }

    /// Gives back what was set aside.
    pub(super) fn give_back(&mut self, amount: u64) {
        self.held -= u128::from(amount);
    }

    /// Counts `amount` as used now.
    pub(super) fn count(&mut self, amount: u64, per: Duration, now: Instant) -> SliceId {
        let amount = u128::from(amount);
        self.counted += amount;
        match self.slices.back_mut() {
            // A caller who read the clock a little earlier than another comes here too; its amount counts a little longer.
            Some(slice) if now < slice.ends => {
                slice.amount += amount;
                slice.ends
            }
            _ => {
                let ends = now + per / SLICES;
                self.slices.push_back(Slice { ends, amount });
                ends
            }
        }
    }

    /// Takes `amount` out of the slice it was counted in, unless that is forgotten.
    pub(super) fn take_back(&mut self, amount: u64, slice: SliceId) {
        let found = self
            .slices
            .iter_mut()
            .rev()
            .find(|known| known.ends == slice);
        if let Some(slice) = found {
            slice.amount -= u128::from(amount);
            self.counted -= u128::from(amount);
        }
    }

    /// How long until `wanted` of `allowed` is free if no more is used. `None` where calls that run hold too much for time alone to help.
    pub(super) fn wait_for(
        &self,
        wanted: u64,
        allowed: u64,
        per: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let allowed = u128::from(allowed);
        let mut used = self.held + self.counted + u128::from(wanted);
        let mut wait = Duration::ZERO;
        for slice in &self.slices {
            if used <= allowed {
                break;
            }
            used -= slice.amount;
            wait = (slice.ends + per).saturating_duration_since(now);
        }
        (used <= allowed).then_some(wait)
    }
}

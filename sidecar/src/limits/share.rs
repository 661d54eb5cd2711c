//! One call's share of one limit.

use std::time::{Duration, Instant};

use postern_crds::{
    policy::{BudgetExceeded, Limit, Measure},
    price::{Listed, Price},
    usage::Usage,
};

use super::{
    exceeded::{Exceeded, Why},
    expected::{Expected, Output},
    tally::{SliceId, Tally},
};

/// What a limit counts, without how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Requests,
    Tokens,
    Spend,
    Concurrent,
}

impl Kind {
    pub(super) const COUNT: usize = 4;

    pub(super) fn of(measure: Measure) -> Self {
        match measure {
            Measure::Requests(_) => Self::Requests,
            Measure::Tokens(_) => Self::Tokens,
            Measure::Spend(_) => Self::Spend,
            Measure::Concurrent(_) => Self::Concurrent,
        }
    }
}

/// How much a limit allows, in its own unit.
pub(super) fn allowed(measure: Measure) -> u64 {
    match measure {
        Measure::Requests(count) | Measure::Tokens(count) | Measure::Concurrent(count) => count,
        Measure::Spend(amount) => amount.pico(),
    }
}

/// What a call holds of one limit.
#[derive(Debug)]
pub(super) struct Share {
    /// Where the limit's state is.
    pub(super) index: usize,
    kind: Kind,
    /// What is held, in the limit's unit; for requests, what was counted.
    amount: u64,
    allowed: u64,
    per: Duration,
    /// Whether a stream that uses more is to be ended.
    ends_streams: bool,
    assumed: Option<Price>,
    /// Where a request was counted.
    slice: Option<SliceId>,
}

/// What a call needs of one limit.
struct Need {
    /// What it uses in any case.
    least: u64,
    /// What it may use; `None` where that is not known.
    most: Option<u64>,
    /// Whether the call itself says so.
    is_asked: bool,
}

impl Share {
    /// The share that a call gets of `limit`, not yet taken; and why it should get none, where the limit stands in the way.
    pub(super) fn of(
        limit: &Limit,
        index: usize,
        expected: &Expected,
        tally: &Tally,
        now: Instant,
    ) -> (Self, Option<Exceeded>) {
        let share = |amount| Self {
            index,
            kind: Kind::of(limit.measure),
            amount,
            allowed: allowed(limit.measure),
            per: limit.per,
            ends_streams: limit.enforce && limit.exceeded == BudgetExceeded::EndStream,
            assumed: limit.assumed_price,
            slice: None,
        };
        let Some(need) = Need::of(limit, expected) else {
            return (share(0), Some(Exceeded::new(limit, Why::UnknownPrice)));
        };
        match need.fit(limit, expected.can_end, tally, now) {
            Ok(amount) => (share(amount), None),
            Err(why) => {
                let amount = need.most.unwrap_or(need.least);
                (share(amount), Some(Exceeded::new(limit, why)))
            }
        }
    }

    /// Takes it.
    pub(super) fn take(&mut self, tally: &mut Tally, now: Instant) {
        if self.kind == Kind::Requests {
            self.slice = Some(tally.count(self.amount, self.per, now));
        } else {
            tally.hold(self.amount);
        }
    }

    /// Gives it back whole: the call was not made.
    pub(super) fn release(&self, tally: &mut Tally) {
        match self.slice {
            Some(slice) => tally.take_back(self.amount, slice),
            None => tally.give_back(self.amount),
        }
    }

    /// Ends it: what was held is free, and what was used counts. `None` stands for all that was held.
    pub(super) fn settle(
        &self,
        tally: &mut Tally,
        usage: Option<&Usage>,
        listed: Option<&Listed>,
        now: Instant,
    ) {
        match self.kind {
            Kind::Requests => {} // counted when it started
            Kind::Concurrent => tally.give_back(self.amount),
            Kind::Tokens | Kind::Spend => {
                tally.give_back(self.amount);
                let used = usage.map_or(self.amount, |usage| self.used(usage, listed));
                if used > 0 {
                    tally.count(used, self.per, now);
                }
            }
        }
    }

    /// Whether it is a share of tokens or money, which an answer uses up as it comes.
    pub(super) fn is_of_use(&self) -> bool {
        match self.kind {
            Kind::Tokens | Kind::Spend => true,
            Kind::Requests | Kind::Concurrent => false,
        }
    }

    /// Whether `usage` is more than is held.
    pub(super) fn is_outgrown(&self, usage: &Usage, listed: Option<&Listed>) -> bool {
        self.used(usage, listed) > self.amount
    }

    /// Holds more, as `usage` needs it. False where there is no more and the stream is to end.
    pub(super) fn grow(
        &mut self,
        tally: &mut Tally,
        usage: &Usage,
        listed: Option<&Listed>,
        now: Instant,
    ) -> bool {
        tally.forget(self.per, now);
        let used = self.used(usage, listed);
        let more = used.saturating_sub(self.amount);
        if self.ends_streams && more > tally.left(self.allowed) {
            return false;
        }
        tally.hold(more);
        self.amount = self.amount.max(used);
        true
    }

    /// What `usage` is in the limit's unit.
    fn used(&self, usage: &Usage, listed: Option<&Listed>) -> u64 {
        match self.kind {
            Kind::Requests | Kind::Concurrent => self.amount,
            Kind::Tokens => usage.total(),
            Kind::Spend => match (listed, self.assumed) {
                (Some(listed), _) => listed.cost(usage).pico(),
                (None, Some(assumed)) => assumed.of(usage).pico(),
                // Only a limit that observes comes here; it says that it would have refused.
                (None, None) => 0,
            },
        }
    }
}

impl Need {
    /// `None` where a limit of money does not know the price.
    fn of(limit: &Limit, expected: &Expected) -> Option<Self> {
        let most_of = |amount: &dyn Fn(u64, u64) -> u64| Self {
            least: amount(expected.input.unwrap_or(0), 0),
            most: expected
                .input
                .zip(expected.output.bound())
                .map(|(input, output)| amount(input, output)),
            is_asked: matches!(expected.output, Output::Asked(_)),
        };
        Some(match limit.measure {
            Measure::Requests(_) | Measure::Concurrent(_) => Self {
                least: 1,
                most: Some(1),
                is_asked: true,
            },
            Measure::Tokens(_) => most_of(&|input, output| input.saturating_add(output)),
            Measure::Spend(_) => {
                let listed = expected.listed.or(limit.assumed_price.map(Listed::from))?;
                most_of(&|input, output| listed.at_most(input, output).pico())
            }
        })
    }

    /// How much of what is left the call gets: see the table of the module.
    fn fit(&self, limit: &Limit, can_end: bool, tally: &Tally, now: Instant) -> Result<u64, Why> {
        let allowed = allowed(limit.measure);
        let left = tally.left(allowed);
        if let Some(most) = self.most
            && most <= left
        {
            return Ok(most);
        }
        let may_outgrow = limit.exceeded == BudgetExceeded::Finish || can_end;
        let wanted = match self.most {
            Some(most) if self.is_asked => most,
            _ if may_outgrow && left > 0 && self.least <= left => return Ok(left),
            _ if may_outgrow => self.least.max(1),
            Some(most) if most <= allowed => most,
            _ => return Err(Why::Unbounded),
        };
        if wanted > allowed {
            return Err(Why::TooLarge { most: wanted });
        }
        Err(match tally.wait_for(wanted, allowed, limit.per, now) {
            Some(wait) => Why::Used { wait },
            None => Why::Held,
        })
    }
}

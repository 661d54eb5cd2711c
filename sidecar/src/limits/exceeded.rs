//! Why a limit refuses a call, in words for its caller.

use std::{fmt, time::Duration};

use postern_crds::{
    money::Usd,
    policy::{Limit, Measure, RuleId},
};

/// A limit that stands in the way of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Which.
    pub(crate) limit: RuleId,
    /// What it counts, and how much of it is allowed.
    pub(crate) measure: Measure,
    /// What is in the way.
    pub(crate) why: Why,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Too much was used; time helps.
    Used {
        /// How long until there is room, if nothing else is used.
        wait: Duration,
    },
    /// Calls that run hold what is left; their end helps.
    Held,
    /// The call alone may use more than the whole limit, as it says itself.
    TooLarge {
        /// How much, in the limit's unit.
        most: u64,
    },
    /// The call says no bound, and what it may use without one is more than the limit, or not known.
    Unbounded,
    /// The price of its model is not known.
    UnknownPrice,
}

/// When to try again where nobody can know when the calls that run will end.
const SOON: Duration = Duration::from_secs(1);

impl Exceeded {
    pub(super) fn new(limit: &Limit, why: Why) -> Self {
        Self {
            limit: limit.id.clone(),
            measure: limit.measure,
            why,
        }
    }

    /// The stable word for it.
    pub(crate) fn reason(&self) -> &'static str {
        match self.why {
            Why::Used { .. } | Why::Held => "limit_exceeded",
            Why::TooLarge { .. } | Why::Unbounded => "limit_too_small",
            Why::UnknownPrice => "price_unknown",
        }
    }

    /// When it is worth another try, rounded up to whole seconds as `Retry-After` has them; `None` where the same call will never pass.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.why {
            Why::Used { wait } => {
                let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Some(Duration::from_secs(whole).max(SOON))
            }
            Why::Held => Some(SOON),
            Why::TooLarge { .. } | Why::Unbounded | Why::UnknownPrice => None,
        }
    }

    /// Whether it stands in the way longer than `other` does.
    pub(super) fn outlasts(&self, other: &Self) -> bool {
        match (self.retry_after(), other.retry_after()) {
            (Some(own), Some(other)) => own > other,
            (own, other) => own.is_none() && other.is_some(),
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            limit,
            measure,
            why,
        } = self;
        match why {
            Why::Used { .. } => write!(f, "limit {limit} of {} is used up", Shown(*measure)),
            Why::Held => write!(
                f,
                "calls that still run hold what is left of limit {limit} of {}",
                Shown(*measure)
            ),
            Why::TooLarge { most } => write!(
                f,
                "this call may use {}, which is more than the whole of limit {limit} of {}: ask for fewer output tokens",
                Shown(measure.with(*most)),
                Shown(*measure)
            ),
            Why::Unbounded => write!(
                f,
                "this call may use more than the whole of limit {limit} of {}, since it does not say how many output tokens it wants at most: set max_tokens",
                Shown(*measure)
            ),
            Why::UnknownPrice => write!(
                f,
                "limit {limit} is about money, and the price of this model is not known: the identity's spec.prices can say it"
            ),
        }
    }
}

impl std::error::Error for Exceeded {}

/// An amount with its unit.
struct Shown(Measure);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Measure::Requests(count) => write!(f, "{count} requests"),
            Measure::Tokens(count) => write!(f, "{count} tokens"),
            Measure::Spend(amount) => write!(f, "{amount} USD"),
            Measure::Concurrent(count) => write!(f, "{count} calls at a time"),
        }
    }
}

/// The same measure with another amount.
trait With {
    fn with(self, amount: u64) -> Self;
}

impl With for Measure {
    fn with(self, amount: u64) -> Self {
        match self {
            Self::Requests(_) => Self::Requests(amount),
            Self::Tokens(_) => Self::Tokens(amount),
            Self::Spend(_) => Self::Spend(Usd::from_pico(amount)),
            Self::Concurrent(_) => Self::Concurrent(amount),
        }
    }
}

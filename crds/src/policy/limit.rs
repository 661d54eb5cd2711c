//! A limit, ready to be kept. What it means to keep one is the sidecar's business (`limits.rs` there); this is what the policy says.

use std::time::Duration;

use super::RuleId;
use crate::{money::Usd, price::Price};

/// One limit of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The policy's name and the limit's name in it.
    pub id: RuleId,
    /// The credentials whose calls count, by name; `*` alone means all.
    pub credentials: Vec<String>,
    /// What is counted, and how much of it is allowed.
    pub measure: Measure,
    /// The window; no window at all for [`Measure::Concurrent`].
    pub per: Duration,
    /// Whether it refuses calls, or (its policy observes) only says that it would.
    pub enforce: bool,
    /// What a token of unknown price is taken to cost, where [`Measure::Spend`] does not refuse it.
    pub assumed_price: Option<Price>,
    /// What happens to a stream that uses more than was set aside for it, when nothing is left.
    pub exceeded: BudgetExceeded,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Calls in a window.
    Requests(u64),
    /// Input and output tokens in a window.
    Tokens(u64),
    /// Money in a window.
    Spend(Usd),
    /// Calls at a time.
    Concurrent(u64),
}

/// What happens to a stream whose budget ends.
#[derive(
    schemars::JsonSchema,
    serde::Serialize,
    serde::Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
)]
pub enum BudgetExceeded {
    /// It ends, with an error in its own dialect.
    #[default]
    EndStream,
    /// It may finish; what it used more counts against what comes next.
    Finish,
}

impl Limit {
    /// Whether calls with `credential` count.
    pub fn concerns(&self, credential: &str) -> bool {
        self.credentials
            .iter()
            .any(|name| name == "*" || name == credential)
    }
}

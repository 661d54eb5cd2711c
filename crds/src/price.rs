//! What a token costs.

use crate::{money::Usd, usage::Usage};

/// Prices of one model, each for one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// An input token.
    pub input: Usd,
    /// An input token that was read from a cache.
    pub cached_input: Usd,
    /// An input token that was written into a cache for a short time.
    pub cache_write: Usd,
    /// An input token that was written into a cache for a long time.
    pub cache_write_long: Usd,
    /// An output token.
    pub output: Usd,
    /// An output token of reasoning.
    pub reasoning: Usd,
}

impl Price {
    /// What `usage` costs.
    pub fn of(&self, usage: &Usage) -> Usd {
        let plain_input = usage
            .input
            .saturating_sub(usage.cached_input)
            .saturating_sub(usage.cache_write)
            .saturating_sub(usage.cache_write_long);
        let plain_output = usage.output.saturating_sub(usage.reasoning);
        [
            (self.input, plain_input),
            (self.cached_input, usage.cached_input),
            (self.cache_write, usage.cache_write),
            (self.cache_write_long, usage.cache_write_long),
            (self.output, plain_output),
            (self.reasoning, usage.reasoning),
        ]
        .into_iter()
        .fold(Usd::ZERO, |sum, (price, count)| {
            sum.plus(price.times(count))
        })
    }
}

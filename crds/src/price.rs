//! What a token costs.

use crate::{money::Usd, usage::Usage};

mod listed;
mod own;
mod per_million;
mod table;

pub use listed::{Listed, LongInput};
pub use own::Prices;
pub use per_million::{NotPrice, PerMillion, Tokens};
pub use table::find;
pub(crate) use table::load;

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
    /// Nothing, for every kind of token.
    pub const FREE: Self = Self {
        input: Usd::ZERO,
        cached_input: Usd::ZERO,
        cache_write: Usd::ZERO,
        cache_write_long: Usd::ZERO,
        output: Usd::ZERO,
        reasoning: Usd::ZERO,
    };

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

    /// The same price for every token of input and for every token of output, whatever becomes of them.
    pub fn flat(input: Usd, output: Usd) -> Self {
        Self {
            input,
            cached_input: input,
            cache_write: input,
            cache_write_long: input,
            output,
            reasoning: output,
        }
    }

    /// The most that `input` and `output` tokens can cost, whichever kinds they turn out to be.
    pub fn at_most(&self, input: u64, output: u64) -> Usd {
        let dearest_input = self
            .input
            .max(self.cached_input)
            .max(self.cache_write)
            .max(self.cache_write_long);
        let dearest_output = self.output.max(self.reasoning);
        dearest_input
            .times(input)
            .plus(dearest_output.times(output))
    }

    /// For each kind of token the higher of the two prices.
    #[must_use]
    pub fn dearer(&self, other: &Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cached_input: self.cached_input.max(other.cached_input),
            cache_write: self.cache_write.max(other.cache_write),
            cache_write_long: self.cache_write_long.max(other.cache_write_long),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        Price {
            input: Usd::from_pico(10),
            cached_input: Usd::from_pico(1),
            cache_write: Usd::from_pico(12),
            cache_write_long: Usd::from_pico(20),
            output: Usd::from_pico(50),
            reasoning: Usd::from_pico(60),
        }
    }

    #[test]
    fn every_token_is_paid_once_at_the_price_of_its_kind() {
        let usage = Usage {
            input: 100,
            cached_input: 40,
            cache_write: 5,
            cache_write_long: 5,
            output: 30,
            reasoning: 10,
            ..Usage::default()
        };
        let expected = 50 * 10 + 40 + 5 * 12 + 5 * 20 + 20 * 50 + 10 * 60;
        assert_eq!(price().of(&usage), Usd::from_pico(expected));
    }

    #[test]
    fn parts_larger_than_their_whole_never_make_a_call_cheaper_than_its_parts() {
        let usage = Usage {
            input: 1,
            cached_input: 10,
            ..Usage::default()
        };
        assert_eq!(price().of(&usage), Usd::from_pico(10));
    }

    #[test]
    fn the_most_that_tokens_can_cost_is_no_less_than_what_they_cost() {
        let usage = Usage {
            input: 100,
            cache_write_long: 100,
            output: 30,
            reasoning: 30,
            ..Usage::default()
        };
        assert_eq!(price().at_most(100, 30), price().of(&usage));
    }
}

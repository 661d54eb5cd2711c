//! What is known of a model's prices and bounds.

use super::Price;
use crate::{money::Usd, usage::Usage};

/// One model as a price table has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// What a token costs.
    pub price: Price,
    /// Other prices for calls with a long input, where the vendor has them.
    pub long: Option<LongInput>,
    /// The most output tokens that the model gives in one answer, where it is known.
    pub max_output_tokens: Option<u64>,
    /// The most input tokens that it takes, where it is known.
    pub context_window: Option<u64>,
}

/// Prices of calls whose input is longer than a bound. They are for all of the call's tokens, not only for those above the bound
/// (<https://ai.google.dev/gemini-api/docs/pricing>: "prompts > 200k tokens").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongInput {
    /// Input tokens that still have the common price.
    pub above: u64,
    /// The price beyond.
    pub price: Price,
}

impl Listed {
    /// A call that costs nothing.
    pub const FREE: Self = Self {
        price: Price::FREE,
        long: None,
        max_output_tokens: None,
        context_window: None,
    };

    /// The price of a call whose input has `input` tokens.
    pub fn price_for(&self, input: u64) -> &Price {
        match &self.long {
            Some(long) if input > long.above => &long.price,
            _ => &self.price,
        }
    }

    /// What `usage` costs.
    pub fn cost(&self, usage: &Usage) -> Usd {
        self.price_for(usage.input).of(usage)
    }

    /// The most that a call with at most `input` and `output` tokens can cost.
    pub fn at_most(&self, input: u64, output: u64) -> Usd {
        self.price_for(input).at_most(input, output)
    }

    /// What holds for a call that either of two models may answer: the higher prices, the higher bounds, and no bound where one has none.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let price = self.price.dearer(&other.price);
        let above = match (self.long, other.long) {
            (Some(one), Some(two)) => Some(one.above.min(two.above)),
            (one, two) => one.or(two).map(|long| long.above),
        };
        let long = above.map(|above| LongInput {
            above,
            price: self
                .long
                .map_or(self.price, |long| long.price)
                .dearer(&other.long.map_or(other.price, |long| long.price)),
        });
        let most = |one: Option<u64>, two: Option<u64>| Some(one?.max(two?));
        Self {
            price,
            long,
            max_output_tokens: most(self.max_output_tokens, other.max_output_tokens),
            context_window: most(self.context_window, other.context_window),
        }
    }
}

impl From<Price> for Listed {
    fn from(price: Price) -> Self {
        Self {
            price,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(input: u64, output: u64) -> Listed {
        Price::flat(Usd::from_pico(input), Usd::from_pico(output)).into()
    }

    fn long(input: u64, above: u64, dear: u64) -> Listed {
        Listed {
            long: Some(LongInput {
                above,
                price: Price::flat(Usd::from_pico(dear), Usd::from_pico(dear)),
            }),
            ..listed(input, input)
        }
    }

    #[test]
    fn a_long_input_makes_all_tokens_dearer() {
        let listed = long(1, 200, 10);
        let usage = |input| Usage {
            input,
            output: 1,
            ..Usage::default()
        };
        assert_eq!(listed.cost(&usage(200)), Usd::from_pico(201));
        assert_eq!(listed.cost(&usage(201)), Usd::from_pico(2020));
    }

    #[test]
    fn of_two_models_the_dearer_counts_for_every_kind_and_length() {
        let both = listed(5, 1).or(&long(2, 100, 8));
        assert_eq!(both.at_most(100, 10), Usd::from_pico(500 + 20));
        assert_eq!(both.at_most(101, 10), Usd::from_pico(808 + 80));
    }

    #[test]
    fn a_bound_that_one_of_two_models_lacks_is_no_bound() {
        let bounded = Listed {
            max_output_tokens: Some(10),
            ..listed(1, 1)
        };
        assert_eq!(bounded.or(&bounded).max_output_tokens, Some(10));
        assert_eq!(bounded.or(&listed(1, 1)).max_output_tokens, None);
    }
}

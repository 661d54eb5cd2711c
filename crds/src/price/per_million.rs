//! Prices as people write them: US dollars for a million tokens.

use serde::{Deserialize, Serialize};

use super::Price;
use crate::money::{NotMoney, Usd};

/// Prices of one model for a million tokens. What is left out costs what stands in its stead.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerMillion {
    /// Input tokens.
    pub input: Tokens,
    /// Input tokens read from a cache; as `input` where it is absent.
    #[serde(default)]
    pub cached_input: Option<Tokens>,
    /// Input tokens written into a cache; as `input` where it is absent.
    #[serde(default)]
    pub cache_write: Option<Tokens>,
    /// Input tokens written into a cache for a long time; as `cacheWrite` where it is absent.
    #[serde(default)]
    pub cache_write_long: Option<Tokens>,
    /// Output tokens.
    pub output: Tokens,
    /// Output tokens of reasoning; as `output` where it is absent.
    #[serde(default)]
    pub reasoning: Option<Tokens>,
}

/// The price of a million tokens, written as in `"0.15"`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(try_from = "String", into = "String")]
pub struct Tokens(Usd);

/// Not a price of a million tokens.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "must be US dollars for a million tokens, like 3, 0.15 or 12.5: digits, with at most 6 after the point"
)]
pub struct NotPrice;

/// How many tokens a written price is for, and picodollars of the smallest one that can be written.
const MILLION: u64 = 1_000_000;

impl Tokens {
    /// The price of one of them.
    pub fn each(self) -> Usd {
        Usd::from_pico(self.0.pico() / MILLION)
    }
}

impl std::str::FromStr for Tokens {
    type Err = NotPrice;

    fn from_str(text: &str) -> Result<Self, NotPrice> {
        let amount: Usd = text.parse().map_err(|NotMoney| NotPrice)?;
        // A finer price could not be kept for a single token.
        amount
            .pico()
            .is_multiple_of(MILLION)
            .then_some(Self(amount))
            .ok_or(NotPrice)
    }
}

impl TryFrom<String> for Tokens {
    type Error = NotPrice;

    fn try_from(text: String) -> Result<Self, NotPrice> {
        text.parse()
    }
}

impl From<Tokens> for String {
    fn from(tokens: Tokens) -> Self {
        tokens.0.to_string()
    }
}

impl From<&PerMillion> for Price {
    fn from(written: &PerMillion) -> Self {
        let input = written.input.each();
        let output = written.output.each();
        let or = |price: Option<Tokens>, other: Usd| price.map_or(other, Tokens::each);
        let cache_write = or(written.cache_write, input);
        Self {
            input,
            cached_input: or(written.cached_input, input),
            cache_write,
            cache_write_long: or(written.cache_write_long, cache_write),
            output,
            reasoning: or(written.reasoning, output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_for_a_million_is_exact_for_one() {
        let tokens: Tokens = "0.0375".parse().unwrap();
        assert_eq!(tokens.each(), Usd::from_pico(37_500));
        assert_eq!("0.000001".parse::<Tokens>().unwrap().each().pico(), 1);
        for text in ["0.0000001", "", "-1", "1e3"] {
            assert_eq!(text.parse::<Tokens>(), Err(NotPrice), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_costs_what_stands_in_its_stead() {
        let written: PerMillion =
            crate::yaml::from_str("{input: '3', cacheWrite: '4', output: '15'}").unwrap();
        let each = |dollars: u64| Usd::from_pico(dollars * MILLION);
        let expected = Price {
            input: each(3),
            cached_input: each(3),
            cache_write: each(4),
            cache_write_long: each(4),
            output: each(15),
            reasoning: each(15),
        };
        assert_eq!(Price::from(&written), expected);
    }
}

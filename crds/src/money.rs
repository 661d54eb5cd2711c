//! Money, in whole units so small that no price of a token is rounded.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An amount of US dollars, in millionths of a millionth (picodollars): a token at 0.0375 dollars a million is 37 500 of them. Sums stop at
/// about 18 million dollars and never wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

/// Picodollars of a dollar.
const DOLLAR: u64 = 1_000_000_000_000;

/// Not an amount of money.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "must be an amount like 20, 0.15 or 12.5: digits, with at most 12 after the point, and less than 18 million"
)]
pub struct NotMoney;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From picodollars.
    pub const fn from_pico(pico: u64) -> Self {
        Self(pico)
    }

    /// In picodollars.
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing where it would be less.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `count` times the amount.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// In dollars, for a metric or an expression; rounded as floating point is.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric needs no more than 53 bits"
    )]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / DOLLAR as f64
    }
}

impl FromStr for Usd {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 12 {
            return Err(NotMoney);
        }
        let whole: u64 = whole.parse().map_err(|_| NotMoney)?;
        let fraction: u64 = format!("{fraction:0<12}").parse().map_err(|_| NotMoney)?;
        let pico = whole
            .checked_mul(DOLLAR)
            .and_then(|pico| pico.checked_add(fraction));
        pico.map(Self).ok_or(NotMoney)
    }
}

/// `12.5`, `0.00015`: as few digits as say it exactly, and at least two after the point.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:012}", self.0 % DOLLAR);
        let kept = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / DOLLAR, &fraction[..kept])
    }
}

impl Serialize for Usd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for (text, pico, shown) in [
            ("20", 20 * DOLLAR, "20.00"),
            ("0.15", 150_000_000_000, "0.15"),
            ("0.0000000375", 37_500, "0.0000000375"),
            ("12.500", 12_500_000_000_000, "12.50"),
            ("0.000000000001", 1, "0.000000000001"),
        ] {
            let amount: Usd = text.parse().unwrap();
            assert_eq!(amount.pico(), pico, "{text}");
            assert_eq!(amount.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0.0000000000001",
            "18446745",
        ] {
            assert_eq!(text.parse::<Usd>(), Err(NotMoney), "{text}");
        }
    }
}

//! Kubernetes resource quantities, compared by value: the API server rewrites `1024Mi` to `1Gi`.
//!
//! The grammar: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.

use std::{borrow::Cow, cmp::Ordering, fmt, str::FromStr};

use thiserror::Error;

/// An amount of CPU or memory; `Display` gives it back as it was written.
#[derive(Clone, Debug)]
pub struct Quantity {
    text: Cow<'static, str>,
    nano: i128,
}

/// Text that is not a quantity.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("is not an amount like 100m, 1, 64Mi or 1Gi")]
pub struct InvalidQuantity;

impl Quantity {
    /// `1m`.
    pub const MILLI: Self = Self {
        text: Cow::Borrowed("1m"),
        nano: 1_000_000,
    };
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        // Kubernetes rounds what is finer than a billionth; nobody means that.
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || fraction.len() > 9 {
            return Err(InvalidQuantity);
        }
        let mantissa: i128 = format!("{whole}{fraction}")
            .parse()
            .map_err(|_| InvalidQuantity)?;
        let shift = u32::try_from(fraction.len()).map_err(|_| InvalidQuantity)?;
        let nano = mantissa
            .checked_mul(nanos(suffix).ok_or(InvalidQuantity)?)
            .ok_or(InvalidQuantity)?
            / 10_i128.pow(shift);
        Ok(Self {
            text: Cow::Owned(text.to_owned()),
            nano,
        })
    }
}

/// How many billionths a unit of `suffix` has.
fn nanos(suffix: &str) -> Option<i128> {
    const ONE: i128 = 1_000_000_000;
    Some(match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => ONE,
        "k" => ONE * 1_000,
        "M" => ONE * 1_000_000,
        "G" => ONE * 1_000_000_000,
        "T" => ONE * 1_000_000_000_000,
        "P" => ONE * 1_000_000_000_000_000,
        "E" => ONE * 1_000_000_000_000_000_000,
        "Ki" => ONE << 10,
        "Mi" => ONE << 20,
        "Gi" => ONE << 30,
        "Ti" => ONE << 40,
        "Pi" => ONE << 50,
        "Ei" => ONE << 60,
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_i128.checked_pow(u32::try_from(exponent.checked_add(9)?).ok()?)?
        }
    })
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_compared_by_value() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("1E", "1e18"),
            ("1e-3", "1m"),
            ("100u", "0.1m"),
            ("0", "0Ki"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one} and {other}");
        }
        assert!(quantity("1G") < quantity("1Gi"));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            ".",
            "m",
            "-1",
            "+1",
            "1 Gi",
            "1Gib",
            "1.2.3",
            "1e",
            "1e99",
            "1KI",
            "0x1",
            "1.0000000001",
            "99999999999999999999999999999999999999Ei",
        ] {
            assert_eq!(
                text.parse::<Quantity>().unwrap_err(),
                InvalidQuantity,
                "{text}"
            );
        }
    }

    #[test]
    fn mutated_amounts_are_read_alike_each_time() {
        fuzz::check("quantity", |data| {
            let Ok(text) = std::str::from_utf8(data) else {
                return;
            };
            if let Ok(amount) = text.parse::<Quantity>() {
                assert_eq!(amount.to_string(), text);
                assert_eq!(quantity(text), amount);
            }
        });
    }

    #[test]
    fn an_amount_is_shown_as_it_was_written() {
        assert_eq!(quantity("1024Mi").to_string(), "1024Mi");
    }
}

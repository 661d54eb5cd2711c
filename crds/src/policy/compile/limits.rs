//! Reads the limits of a policy.

use std::time::Duration;

use crate::{
    egress_policy::{AssumedPrice, Mode, OnUnknownPrice, PolicyLimit},
    interval,
    money::Usd,
    names::is_label,
    policy::{Limit, Measure, RuleId},
    price::{Price, Tokens},
    violation::Violation,
};

/// The longest window: 31 days.
const MAX_WINDOW: Duration = Duration::from_secs(31 * 24 * 3600);
/// The largest count, so that it stays exact wherever JSON is read: 2^53.
const MAX_COUNT: i64 = 1 << 53;

/// The limits of `policy`, and every problem that they have.
pub(super) fn compile(
    policy: &str,
    mode: Mode,
    limits: &[PolicyLimit],
    violations: &mut Vec<Violation>,
) -> Vec<Limit> {
    let mut compiled = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        let at = format!("spec.limits[{index}]");
        if limits[..index]
            .iter()
            .any(|earlier| earlier.name == limit.name)
        {
            violations.push(Violation::new(
                format!("{at}.name"),
                format!("{:?} names an earlier limit too", limit.name),
            ));
        }
        let mut reader = Reader {
            at,
            violations: Vec::new(),
        };
        let read = reader.limit(policy, mode, limit);
        if reader.violations.is_empty() {
            compiled.extend(read);
        }
        violations.append(&mut reader.violations);
    }
    compiled
}

/// Reads one limit, and notes what is wrong with it.
struct Reader {
    at: String,
    violations: Vec<Violation>,
}

impl Reader {
    fn wrong(&mut self, member: &str, message: impl Into<String>) {
        self.violations
            .push(Violation::new(format!("{}{member}", self.at), message));
    }

    fn limit(&mut self, policy: &str, mode: Mode, limit: &PolicyLimit) -> Option<Limit> {
        if !is_label(&limit.name) {
            self.wrong(
                ".name",
                "must be 1 to 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit",
            );
        }
        let credentials = match &limit.to {
            None => vec!["*".to_owned()],
            Some(to) => {
                super::check_credentials(&self.at, &to.credentials, &mut self.violations);
                to.credentials.clone()
            }
        };
        let measure = self.measure(limit);
        let per = self.window(limit);
        let assumed_price = self.assumed_price(limit);
        if limit.spend.is_none() && limit.currency.is_some() {
            self.wrong(".currency", "currency belongs to spend");
        }
        if limit.tokens.is_none() && limit.spend.is_none() && limit.budget_exceeded.is_some() {
            self.wrong(
                ".budgetExceeded",
                "budgetExceeded belongs to tokens and spend",
            );
        }
        Some(Limit {
            id: RuleId {
                policy: policy.to_owned(),
                rule: limit.name.clone(),
            },
            credentials,
            measure: measure?,
            per: per?,
            enforce: mode == Mode::Enforce,
            assumed_price,
            exceeded: limit.budget_exceeded.unwrap_or_default(),
        })
    }

    fn measure(&mut self, limit: &PolicyLimit) -> Option<Measure> {
        let measures = [
            self.count(".requests", limit.requests)
                .map(Measure::Requests),
            self.count(".tokens", limit.tokens).map(Measure::Tokens),
            self.count(".concurrent", limit.concurrent)
                .map(Measure::Concurrent),
            self.spend(limit).map(Measure::Spend),
        ];
        let is_set = [
            limit.requests.is_some(),
            limit.tokens.is_some(),
            limit.concurrent.is_some(),
            limit.spend.is_some(),
        ];
        if is_set.into_iter().filter(|is_set| *is_set).count() != 1 {
            self.wrong(
                "",
                "set exactly one of requests, tokens, spend and concurrent",
            );
        }
        measures.into_iter().flatten().next()
    }

    fn count(&mut self, member: &str, count: Option<i64>) -> Option<u64> {
        let count = count?;
        if (1..=MAX_COUNT).contains(&count) {
            return u64::try_from(count).ok();
        }
        self.wrong(member, format!("must be 1 to {MAX_COUNT}"));
        None
    }

    fn spend(&mut self, limit: &PolicyLimit) -> Option<Usd> {
        match limit.spend.as_ref()?.parse::<Usd>() {
            Ok(Usd::ZERO) => self.wrong(
                ".spend",
                "must be more than nothing: to allow no call, write a rule",
            ),
            Ok(amount) => return Some(amount),
            Err(error) => self.wrong(".spend", error.to_string()),
        }
        None
    }

    /// The window; none at all for calls at a time.
    fn window(&mut self, limit: &PolicyLimit) -> Option<Duration> {
        if limit.per.is_some() == limit.concurrent.is_some() {
            self.wrong(
                ".per",
                "per is the window of requests, tokens and spend, and there is none for concurrent",
            );
        }
        let Some(per) = &limit.per else {
            return Some(Duration::ZERO);
        };
        let window = interval::parse(per).filter(|window| *window <= MAX_WINDOW);
        if window.is_none() {
            self.wrong(
                ".per",
                "use a number and a unit, as in 30s, 1m or 24h, of at most 31 days (744h)",
            );
        }
        window
    }

    fn assumed_price(&mut self, limit: &PolicyLimit) -> Option<Price> {
        if limit.spend.is_none() && limit.on_unknown_price.is_some() {
            self.wrong(".onUnknownPrice", "onUnknownPrice belongs to spend");
        }
        let assumes = limit.on_unknown_price == Some(OnUnknownPrice::Assume);
        if assumes != limit.assumed_price.is_some() {
            self.wrong(
                ".assumedPrice",
                "assumedPrice goes with onUnknownPrice: Assume, and only with it",
            );
        }
        let AssumedPrice { input, output } = limit.assumed_price.as_ref()?;
        let input = self.of_a_million(".assumedPrice.input", input)?;
        let output = self.of_a_million(".assumedPrice.output", output)?;
        Some(Price::flat(input, output))
    }

    /// What one token costs where a million cost `text` dollars.
    fn of_a_million(&mut self, member: &str, text: &str) -> Option<Usd> {
        let price = text.parse::<Tokens>().ok().map(Tokens::each);
        if price.is_none() {
            self.wrong(
                member,
                "must be dollars for a million tokens, like 15 or 0.60: digits, with at most 6 after the point",
            );
        }
        price
    }
}

//! `spec.limits`: how much calls may use.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::To;
use crate::policy::BudgetExceeded;

/// How much the calls of one pod may use. Exactly one of `requests`, `tokens`, `spend` and `concurrent` says of what.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = ("[has(self.requests), has(self.tokens), has(self.spend), has(self.concurrent)].filter(x, x).size() == 1", "set exactly one of requests, tokens, spend and concurrent"),
    validation = ("has(self.per) != has(self.concurrent)", "per is the window of requests, tokens and spend, and there is none for concurrent"),
    validation = ("!has(self.currency) || has(self.spend)", "currency belongs to spend"),
    validation = ("!has(self.onUnknownPrice) || has(self.spend)", "onUnknownPrice belongs to spend"),
    validation = ("(has(self.onUnknownPrice) && self.onUnknownPrice == 'Assume') == has(self.assumedPrice)", "assumedPrice goes with onUnknownPrice: Assume, and only with it"),
    validation = ("!has(self.budgetExceeded) || has(self.tokens) || has(self.spend)", "budgetExceeded belongs to tokens and spend"),
)]
pub struct PolicyLimit {
    /// Name of the limit, shown in refusals, logs and metrics.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// Whose calls are counted together.
    pub scope: Scope,

    /// Which calls count; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<To>,

    /// At most this many calls in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_992_i64))]
    pub requests: Option<i64>,

    /// At most this many input and output tokens in a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_992_i64))]
    pub tokens: Option<i64>,

    /// At most this much money in a window, as in `"20"` or `"0.50"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]{1,8}(\.[0-9]{1,12})?$"))]
    pub spend: Option<String>,

    /// At most this many calls at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_992_i64))]
    pub concurrent: Option<i64>,

    /// The window, as in `1m` or `24h`; at most 31 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = "^[1-9][0-9]{0,6}[smh]$"))]
    pub per: Option<String>,

    /// The currency of `spend`; absent means `USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,

    /// What `spend` does with a call to a model whose price is not known; absent means `Deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unknown_price: Option<OnUnknownPrice>,

    /// What such a model is taken to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_price: Option<AssumedPrice>,

    /// What happens to a stream that uses more than was set aside for it, when nothing is left; absent means `EndStream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_exceeded: Option<BudgetExceeded>,
}

/// Whose calls are counted together.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of one pod, in its sidecar. A pod that is replaced starts anew.
    Pod,
}

/// A currency.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Currency {
    /// US dollars, in which the vendors' prices are.
    #[serde(rename = "USD")]
    Usd,
}

/// What a limit of money does with a call whose price is not known.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnknownPrice {
    /// It refuses the call.
    Deny,
    /// It counts the call at `assumedPrice`.
    Assume,
}

/// What a model of unknown price is taken to cost, in dollars for a million tokens, as in `"15"` or `"0.60"`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssumedPrice {
    /// Of input tokens, cached or not.
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]{1,8}(\.[0-9]{1,6})?$"))]
    pub input: String,
    /// Of output tokens, reasoning among them.
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]{1,8}(\.[0-9]{1,6})?$"))]
    pub output: String,
}

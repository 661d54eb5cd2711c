//! The meaning of policies: `compile` reads them, `decide` answers for one request.
//!
//! Default deny. A request is measured against every rule of every policy; the strongest action among the matching rules wins (`Deny` over
//! `Allow`); none matching is a denial. So the order of rules and policies has no meaning, and a policy can only tighten what another allows.
//! The golden files in `crds/tests/golden` are this page as a table.
//!
//! # When a rule matches
//!
//! A rule matches when every member that it has does. What is not sure counts against the call: **any doubt denies**.
//!
//! | Member | A rule that allows | A rule that denies |
//! |---|---|---|
//! | `to`, `methods`, `paths` | one of them is the call's | the same |
//! | `operations` | the call's is among them; an unknown one only by `unknown` or `*` | the same; and always an unknown one |
//! | `models` | every model of the call is among them, spelled as it is written; no model is none of them, and neither are hidden ones | one of the call's models or its aliases is among them, in any case of ASCII; hidden ones, and one behind a name that does not tell which, always |
//! | `tools` | every tool of the call is among them, which is so without tools; not where models are hidden, since tools may be too | one of the call's tools is among them, in any case; always where models are hidden |
//! | `when` | its expression is true | the same |
//!
//! # Expressions
//!
//! `when` is a bool in [CEL](https://github.com/google/cel-spec/blob/master/doc/langdef.md) over the facts below. It is evaluated last, when
//! every other member matches. A fact that is not known of a call is absent: `has(request.maxTokens)` is false, and what needs its value has
//! none. An expression without a value **denies the call** ([`Decision::Failed`]), in a rule that allows as in one that denies; as everywhere in
//! CEL, `a || b` has a value where one of them is true, and `a && b` where one is false.
//!
//! | Fact | Type | Unit, and when it is absent |
//! |---|---|---|
//! | `request.credential` | string | the credential's name |
//! | `request.method`, `request.path` | string | in capitals; as sent to the provider, without the query |
//! | `request.host` | string | the upstream's |
//! | `request.headers` | map(string, string) | those of [`READABLE_HEADERS`](crate::facts::READABLE_HEADERS) that the call has, by lower-case name; one that it has twice with a comma between: `"user-agent" in request.headers && request.headers["user-agent"] == "x"` |
//! | `identity.namespace`, `identity.name` | string | absent where there is no cluster to name them |
//! | `pod.name` | string | absent on a laptop |
//! | `now.hour`, `now.weekday` | int | 0 to 23, and 0 (Sunday) to 6; in UTC |
//! | `request.operation` | string | as in `operations`; `unknown` where it is not known |
//! | `request.model`, `request.models` | string, list(string) | as the call spells them and without their aliases; absent where models are hidden, and `model` where the call does not name exactly one |
//! | `request.tools` | list(string) | their names; absent where models are hidden |
//! | `request.stream`, `request.hasImages` | bool | |
//! | `request.maxTokens` | int | output tokens for one answer; absent where the call does not bound them and the model's own limit is unknown |
//! | `request.estimatedInputTokens` | int | tokens; absent where they cannot be told |
//! | `request.estimatedCost` | double | US dollars, the most that the call can cost; absent where a price or a bound is unknown |
//! | `request.messages`, `request.embeddings.count` | int | messages or turns, and texts to embed; absent where the operation has none |
//! | `request.imageSize` | string | of images and films to be made, as the call spells it; absent where it says none, and for other operations |
//! | `request.n` | int | answers asked for |
//! | `request.bodyBytes` | int | bytes, without the content encoding |
//! | `request.collection`, `request.namespace` | string | of a vector store; absent elsewhere |
//!
//! There are the operators of CEL, literals and lists of them; `has`, `size`, `int`, `double`, `string`; on strings `startsWith`, `endsWith`,
//! `contains`, `size` and `matches` with a literal pattern; on lists `in`, `[i]`, `size`, `all`, `exists` and `exists_one`. Names and types are
//! checked when a policy is read. To deny a model, `models` is better than `when`: it knows aliases and thinks the worst of what is hidden.
//!
//! # A body that was not read
//!
//! Of a call whose body is longer than [`Policy::max_inspected_bytes`], models, tools and the like are unknown but for what the head tells (the
//! operation; for some vendors the model). The head alone may settle a member: a model of the path that no glob of an `Allow` matches stays
//! unmatched. Otherwise the rule's `uninspected` says what to think. `Deny`, the default: a rule that allows does not match, a rule that denies
//! does. `Allow`: the other way round. Where no rule allows and one would have done so, or where only such a doubt denies, the decision is
//! [`Decision::Uninspected`].
//!
//! # Masks
//!
//! `request.mask` hides from the provider what the texts of a call say, once it is decided about; `response.mask` hides from the program what the
//! texts of an answer say. In each direction masks of all policies apply together ([`Policy::request_masks`], [`Policy::response_masks`]). Where
//! two policies mask the same thing, one that enforces wins over one that observes, then the stronger style: `Remove` over `Label` over
//! `Pseudonym` over `Hash` over `Partial`, then one that does not `restore`; of a field, `Drop` over `Mask`. Of a policy that observes, what would
//! be masked is counted.
//!
//! # Policies that observe
//!
//! Rules of policies in `mode: Observe` decide nothing: what is done is the result of the enforcing policies alone, and
//! [`Verdict::observed`] tells when all of them together would have had another. Where *every* policy observes, the call passes
//! ([`Decision::Unenforced`]), and `observed` tells what they say. Where there is no policy, nothing passes.

use crate::egress_policy::EgressPolicySpec;

mod compile;
mod decision;
mod explain;
mod expression;
mod fit;
mod glob;
mod label;
mod limit;
mod mask;
mod needs;
mod path;
mod rule;
#[cfg(test)]
mod tests;

pub use compile::{check, compile};
pub use decision::{Decision, Verdict};
pub use explain::{Explanation, Matched, Miss};
pub(crate) use expression::MAX_BYTES as MAX_EXPRESSION_BYTES;
pub use fit::{unknown_credentials, unreachable_paths};
pub use glob::Glob;
pub(crate) use glob::MAX_BYTES as MAX_GLOB_BYTES;
pub use limit::{BudgetExceeded, Limit, Measure};
pub(crate) use mask::MAX_PATTERN_BYTES;
pub use mask::{Field, MaskItem, Masked, Masks, Step, parse_pattern};
pub use needs::Needs;
pub use path::Pattern;
pub use rule::Member;

/// All policies of one identity, ready to decide.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Rules that deny before rules that allow, and among equals by name: the first that denies is the answer.
    rules: Vec<rule::Rule>,
    limits: Vec<Limit>,
    request_masks: Masks,
    response_masks: Masks,
    /// Some policy enforces.
    enforces: bool,
    /// Some policy observes.
    observes: bool,
    /// The smallest that a policy asks for.
    max_inspected_bytes: Option<usize>,
    /// Globs of models, the most exact first.
    models: Vec<Glob>,
    /// Some rule names headers.
    reads_headers: bool,
}

/// A rule's full name, or a limit's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId {
    /// The policy's name.
    pub policy: String,
    /// The rule's name in it.
    pub rule: String,
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.policy, self.rule)
    }
}

/// A policy with its name, as it stands in a bundle.
#[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NamedPolicy {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.generation`, for `Programmed`; 0 on a laptop.
    #[serde(default)]
    pub generation: i64,
    /// `spec`.
    pub spec: EgressPolicySpec,
}

/// HTTP methods that a rule can name: those of RFC 9110 section 9 but `CONNECT` and `TRACE`, which are never forwarded, and `PATCH` (RFC 5789).
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// How much of a body is read where no policy says: 8 MiB, which holds a long conversation with some images.
pub const DEFAULT_MAX_INSPECTED_BYTES: usize = 8 * 1024 * 1024;

impl Policy {
    /// How many rules are in force or observed.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }

    /// The limits sorted by name, of enforcing and of observing policies.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// What is masked in calls, by enforcing and observing policies.
    pub fn request_masks(&self) -> &Masks {
        &self.request_masks
    }

    /// What is masked in answers, by enforcing and observing policies.
    pub fn response_masks(&self) -> &Masks {
        &self.response_masks
    }

    /// Whether a decision may depend on [`Facts::headers`](crate::Facts::headers); otherwise nobody has to collect them.
    pub fn reads_headers(&self) -> bool {
        self.reads_headers
    }

    /// How much of a body is read to decide about it; a longer one is [`Uninspected`](crate::facts::Content::Uninspected).
    pub fn max_inspected_bytes(&self) -> usize {
        self.max_inspected_bytes
            .unwrap_or(DEFAULT_MAX_INSPECTED_BYTES)
    }
}

//! The meaning of policies: `compile` reads them, `decide` answers for one request.
//!
//! Default deny. A request is measured against every rule of every policy; the strongest action among the matching rules wins (`Deny` over
//! `Allow`); none matching is a denial. So the order of rules and policies has no meaning, and a policy can only tighten what another allows.

use crate::egress_policy::{Action, EgressPolicySpec};

mod compile;
mod fit;
mod limit;
mod path;
#[cfg(test)]
mod tests;

pub use compile::{check, compile};
pub use fit::{unknown_credentials, unreachable_paths};
pub use limit::{BudgetExceeded, Limit, Measure};
pub use path::Pattern;

/// All policies of one identity, ready to decide.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Vec<CompiledRule>,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    id: RuleId,
    credentials: Vec<String>,
    methods: Vec<String>,
    paths: Vec<Pattern>,
    action: Action,
}

/// A rule's full name.
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

/// What is known of a request when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Name of the credential that its route belongs to.
    pub credential: &'a str,
    /// HTTP method, in capitals.
    pub method: &'a str,
    /// Path as it will be sent to the provider, normalised, without the query.
    pub path: &'a str,
}

/// The answer for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it and none denies it.
    Allow(RuleId),
    /// A rule denies it.
    Deny(RuleId),
    /// No rule matches it.
    NoRule,
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

impl Policy {
    /// Decides one request. Pure, and linear in the number of rules.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        // Among equals the first by name, so that the answer does not depend on the order of rules either.
        let strongest = self
            .rules
            .iter()
            .filter(|rule| rule.matches(facts))
            .max_by(|a, b| a.action.cmp(&b.action).then_with(|| b.id.cmp(&a.id)));
        match strongest {
            Some(rule) if rule.action == Action::Deny => Decision::Deny(rule.id.clone()),
            Some(rule) => Decision::Allow(rule.id.clone()),
            None => Decision::NoRule,
        }
    }

    /// How many rules are in force.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }
}

impl CompiledRule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.credentials
            .iter()
            .any(|name| name == "*" || name == facts.credential)
            && (self.methods.is_empty() || self.methods.iter().any(|method| method == facts.method))
            && (self.paths.is_empty()
                || self.paths.iter().any(|pattern| pattern.matches(facts.path)))
    }
}

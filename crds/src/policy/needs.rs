//! What must be read of a call before it can be decided.

use super::{Limit, Measure, Policy, rule::Rule};
use crate::{egress_policy::Action, facts::Facts};

/// What must be read of a call before it can be decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its content: the body, as far as [`Policy::max_inspected_bytes`] goes.
    pub content: bool,
    /// Whether what is enforced depends on it. Otherwise only policies that observe want to know, and a body that cannot be read is no reason
    /// to refuse the call.
    pub binding: bool,
}

impl Policy {
    /// What must be read of a call with this head. Where it is nothing, the body can stream through: no rule looks into it that may still
    /// change the decision, and no limit of tokens or money counts it.
    pub fn needs(&self, credential: &str, method: &str, path: &str) -> Needs {
        let counts = |limit: &&Limit| {
            matches!(limit.measure, Measure::Tokens(_) | Measure::Spend(_))
                && limit.concerns(credential)
        };
        let mut counting = self.limits.iter().filter(counts).peekable();
        let is_counted = counting.peek().is_some();
        let is_limited = counting.any(|limit| limit.enforce);
        let head = Facts::of_head(credential, method, path);
        let enforcing = || self.rules.iter().filter(|rule| rule.enforce);
        let binding = is_limited || depends_on_content(enforcing(), &head);
        Needs {
            content: binding
                || is_counted
                || self.observes && depends_on_content(self.rules.iter(), &head),
            binding,
        }
    }
}

/// Whether what `rules` say of a call with this head depends on its content.
fn depends_on_content<'a>(rules: impl Iterator<Item = &'a Rule>, head: &Facts<'_>) -> bool {
    let mut allowed_by_head = false;
    let mut may_allow = false;
    let mut may_deny = false;
    for rule in rules.filter(|rule| rule.may_match(head)) {
        match (rule.action, rule.reads_content()) {
            // An expression over the head alone asks for no content, and it is open whether it is true.
            (_, false) if rule.when.is_some() => {}
            (Action::Deny, false) => return false,
            (Action::Deny, true) => may_deny = true,
            (Action::Allow, false) => allowed_by_head = true,
            // Where its other members match and its expression has no value, it denies.
            (Action::Allow, true) if rule.when.is_some() => may_deny = true,
            (Action::Allow, true) => may_allow = true,
        }
    }
    may_deny || may_allow && !allowed_by_head
}

//! What must be read of a call before it can be decided.

use super::{Measure, Policy, rule::Rule};
use crate::{egress_policy::Action, facts::Facts};

/// What must be read of a call before it can be decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Its content: the body, as far as [`Policy::max_inspected_bytes`] goes.
    pub content: bool,
}

impl Policy {
    /// What must be read of a call with this head. Where it is nothing, the body can stream through: no rule looks into it that may still
    /// change the decision, and no limit of tokens or money counts it.
    pub fn needs(&self, credential: &str, method: &str, path: &str) -> Needs {
        let is_counted = self.limits.iter().any(|limit| {
            matches!(limit.measure, Measure::Tokens(_) | Measure::Spend(_))
                && limit.concerns(credential)
        });
        let head = Facts::of_head(credential, method, path);
        let enforcing = || self.rules.iter().filter(|rule| rule.enforce);
        Needs {
            content: is_counted
                || depends_on_content(enforcing(), &head)
                || self.observes && depends_on_content(self.rules.iter(), &head),
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
            (Action::Deny, false) => return false,
            (Action::Deny, true) => may_deny = true,
            (Action::Allow, false) => allowed_by_head = true,
            (Action::Allow, true) => may_allow = true,
        }
    }
    may_deny || may_allow && !allowed_by_head
}

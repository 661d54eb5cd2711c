//! Decides one request: the strongest of what the rules say.

use std::cmp::Ordering;

use super::{
    Policy, RuleId,
    rule::{Effect, Rule},
};
use crate::facts::Facts;

/// The answer for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What is done.
    pub decision: Decision,
    /// What all policies together say, those that only observe among them, where a call that passes would then be denied, or the other way
    /// round; and always where all of them only observe.
    pub observed: Option<Decision>,
}

/// What is done about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it and none denies it.
    Allow(RuleId),
    /// A rule denies it.
    Deny(RuleId),
    /// No rule matches it, or there is no policy: it is denied.
    NoRule,
    /// All policies only observe: it passes.
    Unenforced,
    /// The expression of a rule that otherwise matches has no value: it is denied.
    Failed {
        /// The rule.
        rule: RuleId,
        /// Why it has none, with names of facts and without their values.
        error: String,
    },
    /// It would have to be read and could not be, so that this rule does not allow it, or denies it: it is denied.
    Uninspected(RuleId),
}

impl Decision {
    /// Whether the call may be made.
    pub fn passes(&self) -> bool {
        match self {
            Self::Allow(_) | Self::Unenforced => true,
            Self::Deny(_) | Self::NoRule | Self::Failed { .. } | Self::Uninspected(_) => false,
        }
    }

    /// The rule that decided, if one did.
    pub fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::Allow(rule)
            | Self::Deny(rule)
            | Self::Failed { rule, .. }
            | Self::Uninspected(rule) => Some(rule),
            Self::NoRule | Self::Unenforced => None,
        }
    }
}

/// `Allow chat/cheap`, `Deny chat/no-files`, `NoRule`, `Unenforced`, `Failed chat/cheap: …`, `Uninspected chat/cheap`.
impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Allow(rule) => write!(f, "Allow {rule}"),
            Self::Deny(rule) => write!(f, "Deny {rule}"),
            Self::NoRule => f.write_str("NoRule"),
            Self::Unenforced => f.write_str("Unenforced"),
            Self::Failed { rule, error } => write!(f, "Failed {rule}: {error}"),
            Self::Uninspected(rule) => write!(f, "Uninspected {rule}"),
        }
    }
}

impl Policy {
    /// Decides one request. Pure, and linear in the number of rules.
    ///
    /// With [`Content::NotRead`](crate::facts::Content::NotRead) the answer is the right one only if [`needs`](Self::needs) asks for no content;
    /// otherwise it may deny what content would allow, and never the other way round.
    pub fn decide(&self, facts: &Facts<'_>) -> Verdict {
        let mut enforced = Strongest::default();
        let mut together = Strongest::default();
        for rule in &self.rules {
            let effect = rule.effect(facts);
            together.consider(rule, &effect);
            if rule.enforce {
                let is_final = matches!(effect, Effect::Deny);
                enforced.consider(rule, &effect);
                if is_final {
                    break; // Nothing is stronger, and the first by name is the one that answers.
                }
            }
        }
        if !self.enforces {
            let observed = self.observes.then(|| together.decision());
            let decision = match observed {
                Some(_) => Decision::Unenforced,
                None => Decision::NoRule,
            };
            return Verdict { decision, observed };
        }
        let decision = enforced.decision();
        let observed = self.observes.then(|| together.decision());
        Verdict {
            observed: observed.filter(|observed| observed.passes() != decision.passes()),
            decision,
        }
    }
}

/// The strongest effect so far; among equals that of the first rule by name, so that the answer does not depend on the order of rules either.
#[derive(Default)]
struct Strongest<'a>(Option<(&'a Rule, Effect)>);

impl<'a> Strongest<'a> {
    fn consider(&mut self, rule: &'a Rule, effect: &Effect) {
        let is_stronger = match &self.0 {
            None => *effect != Effect::None,
            Some((best, strongest)) => match effect.strength().cmp(&strongest.strength()) {
                Ordering::Greater => true,
                Ordering::Equal => rule.id < best.id,
                Ordering::Less => false,
            },
        };
        if is_stronger {
            self.0 = Some((rule, effect.clone()));
        }
    }

    fn decision(self) -> Decision {
        let Some((rule, effect)) = self.0 else {
            return Decision::NoRule;
        };
        let rule = rule.id.clone();
        match effect {
            Effect::None => Decision::NoRule,
            Effect::Allow => Decision::Allow(rule),
            Effect::Deny => Decision::Deny(rule),
            Effect::Failed(error) => Decision::Failed { rule, error },
            Effect::AllowUnread | Effect::DenyUnread => Decision::Uninspected(rule),
        }
    }
}

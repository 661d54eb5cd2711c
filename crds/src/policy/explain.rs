//! Says of one request what every rule makes of it, and why.

use super::{
    Glob, Policy, RuleId,
    rule::{Effect, Member, Met, Rule},
};
use crate::{
    egress_policy::Action,
    facts::{Call, Content, Facts, Models},
};

/// What one rule makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The rule.
    pub rule: RuleId,
    /// What it does when it matches.
    pub action: Action,
    /// Whether its policy enforces or only observes.
    pub enforce: bool,
    /// Whether it matches.
    pub matched: Matched,
}

/// Whether a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// It does.
    Yes,
    /// It does not, for these members.
    No(Vec<Miss>),
    /// It would depend on content that was not read, so it does not match if it allows, and does if it denies.
    Unread,
    /// Its expression has no value, which denies the call.
    Failed(String),
}

/// Why a member of a rule does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The member.
    pub member: Member,
    /// What the call has instead, in words. It quotes facts, so it is for the person who asks, and not for a log.
    pub why: String,
}

impl Policy {
    /// What every rule makes of a request; rules that deny come first. For a person who asks, not for every request.
    pub fn explain(&self, facts: &Facts<'_>) -> Vec<Explanation> {
        self.rules
            .iter()
            .map(|rule| Explanation {
                rule: rule.id.clone(),
                action: rule.action,
                enforce: rule.enforce,
                matched: rule.explain(facts),
            })
            .collect()
    }
}

impl Rule {
    fn explain(&self, facts: &Facts<'_>) -> Matched {
        match self.effect(facts) {
            Effect::Allow | Effect::Deny => return Matched::Yes,
            Effect::AllowUnread | Effect::DenyUnread => return Matched::Unread,
            Effect::Failed(error) => return Matched::Failed(error),
            Effect::None => {}
        }
        let members = |wanted: Met| {
            Member::ALL
                .into_iter()
                .filter(move |member| self.meets(*member, facts) == wanted)
        };
        let mut misses: Vec<Miss> = members(Met::No)
            .map(|member| Miss {
                member,
                why: self.why_not(member, facts),
            })
            .collect();
        if misses.is_empty() {
            // A rule that denies and thinks the best of what it does not know.
            misses.extend(members(Met::Unread).map(|member| {
                Miss {
                member,
                why: "the body was too long to be read, and uninspected: Allow takes it as not met"
                    .to_owned(),
            }
            }));
        }
        Matched::No(misses)
    }

    fn why_not(&self, member: Member, facts: &Facts<'_>) -> String {
        let call = match &facts.content {
            Content::NotRead => None,
            Content::Read(call) | Content::Uninspected(call) => Some(call.as_ref()),
        };
        match member {
            Member::Credentials => format!(
                "{} is not {}",
                facts.credential,
                one_of(self.credentials.iter().map(String::as_str))
            ),
            Member::Methods => format!(
                "{} is not {}",
                facts.method,
                one_of(self.methods.iter().map(String::as_str))
            ),
            Member::Paths => format!(
                "{} is not {}",
                facts.path,
                one_of(self.paths.iter().map(ToString::to_string))
            ),
            Member::Operations => format!(
                "{} is not {}",
                call.map_or("unknown", |call| call.operation.as_str()),
                one_of(self.operations.iter().map(|operation| operation.as_str()))
            ),
            Member::Models => self.why_not_models(call),
            Member::Tools => self.why_not_tools(call),
            Member::When => self.when.as_ref().map_or_else(String::new, |when| {
                format!("{} is false: {}", when.as_str(), when.told(facts))
            }),
        }
    }

    fn why_not_models(&self, call: Option<&Call>) -> String {
        let globs = one_of(self.models.iter().map(Glob::as_str));
        match call.map(|call| &call.models) {
            None | Some(Models::None) => format!("the call names no model, so none is {globs}"),
            Some(Models::Hidden) => {
                format!("the call's models are hidden, so it is not sure that they are {globs}")
            }
            Some(Models::Named(models)) => {
                let strangers = models
                    .iter()
                    .map(|model| model.name.as_str())
                    .filter(|name| !self.models.iter().any(|glob| glob.matches(name)));
                format!("{} is not {globs}", quoted(strangers))
            }
        }
    }

    fn why_not_tools(&self, call: Option<&Call>) -> String {
        let globs = one_of(self.tools.iter().map(Glob::as_str));
        match call {
            Some(call) if call.models == Models::Hidden => {
                format!("the call's tools may be hidden, so it is not sure that they are {globs}")
            }
            Some(call) if !call.tools.is_empty() => {
                let strangers = call
                    .tools
                    .iter()
                    .map(String::as_str)
                    .filter(|name| !self.tools.iter().any(|glob| glob.matches(name)));
                format!("{} is not {globs}", quoted(strangers))
            }
            _ => format!("the call offers no tool, so none is {globs}"),
        }
    }
}

/// `a`, or `one of a, b`.
fn one_of(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.map(|name| name.as_ref().to_owned()).collect();
    if names.len() == 1 {
        return names.concat();
    }
    format!("one of {}", names.join(", "))
}

/// `"a", "b"`: names as a caller wrote them, with what cannot be seen escaped.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

//! One rule, ready to be measured against calls.

use super::{Glob, Pattern, RuleId, expression::Expression};
use crate::{
    egress_policy::{Action, Uninspected},
    facts::{Call, Content, Facts, Models, Operation},
};

/// A compiled rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    /// Its policy enforces.
    pub(super) enforce: bool,
    pub(super) action: Action,
    pub(super) credentials: Vec<String>,
    pub(super) methods: Vec<String>,
    pub(super) paths: Vec<Pattern>,
    /// Those that the rule's globs name; what an unknown one means is in it already. Empty means every operation.
    pub(super) operations: Vec<Operation>,
    pub(super) models: Vec<Glob>,
    pub(super) tools: Vec<Glob>,
    pub(super) when: Option<Expression>,
    pub(super) uninspected: Uninspected,
}

/// A member of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// `to.credentials`.
    Credentials,
    /// `methods`.
    Methods,
    /// `paths`.
    Paths,
    /// `operations`.
    Operations,
    /// `models`.
    Models,
    /// `tools`.
    Tools,
    /// `when`.
    When,
}

impl Member {
    /// All of them, in the order in which they are looked at: the cheap ones first.
    pub(super) const ALL: [Self; 7] = [
        Self::Credentials,
        Self::Methods,
        Self::Paths,
        Self::Operations,
        Self::Models,
        Self::Tools,
        Self::When,
    ];

    /// Its name in a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "to.credentials",
            Self::Methods => "methods",
            Self::Paths => "paths",
            Self::Operations => "operations",
            Self::Models => "models",
            Self::Tools => "tools",
            Self::When => "when",
        }
    }
}

/// How a member and a call stand to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Yes,
    No,
    /// It depends on what was not read.
    Unread,
    /// It has no value, for this reason.
    Failed(String),
}

/// What a rule says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: it does not match.
    None,
    /// It would allow the call, had it been read and found to match.
    AllowUnread,
    Allow,
    /// It may match a call that was not read, and that is enough.
    DenyUnread,
    /// It has no value, and that is enough.
    Failed(String),
    Deny,
}

impl Effect {
    /// The greater one wins.
    pub(super) fn strength(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::AllowUnread => 1,
            Self::Allow => 2,
            Self::DenyUnread => 3,
            Self::Failed(_) => 4,
            Self::Deny => 5,
        }
    }
}

impl Rule {
    /// What it says of a call. The members after the first that is not met are not looked at.
    pub(super) fn effect(&self, facts: &Facts<'_>) -> Effect {
        // Of a call that nobody tried to read nothing is taken for granted.
        let thinks_the_best = matches!(facts.content, Content::Uninspected(_))
            && self.uninspected == Uninspected::Allow;
        let mut is_sure = true;
        for member in Member::ALL {
            match self.meets(member, facts) {
                Met::Yes => {}
                Met::No => return Effect::None,
                Met::Unread => is_sure = false,
                // A rule that denies and takes what is not known as not met does not match whatever else is so.
                Met::Failed(_) if !is_sure && thinks_the_best && self.action == Action::Deny => {
                    return Effect::None;
                }
                Met::Failed(error) => return Effect::Failed(error),
            }
        }
        if is_sure {
            return match self.action {
                Action::Allow => Effect::Allow,
                Action::Deny => Effect::Deny,
            };
        }
        match (self.action, thinks_the_best) {
            (Action::Allow, true) => Effect::Allow,
            (Action::Allow, false) => Effect::AllowUnread,
            (Action::Deny, true) => Effect::None,
            (Action::Deny, false) => Effect::DenyUnread,
        }
    }

    /// Whether one member is met. One that the rule does not have always is.
    pub(super) fn meets(&self, member: Member, facts: &Facts<'_>) -> Met {
        match member {
            Member::Credentials => known(
                self.credentials
                    .iter()
                    .any(|name| name == "*" || name == facts.credential),
            ),
            Member::Methods => known(is_among(&self.methods, |method| method == facts.method)),
            Member::Paths => known(is_among(&self.paths, |path| path.matches(facts.path))),
            Member::Operations => self.meets_operations(&facts.content),
            Member::Models => self.meets_models(&facts.content),
            Member::Tools => self.meets_tools(&facts.content),
            Member::When => self.meets_when(facts),
        }
    }

    fn meets_operations(&self, content: &Content<'_>) -> Met {
        match content {
            _ if self.operations.is_empty() => Met::Yes,
            Content::NotRead => Met::Unread,
            // The head tells it.
            Content::Read(call) | Content::Uninspected(call) => {
                known(self.operations.contains(&call.operation))
            }
        }
    }

    fn meets_models(&self, content: &Content<'_>) -> Met {
        if self.models.is_empty() {
            return Met::Yes;
        }
        match content {
            Content::NotRead => Met::Unread,
            Content::Read(call) => known(self.names_models(call)),
            // Models that the head names settle it one way only: the body may name more of them.
            Content::Uninspected(call) => match (&call.models, self.action) {
                (Models::Named(_), Action::Allow) if !self.names_models(call) => Met::No,
                (Models::Named(_), Action::Deny) if self.names_models(call) => Met::Yes,
                _ => Met::Unread,
            },
        }
    }

    fn names_models(&self, call: &Call) -> bool {
        match (&call.models, self.action) {
            (Models::None, _) | (Models::Hidden, Action::Allow) => false,
            (Models::Hidden, Action::Deny) => true,
            (Models::Named(models), Action::Allow) => {
                !models.is_empty()
                    && models
                        .iter()
                        .all(|model| self.models.iter().any(|glob| glob.matches(&model.name)))
            }
            (Models::Named(models), Action::Deny) => models.iter().any(|model| {
                let mut names = std::iter::once(&model.name).chain(&model.aliases);
                model.opaque
                    || names.any(|name| self.models.iter().any(|glob| glob.matches_any_case(name)))
            }),
        }
    }

    fn meets_tools(&self, content: &Content<'_>) -> Met {
        match content {
            _ if self.tools.is_empty() => Met::Yes,
            Content::NotRead | Content::Uninspected(_) => Met::Unread,
            Content::Read(call) => known(self.names_tools(call)),
        }
    }

    fn names_tools(&self, call: &Call) -> bool {
        let named = |same: fn(&Glob, &str) -> bool| {
            move |tool: &String| self.tools.iter().any(|glob| same(glob, tool))
        };
        // Where models are hidden (a batch's file, a stored prompt, an unknown operation), tools may be too.
        let hidden = call.models == Models::Hidden;
        match self.action {
            Action::Allow => !hidden && call.tools.iter().all(named(Glob::matches)),
            Action::Deny => hidden || call.tools.iter().any(named(Glob::matches_any_case)),
        }
    }

    fn meets_when(&self, facts: &Facts<'_>) -> Met {
        match &self.when {
            None => Met::Yes,
            Some(when) if !when.is_readable(&facts.content) => Met::Unread,
            Some(when) => when.holds(facts).map_or_else(Met::Failed, known),
        }
    }

    /// Whether it may match by what is in the head of a call.
    pub(super) fn may_match(&self, facts: &Facts<'_>) -> bool {
        [Member::Credentials, Member::Methods, Member::Paths]
            .into_iter()
            .all(|member| self.meets(member, facts) != Met::No)
    }

    /// Whether what is not in the head of a call has a part in it.
    pub(super) fn reads_content(&self) -> bool {
        !(self.operations.is_empty() && self.models.is_empty() && self.tools.is_empty())
            || self.when.as_ref().is_some_and(Expression::reads_content)
    }

    /// Whether the headers of a call have a part in it.
    pub(super) fn reads_headers(&self) -> bool {
        self.when.as_ref().is_some_and(Expression::reads_headers)
    }
}

fn known(met: bool) -> Met {
    if met { Met::Yes } else { Met::No }
}

fn is_among<T>(set: &[T], is_it: impl Fn(&T) -> bool) -> bool {
    set.is_empty() || set.iter().any(is_it)
}

//! Which version of which policy is in force for an identity.
//!
//! What cannot be understood must never open more than before. So an invalid policy stays in force as it last was; and one that never was in
//! force here, whose denials nobody can know, freezes the whole set. Only deleting a policy, or pointing it elsewhere, ends it.

use std::sync::Arc;

use postern_crds::{
    Bundle,
    policy::{self, NamedPolicy},
    violation,
};

use super::plan::SpecInForce;
use crate::controller::object::{Lenient, PolicyObject};

/// The policies of one identity.
#[derive(Debug, Default, PartialEq)]
pub(super) struct InForce {
    /// What the bundle gets, sorted by name.
    pub(super) policies: Vec<NamedPolicy>,
    /// What is wrong with policies that target the identity, and what is done about it; in words for a condition.
    pub(super) refused: Vec<String>,
    /// What is odd, but obeyed.
    pub(super) notes: Vec<String>,
}

/// One policy that may concern the identity.
struct Candidate<'a> {
    name: &'a str,
    now: Result<NamedPolicy, String>,
    /// How it stands in the last bundle.
    last: Option<&'a NamedPolicy>,
}

/// Chooses among the `objects` of the identity's namespace. While the identity's own spec is refused, nothing new comes into force either: it
/// may have been written for that spec.
pub(super) fn choose(
    identity: &str,
    in_force: &SpecInForce<'_>,
    objects: &[Arc<PolicyObject>],
    last: Option<&Bundle>,
) -> InForce {
    let mut candidates: Vec<Candidate<'_>> = objects
        .iter()
        .filter_map(|object| candidate(identity, object, last))
        .collect();
    candidates.sort_by_key(|candidate| candidate.name);

    let never_was_valid =
        |candidate: &Candidate<'_>| candidate.now.is_err() && candidate.last.is_none();
    let frozen = in_force.refused.is_some() || candidates.iter().any(never_was_valid);
    let policies: Vec<NamedPolicy> = candidates
        .iter()
        .filter_map(|candidate| match (&candidate.now, candidate.last) {
            (Ok(policy), _) if !frozen => Some(policy.clone()),
            (_, last) => last.cloned(),
        })
        .collect();
    // An operator that was upgraded may have become stricter than the one that wrote the last bundle. A policy that has lost its meaning
    // may have held a denial, so nothing is allowed without it.
    let policies = if policy::compile(&policies).is_ok() {
        policies
    } else {
        Vec::new()
    };

    InForce {
        refused: candidates
            .iter()
            .filter_map(|candidate| refusal(candidate, last))
            .collect(),
        notes: policies
            .iter()
            .filter_map(|policy| misfits(policy, in_force))
            .collect(),
        policies,
    }
}

fn candidate<'a>(
    identity: &str,
    object: &'a PolicyObject,
    last: Option<&'a Bundle>,
) -> Option<Candidate<'a>> {
    let name = object.metadata.name.as_deref()?;
    let last = last.and_then(|bundle| bundle.policies.iter().find(|policy| policy.name == name));
    let now = understand(name, object);
    let targets = object
        .targets()
        .is_none_or(|names| names.iter().any(|name| name == identity));
    // An invalid edit cannot point a policy elsewhere either.
    let stays = now.is_err() && last.is_some();
    (targets || stays).then_some(Candidate { name, now, last })
}

fn understand(name: &str, object: &PolicyObject) -> Result<NamedPolicy, String> {
    let spec = match &object.spec {
        Lenient::Read(spec) => spec,
        Lenient::Unreadable { error, .. } => {
            return Err(format!(
                "spec: this version of the operator cannot read it: {error}"
            ));
        }
    };
    policy::check(spec).map_err(|violations| violation::summary(&violations))?;
    Ok(NamedPolicy {
        name: name.to_owned(),
        generation: object.metadata.generation.unwrap_or_default(),
        spec: spec.clone(),
    })
}

fn refusal(candidate: &Candidate<'_>, last: Option<&Bundle>) -> Option<String> {
    let problem = candidate.now.as_ref().err()?;
    let consequence = match (candidate.last, last) {
        (Some(last), _) => format!("generation {} of it stays in force", last.generation),
        (None, Some(_)) => {
            "until it is mended or deleted, no change of any policy takes effect here".to_owned()
        }
        (None, None) => "until it is mended or deleted, every call is denied".to_owned(),
    };
    Some(format!(
        "EgressPolicy {}: {problem}; {consequence}",
        candidate.name
    ))
}

/// Rules of `policy` that match nothing, in one line: there may be thousands.
fn misfits(policy: &NamedPolicy, in_force: &SpecInForce<'_>) -> Option<String> {
    let mut found = policy::unknown_credentials(&policy.spec, in_force.spec);
    found.extend(policy::unreachable_paths(&policy.spec, &in_force.routes));
    let told = || {
        format!(
            "EgressPolicy {}: {}",
            policy.name,
            violation::summary(&found)
        )
    };
    (!found.is_empty()).then(told)
}

#[cfg(test)]
mod tests;

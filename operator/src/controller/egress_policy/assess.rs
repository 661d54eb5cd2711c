//! What the status of an `EgressPolicy` says, as a pure function of the policy and its targets.

use k8s_openapi::jiff::Timestamp;
use postern_crds::{
    AgentIdentitySpec, EgressPolicySpec, EgressPolicyStatus, egress_policy::TargetStatus, policy,
    route, violation,
};

use crate::controller::{
    conditions::{self, Finding},
    object::Lenient,
};

const ACCEPTED: &str = "Accepted";
const PROGRAMMED: &str = "Programmed";
const READY: &str = "Ready";

/// What is known of one target.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) state: State,
}

/// The state of a target.
#[derive(Debug)]
pub(super) enum State {
    /// No such identity.
    NotFound,
    /// It exists.
    Found {
        /// Its spec, if that can be read.
        spec: Option<AgentIdentitySpec>,
        /// The generation of this policy in its bundle, if the bundle holds the policy.
        programmed: Option<i64>,
    },
    /// Its bundle could not be read.
    Unknown(String),
}

/// The status of the policy `spec` of `generation` with these `targets`, after it was `before`.
pub(super) fn assess(
    namespace: &str,
    spec: &Lenient<EgressPolicySpec>,
    generation: Option<i64>,
    targets: &[Target],
    before: &EgressPolicyStatus,
    now: Timestamp,
) -> EgressPolicyStatus {
    let refused = match spec {
        Lenient::Read(spec) => policy::check(spec)
            .err()
            .map(|violations| violation::summary(&violations)),
        Lenient::Unreadable { error, .. } => Some(format!(
            "spec: this version of the operator cannot read it: {error}"
        )),
    };
    let mut statuses = Vec::new();
    let mut shortfall: Option<Finding> = None;
    for target in targets {
        let findings = match &refused {
            Some(refused) => invalid(target, refused),
            None => valid(namespace, spec.read(), generation, target),
        };
        shortfall = shortfall.or_else(|| {
            let first = findings
                .iter()
                .find(|finding| finding.holds != Some(true))?;
            Some(Finding {
                kind: READY,
                holds: Some(false),
                ..first.clone()
            })
        });
        let old = before.targets.iter().find(|old| old.name == target.name);
        statuses.push(TargetStatus {
            name: target.name.clone(),
            conditions: conditions::merge(
                old.map_or(&[], |old| &old.conditions),
                &findings,
                generation,
                now,
            ),
        });
    }
    let ready = match (shortfall, refused) {
        (Some(shortfall), _) => shortfall,
        (None, Some(refused)) => Finding::fails(READY, "Invalid", refused),
        (None, None) => {
            Finding::holds(READY, PROGRAMMED, format!("in force on {}", names(targets)))
        }
    };
    EgressPolicyStatus {
        observed_generation: generation,
        conditions: conditions::merge(&before.conditions, &[ready], generation, now),
        targets: statuses,
    }
}

fn invalid(target: &Target, refused: &str) -> [Finding; 2] {
    let stays = match &target.state {
        State::Found {
            programmed: Some(last),
            ..
        } => format!("generation {last} stays in force on {}", target.name),
        State::Found {
            programmed: None, ..
        }
        | State::NotFound => format!("it is not in force on {}", target.name),
        State::Unknown(problem) => problem.clone(),
    };
    [
        Finding::fails(ACCEPTED, "Invalid", refused),
        Finding::fails(PROGRAMMED, "Invalid", stays),
    ]
}

fn valid(
    namespace: &str,
    spec: Option<&EgressPolicySpec>,
    generation: Option<i64>,
    target: &Target,
) -> [Finding; 2] {
    let name = &target.name;
    match &target.state {
        State::NotFound => {
            let message = format!("there is no AgentIdentity {name} in namespace {namespace}");
            [
                Finding::fails(ACCEPTED, "TargetNotFound", message.clone()),
                Finding::fails(PROGRAMMED, "TargetNotFound", message),
            ]
        }
        State::Unknown(problem) => [
            Finding::holds(ACCEPTED, ACCEPTED, ""),
            Finding::unknown(PROGRAMMED, "BundleUnreadable", problem),
        ],
        State::Found {
            spec: identity,
            programmed,
        } => {
            let misfits = spec
                .zip(identity.as_ref())
                .map(|(spec, identity)| misfits(namespace, name, spec, identity));
            [
                Finding::holds(ACCEPTED, ACCEPTED, misfits.unwrap_or_default()),
                programmed_finding(name, generation, *programmed),
            ]
        }
    }
}

/// Rules that match nothing there. They are obeyed; but a `Deny` that matches nothing protects nothing.
fn misfits(
    namespace: &str,
    name: &str,
    spec: &EgressPolicySpec,
    identity: &AgentIdentitySpec,
) -> String {
    let mut found = policy::unknown_credentials(spec, identity);
    if let Ok(routes) = route::compile(namespace, name, identity) {
        found.extend(policy::unreachable_paths(spec, &routes));
    }
    violation::summary(&found)
}

fn programmed_finding(name: &str, generation: Option<i64>, programmed: Option<i64>) -> Finding {
    let look = format!("if it stays so, see: kubectl describe aid {name}");
    match programmed {
        Some(_) if programmed == generation => Finding::holds(PROGRAMMED, PROGRAMMED, ""),
        Some(last) => Finding::fails(
            PROGRAMMED,
            "Pending",
            format!("generation {last} is in force on {name}; {look}"),
        ),
        None => Finding::fails(
            PROGRAMMED,
            "Pending",
            format!("it is not in force on {name} yet; {look}"),
        ),
    }
}

fn names(targets: &[Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;

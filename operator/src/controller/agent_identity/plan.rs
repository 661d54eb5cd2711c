//! What one reconcile of an `AgentIdentity` should do, as a pure function of what was read.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use postern_crds::{
    AgentIdentitySpec, Bundle, Violation, bundle, interval,
    route::{self, Route},
    violation,
};

use super::{
    credentials::{self, FailedSource, Patience},
    offer::Offer,
    policies,
};
use crate::{
    controller::{
        Error,
        bundle_secret::Existing,
        conditions::Finding,
        object::{IdentityObject, Lenient, PolicyObject},
    },
    stores::Sources,
};

/// Condition: the bundle is in the cluster and says what the spec and the policies say.
pub(crate) const READY: &str = "Ready";
/// Condition: every credential has its secret.
pub(crate) const CREDENTIALS_RESOLVED: &str = "CredentialsResolved";
/// Condition: every policy that targets the identity has a meaning.
pub(crate) const POLICIES_ACCEPTED: &str = "PoliciesAccepted";

/// The spec that a bundle is made of, which decides the sources that are read.
#[derive(Debug)]
pub(super) struct SpecInForce<'a> {
    /// The object's own spec; or the last good one, if that is refused.
    pub(super) spec: &'a AgentIdentitySpec,
    /// Its routes.
    pub(super) routes: Vec<Route>,
    /// Why the object's own spec is refused.
    pub(super) refused: Option<String>,
}

/// Everything that was read.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// From [`spec_in_force`].
    pub(super) spec: Result<SpecInForce<'a>, String>,
    /// All policies of the namespace.
    pub(super) policies: &'a [Arc<PolicyObject>],
    /// What the sources of the spec in force say.
    pub(super) sources: Sources,
    /// Since the source of each credential last gave it.
    pub(super) ages: &'a BTreeMap<String, Duration>,
    /// What is in the cluster under the bundle's name.
    pub(super) existing: &'a Existing,
    /// Where sidecars can fetch it; `None` if they cannot.
    pub(super) offer: Option<&'a Offer>,
}

/// What to do.
#[derive(Debug)]
pub(super) struct Plan {
    /// The bundle to write; `None` if what is there is right, or nothing may be written.
    pub(super) write: Option<Bundle>,
    /// Revision of the bundle that the pods have, once that is done.
    pub(super) revision: Option<String>,
    /// For the status.
    pub(super) findings: Vec<Finding>,
    /// Sources that gave nothing, for Events.
    pub(super) failures: Vec<FailedSource>,
    /// When a value that cannot be read will have been kept for too long.
    pub(super) stale_in: Option<Duration>,
    /// A Secret that is in the way is about to be collected: look again soon.
    pub(super) soon: bool,
}

impl Plan {
    /// The bundle could not be written: the pods keep the last one.
    pub(super) fn not_written(&mut self, error: &Error, last: Option<&Bundle>) {
        self.write = None;
        self.revision = last.map(Bundle::revision);
        self.findings.retain(|finding| finding.kind != READY);
        self.findings
            .insert(0, Finding::fails(READY, error.reason(), error.to_string()));
    }
}

/// The spec to work with.
///
/// # Errors
/// Why there is none: the object's own is refused, and no earlier one is known.
pub(super) fn spec_in_force<'a>(
    namespace: &str,
    name: &str,
    object: &'a IdentityObject,
    last: Option<&'a Bundle>,
) -> Result<SpecInForce<'a>, String> {
    let compile = |spec| {
        route::compile(namespace, name, spec)
            .map_err(|violations: Vec<Violation>| violation::summary(&violations))
    };
    let own = match &object.spec {
        Lenient::Read(spec) => compile(spec).map(|routes| (spec, routes)),
        Lenient::Unreadable { error, .. } => Err(format!(
            "spec: this version of the operator cannot read it: {error}"
        )),
    };
    match own {
        Ok((spec, routes)) => Ok(SpecInForce {
            spec,
            routes,
            refused: None,
        }),
        Err(refused) => match last.map(|bundle| (&bundle.spec, compile(&bundle.spec))) {
            Some((spec, Ok(routes))) => Ok(SpecInForce {
                spec,
                routes,
                refused: Some(refused),
            }),
            Some((_, Err(_))) | None => Err(refused),
        },
    }
}

/// For how long a value that cannot be read stays in use; `None` for ever.
pub(super) fn max_staleness(spec: &AgentIdentitySpec) -> Option<Duration> {
    spec.max_staleness.as_deref().and_then(interval::parse)
}

/// Decides what to do about `world`.
pub(super) fn plan(world: World<'_>) -> Plan {
    let World {
        namespace,
        name,
        spec,
        policies,
        sources,
        ages,
        existing,
        offer,
    } = world;
    let last = existing.bundle();
    let in_force = match spec {
        Ok(in_force) => in_force,
        Err(refused) => return without_spec(&refused, last),
    };

    let chosen = policies::choose(name, &in_force, policies, last);
    let patience = Patience {
        max: max_staleness(in_force.spec),
        ages,
    };
    let resolved = credentials::resolve(in_force.spec, sources, last, patience);
    let format = bundle::format(in_force.spec, &chosen.policies);
    let bundle = Bundle {
        format,
        min_reader: format,
        namespace: namespace.to_owned(),
        identity: name.to_owned(),
        spec: in_force.spec.clone(),
        policies: chosen.policies,
        secrets: resolved.secrets,
        stale: resolved.stale,
        authorities: resolved.authorities,
        fetch: offer.and_then(|offer| offer.of(in_force.spec, last)),
    };

    let credentials = credentials_finding(&bundle, &resolved.failures);
    let policies = policies_finding(&bundle, &chosen.refused, &chosen.notes);
    let obstacle = obstacle(&bundle, existing);
    let ready = if let Some(obstacle) = &obstacle {
        obstacle.clone()
    } else if let Some(refused) = &in_force.refused {
        Finding::fails(
            READY,
            "SpecInvalid",
            format!("{refused}; the last good spec and policies stay in force"),
        )
    } else if credentials.holds != Some(true) {
        Finding {
            kind: READY,
            ..credentials.clone()
        }
    } else if policies.holds != Some(true) {
        Finding {
            kind: READY,
            ..policies.clone()
        }
    } else {
        ready_finding(&bundle, &in_force.routes)
    };
    let target = match &obstacle {
        None => Some(bundle),
        Some(_) => last.map(|last| without_withdrawn(last, &bundle)),
    };
    let is_new = |target: &Bundle| !existing.is_already(target);
    let numbered = |target| match offer {
        Some(offer) => offer.numbered(target),
        None => target,
    };
    Plan {
        revision: target.as_ref().map(Bundle::revision),
        write: target.filter(is_new).map(numbered),
        findings: vec![ready, credentials, policies],
        failures: resolved.failures,
        stale_in: resolved.stale_in,
        soon: matches!(existing, Existing::Foreign { left_over: true }),
    }
}

/// The spec is refused and was never good: there is nothing to make a bundle of. What is in the cluster stays, whoever wrote it.
fn without_spec(refused: &str, last: Option<&Bundle>) -> Plan {
    let waits = "not looked into before the spec is accepted";
    Plan {
        write: None,
        revision: last.map(Bundle::revision),
        findings: vec![
            Finding::fails(
                READY,
                "SpecInvalid",
                format!("{refused}; there is no earlier spec, so pods of this identity wait"),
            ),
            Finding::unknown(CREDENTIALS_RESOLVED, "SpecInvalid", waits),
            Finding::unknown(POLICIES_ACCEPTED, "SpecInvalid", waits),
        ],
        failures: Vec::new(),
        stale_in: None,
        soon: false,
    }
}

/// The last bundle, which stays since `wanted` cannot be written, but without the secrets that were withdrawn since.
fn without_withdrawn(last: &Bundle, wanted: &Bundle) -> Bundle {
    let mut bundle = last.clone();
    bundle
        .secrets
        .retain(|credential, _| wanted.secrets.contains_key(credential));
    bundle.stale.clone_from(&wanted.stale);
    bundle
}

/// What forbids writing `bundle`.
fn obstacle(bundle: &Bundle, existing: &Existing) -> Option<Finding> {
    let secret = postern_crds::names::bundle_secret(&bundle.identity);
    if let Existing::Foreign { left_over } = existing {
        let message = if *left_over {
            format!(
                "Secret {secret} belongs to an earlier identity of this name and is about to be removed"
            )
        } else {
            let namespace = &bundle.namespace;
            format!(
                "Secret {secret} exists and is not of this identity; if it is not needed: kubectl delete secret {secret} -n {namespace}"
            )
        };
        return Some(Finding::fails(READY, "SecretNotOurs", message));
    }
    let bytes = bundle.to_json().len();
    if bytes > bundle::MAX_BYTES {
        let message = format!(
            "the bundle would have {bytes} bytes, more than the {} that a Secret holds: use fewer or smaller policies and certificate authorities",
            bundle::MAX_BYTES
        );
        return Some(Finding::fails(READY, "BundleTooLarge", message));
    }
    // Sidecars would refuse it and keep their last one, and a pod that starts would have none.
    let error = bundle.compile().err()?;
    Some(Finding::fails(READY, "BundleInvalid", error.to_string()))
}

fn credentials_finding(bundle: &Bundle, failures: &[FailedSource]) -> Finding {
    match failures {
        [] => Finding::holds(
            CREDENTIALS_RESOLVED,
            "Resolved",
            format!("{} resolved", count(bundle.secrets.len(), "credential")),
        ),
        [first, ..] => {
            let messages: Vec<&str> = failures
                .iter()
                .map(|failed| failed.message.as_str())
                .collect();
            Finding::fails(CREDENTIALS_RESOLVED, first.reason(), messages.join("; "))
        }
    }
}

fn policies_finding(bundle: &Bundle, refused: &[String], notes: &[String]) -> Finding {
    if !refused.is_empty() {
        return Finding::fails(POLICIES_ACCEPTED, "PolicyInvalid", refused.join("; "));
    }
    if bundle.policies.is_empty() {
        return Finding::holds(
            POLICIES_ACCEPTED,
            "NoPolicies",
            "no EgressPolicy is in force for this identity, so every call is denied",
        );
    }
    let rules = bundle
        .policies
        .iter()
        .map(|policy| policy.spec.rules.len())
        .sum();
    let mut message = format!(
        "{} of {} in force",
        count(rules, "rule"),
        policies_count(bundle)
    );
    for note in notes {
        message.push_str("; ");
        message.push_str(note);
    }
    Finding::holds(POLICIES_ACCEPTED, "Accepted", message)
}

fn ready_finding(bundle: &Bundle, routes: &[Route]) -> Finding {
    let (reason, policies) = if bundle.policies.is_empty() {
        (
            "NoPolicies",
            "no EgressPolicy, so every call is denied".to_owned(),
        )
    } else {
        ("Ready", policies_count(bundle))
    };
    let mut message = format!("{}, {policies}", count(bundle.secrets.len(), "credential"));
    let (_, mut notes) = route::pod_environment(routes);
    if bundle.spec.is_nudged() && bundle.fetch.is_none() {
        notes.push("delivery.nudge has no effect: this operator serves no bundles".to_owned());
    }
    for note in notes {
        message.push_str("; ");
        message.push_str(&note);
    }
    Finding::holds(READY, reason, message)
}

fn policies_count(bundle: &Bundle) -> String {
    match bundle.policies.len() {
        1 => "1 policy".to_owned(),
        number => format!("{number} policies"),
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests;

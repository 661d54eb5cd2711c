//! The sidecar into a pod: a pure function from a pod's JSON to a patch, or to the reasons why not.
//!
//! *Architecture invariant: nothing below this module does I/O, logs or reads the clock, and no pod passes through a typed struct:
//! a field that this version does not know must survive.*

mod annotations;
mod environment;
mod interplay;
mod outcome;
mod pod;
mod refuse;
mod secrets;
mod verify;

use json_patch::{Patch, PatchOperation};
use postern_crds::{AgentIdentity, Route, names, route, violation};
use serde_json::{Value, json};

use self::{
    annotations::OptIn,
    outcome::Problems,
    pod::{Pod, add},
};
pub use self::{
    annotations::requested_identity,
    outcome::{Denial, Outcome, Problem, Reason},
};
use super::snapshot::Snapshot;
use crate::sidecar::{SidecarTemplate, template_digest};

/// Puts the sidecar into `pod`, created in `namespace`. A pod that does not ask for an identity is left alone.
///
/// # Guarantees
/// The patch applies to `pod`. Injecting the patched pod again yields no further patch, also after the API server, LimitRanger and
/// the usual other injectors had their way with it.
///
/// # Errors
/// Every reason why the pod can never be right with a sidecar. What can become right is not among them: an identity that does not
/// exist yet is a warning, and the kubelet holds the pod until its bundle exists.
pub fn inject(
    pod: &Value,
    namespace: &str,
    snapshot: &Snapshot,
    template: &SidecarTemplate,
) -> Result<Outcome, Denial> {
    if requested_identity(pod).is_none() {
        return Ok(Outcome::default());
    }
    let pod = Pod::read(pod).map_err(Denial::from)?;
    let mut problems = Problems::default();
    let mut warnings = Vec::new();

    let opt_in = annotations::read(&pod, template, &mut problems);
    refuse::pod(&pod, &mut problems);
    refuse::mounts(&pod, &mut problems);
    secrets::refuse_bundles(&pod, opt_in.identity, snapshot, &mut problems);
    let identity = identity(
        &pod,
        namespace,
        opt_in.identity,
        snapshot,
        &mut problems,
        &mut warnings,
    );
    let sidecar = verify::sidecar(&pod, &opt_in, template, &mut problems);
    problems.into_result()?;

    let (variables, _) = route::pod_environment(&identity.routes);
    let mut patch = environment::complete(&pod, &variables, &mut warnings);
    secrets::warn_of_sources(&pod, &patch, identity.known, &mut warnings);
    interplay::warn(&pod, &variables, &mut warnings);

    patch.extend(labels(&pod, opt_in.identity));
    patch.extend(stamps(&pod, &template_digest(template, &identity.routes)));
    patch.extend(sidecar);
    Ok(Outcome {
        identity: Some(opt_in.identity.to_owned()),
        patch: Patch(patch),
        warnings,
    })
}

/// What is known of the identity that a pod asks for.
#[derive(Default)]
struct Identity<'a> {
    known: Option<&'a AgentIdentity>,
    routes: Vec<Route>,
}

fn identity<'a>(
    pod: &Pod<'_>,
    namespace: &str,
    name: &str,
    snapshot: &'a Snapshot,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Identity<'a> {
    // Environment is fixed at creation: what is not known now cannot be set later.
    let restart = "restart it then, since it starts without the variables that lead to the sidecar";
    let Some(found) = snapshot.identity(name) else {
        warnings.push(format!(
            "AgentIdentity {name} does not exist in {namespace} yet: the pod waits for it; {restart}"
        ));
        return Identity::default();
    };
    let known = match &found.0 {
        Ok(known) => known,
        Err(error) => {
            warnings.push(format!(
                "AgentIdentity {name} cannot be read: the pod may wait for it; {restart}: {error}"
            ));
            return Identity::default();
        }
    };
    refuse::service_account(pod, name, &known.spec, problems);
    if !snapshot.is_targeted(name) {
        warnings.push(format!(
            "no EgressPolicy applies to AgentIdentity {name}: every call is denied until one does"
        ));
    }
    let routes = route::compile(namespace, name, &known.spec).unwrap_or_else(|violations| {
        warnings.push(format!(
            "AgentIdentity {name} is not valid: correct it first; {restart}: {}",
            violation::summary(&violations)
        ));
        Vec::new()
    });
    Identity {
        known: Some(known),
        routes,
    }
}

/// The label by which the controller finds the pod. One that is already there is the identity's name, or was refused.
fn labels(pod: &Pod<'_>, identity: &str) -> Vec<PatchOperation> {
    match pod.labels() {
        None => vec![add(
            ["metadata", "labels"],
            json!({names::IDENTITY_LABEL: identity}),
        )],
        Some(labels) if labels.contains_key(names::IDENTITY_LABEL) => Vec::new(),
        Some(_) => vec![add(
            ["metadata", "labels", names::IDENTITY_LABEL],
            json!(identity),
        )],
    }
}

/// The annotations that say what was injected, and where `kubectl logs` and `kubectl exec` go.
fn stamps(pod: &Pod<'_>, digest: &str) -> Vec<PatchOperation> {
    const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
    let mut patch = Vec::new();
    let annotation = |name: &str, value: &str| add(["metadata", "annotations", name], json!(value));
    if pod.annotation(names::TEMPLATE_ANNOTATION) != Some(digest) {
        patch.push(annotation(names::TEMPLATE_ANNOTATION, digest));
    }
    if let Some(first) = pod.containers.first()
        && pod.annotation(DEFAULT_CONTAINER).is_none()
    {
        patch.push(annotation(DEFAULT_CONTAINER, first.name));
    }
    patch
}

#[cfg(test)]
mod tests;

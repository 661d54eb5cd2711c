//! The digest by which a pod is known to be outdated.

use postern_crds::{Route, provider::Carries, route};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Settings, SidecarTemplate, container, volumes};

/// Digest of what a pod is given that has an identity with these `routes`: container, volumes and environment. The webhook writes it
/// on the pod; the controller compares it with today's.
///
/// What a pod's own annotations change is left out: it is the pod's doing, and changes with the pod alone. An identity that did not
/// exist, or made no sense, when the pod was created counts as one without routes.
pub fn template_digest(template: &SidecarTemplate, routes: &[Route]) -> String {
    let (variables, _) = route::pod_environment(routes);
    let environment: Vec<Value> = variables
        .iter()
        .map(|variable| {
            json!({
                "name": variable.name,
                "value": variable.value,
                "key": variable.carries == Carries::Key,
                "onlyIfPresent": variable.only_if_present,
            })
        })
        .collect();
    let injected = json!({
        "container": container(template, &Settings::default()),
        // The identity itself is on the pod's label; here it is a constant.
        "volumes": volumes("identity"),
        "environment": environment,
    });
    let digest = Sha256::digest(injected.to_string());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

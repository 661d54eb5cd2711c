//! Pods that can never be right with a sidecar.
//!
//! A refused pod of a ReplicaSet is tried again after up to a quarter of an hour, so nothing is refused that could become right.

use postern_crds::{AgentIdentitySpec, names};
use serde_json::Value;

use super::{
    outcome::{Problems, Reason},
    pod::Pod,
};

/// What makes the pod as a whole unfit.
pub(super) fn pod(pod: &Pod<'_>, problems: &mut Problems) {
    let spec = pod.spec;
    let set = |field: &str| spec.get(field) == Some(&Value::Bool(true));
    if set("hostNetwork") {
        problems.push(
            Reason::HostNetwork,
            "spec.hostNetwork gives every process of the node the way to the sidecar: remove it",
        );
    }
    if set("hostPID") {
        problems.push(
            Reason::HostPid,
            "spec.hostPID lets the application look into the sidecar's process: remove it",
        );
    }
    if set("shareProcessNamespace") {
        problems.push(
            Reason::SharedProcesses,
            "spec.shareProcessNamespace lets the application look into the sidecar's process: remove it",
        );
    }
    let os = spec.get("os").and_then(|os| os.get("name"));
    let selector = spec
        .get("nodeSelector")
        .and_then(|labels| labels.get("kubernetes.io/os"));
    if [os, selector].contains(&Some(&Value::from("windows"))) {
        problems.push(Reason::Windows, "the sidecar runs on Linux nodes only");
    }
    user(pod, problems);
}

/// The kernel lets processes of one user read each other's memory.
fn user(pod: &Pod<'_>, problems: &mut Problems) {
    let is_ours = |uid: Option<&Value>| uid.and_then(Value::as_i64) == Some(names::SIDECAR_UID);
    let mut wrong = |whose: String| {
        problems.push(
            Reason::SidecarUser,
            format!(
                "{whose} runs as user {}, which is the sidecar's: choose another",
                names::SIDECAR_UID
            ),
        );
    };
    if is_ours(
        pod.spec
            .get("securityContext")
            .and_then(|context| context.get("runAsUser")),
    ) {
        wrong("the pod".into());
    }
    for container in pod
        .all_containers()
        .filter(|container| container.name != names::CONTAINER)
    {
        if is_ours(container.security("runAsUser")) {
            wrong(container.to_string());
        }
    }
}

/// The sidecar's volumes are its own.
pub(super) fn mounts(pod: &Pod<'_>, problems: &mut Problems) {
    const OURS: [&str; 3] = [
        names::BUNDLE_VOLUME,
        names::TOKEN_VOLUME,
        names::NO_TOKEN_VOLUME,
    ];
    for container in pod
        .all_containers()
        .filter(|container| container.name != names::CONTAINER)
    {
        for mount in container
            .named("volumeMounts")
            .filter(|mount| OURS.contains(&mount.name))
        {
            problems.push(
                Reason::SidecarVolume,
                format!(
                    "{container} mounts volume {}, which is the sidecar's alone",
                    mount.name
                ),
            );
        }
    }
}

/// An identity is for the pods of certain service accounts.
pub(super) fn service_account(
    pod: &Pod<'_>,
    identity: &str,
    spec: &AgentIdentitySpec,
    problems: &mut Problems,
) {
    // The second is the older name of the same field; the API server fills in `default` before it asks us.
    let account = ["serviceAccountName", "serviceAccount"]
        .iter()
        .filter_map(|field| pod.spec.get(*field)?.as_str())
        .find(|name| !name.is_empty())
        .unwrap_or("default");
    if !spec
        .service_account_names
        .iter()
        .any(|name| name == account)
    {
        problems.push(
            Reason::ServiceAccount,
            format!(
                "service account {account} may not use AgentIdentity {identity}, which is for {}",
                spec.service_account_names.join(", ")
            ),
        );
    }
}

//! A pod that has our sidecar already: it must be what we would inject, or the pod is refused.
//!
//! Such pods are ordinary. The API server asks again after another webhook changed the pod, and people create pods from what
//! `kubectl get -o yaml` printed. No annotation is trusted to say that we were here: whoever writes the pod can write it.

use json_patch::PatchOperation;
use postern_crds::names;
use serde_json::{Map, Value, json};

use super::{
    OptIn,
    outcome::{Problems, Reason},
    pod::{Pod, add},
};
use crate::sidecar::{self, Quantity, SidecarTemplate};

/// What adds the sidecar and its volumes, as far as they are not there yet.
pub(super) fn sidecar(
    pod: &Pod<'_>,
    opt_in: &OptIn<'_>,
    template: &SidecarTemplate,
    problems: &mut Problems,
) -> Vec<PatchOperation> {
    let mut patch = volumes(pod, opt_in.identity, problems);
    if pod
        .containers
        .iter()
        .any(|container| container.name == names::CONTAINER)
    {
        problems.push(
            Reason::ContainerName,
            format!(
                "container name {} is the sidecar's: choose another",
                names::CONTAINER
            ),
        );
    }
    let expected = sidecar::container(template, &opt_in.settings);
    match pod
        .init_containers
        .iter()
        .find(|container| container.name == names::CONTAINER)
    {
        Some(found) => {
            let found = Value::Object(without_additions(found.value));
            if let Some(at) = difference(&expected, &found) {
                problems.push(
                    Reason::SidecarDiffers,
                    format!(
                        "init container {} is not what would be injected: {at} differs. If you wrote it, remove it; if another webhook changed it, let that one leave it alone",
                        names::CONTAINER
                    ),
                );
            }
        }
        // First, so that it serves every other container and stops after them.
        None if pod.init_containers.is_empty() => {
            patch.push(add(["spec", "initContainers"], json!([expected])));
        }
        None => patch.push(add(["spec", "initContainers", "0"], expected)),
    }
    patch
}

fn volumes(pod: &Pod<'_>, identity: &str, problems: &mut Problems) -> Vec<PatchOperation> {
    let mut missing = Vec::new();
    for expected in sidecar::volumes(identity) {
        let Some(found) = pod
            .volumes
            .iter()
            .find(|volume| expected["name"] == volume.name)
        else {
            missing.push(expected);
            continue;
        };
        if difference(&expected, &Value::Object(found.value.clone())).is_some() {
            problems.push(
                Reason::VolumeName,
                format!("volume {} is not what would be injected: the name is the sidecar's, choose another", found.name),
            );
        }
    }
    if pod.volumes.is_empty() {
        return vec![add(["spec", "volumes"], Value::Array(missing))];
    }
    missing
        .into_iter()
        .map(|volume| add(["spec", "volumes", "-"], volume))
        .collect()
}

/// The container without what the API server and well-known webhooks put into every container, and which does not change what the
/// sidecar does.
fn without_additions(container: &Map<String, Value>) -> Map<String, Value> {
    let mut container = container.clone();
    let mut retain = |list: &str, keep: fn(&Value) -> bool| {
        if let Some(items) = container.get_mut(list).and_then(Value::as_array_mut) {
            items.retain(keep);
        }
    };
    retain("env", |variable| !is_cloud_variable(variable));
    retain("volumeMounts", |mount| !is_cloud_token(mount));
    // LimitRanger adds defaults for whatever is not limited yet, as `ephemeral-storage`.
    for kind in ["requests", "limits"] {
        if let Some(amounts) = container
            .get_mut("resources")
            .and_then(|resources| resources.get_mut(kind)?.as_object_mut())
        {
            amounts.retain(|resource, _| ["cpu", "memory"].contains(&resource.as_str()));
        }
    }
    // An older API server's default.
    if let Some(security) = container
        .get_mut("securityContext")
        .and_then(Value::as_object_mut)
        && security.get("procMount") == Some(&json!("Default"))
    {
        security.remove("procMount");
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        if let Some(action) = container
            .get_mut(probe)
            .and_then(|probe| probe.get_mut("httpGet"))
        {
            undo_istio_rewrite(action);
        }
    }
    container
}

/// EKS, Azure and Google workload identity tell every container where its cloud credentials are. The sidecar reads no such variable.
fn is_cloud_variable(variable: &Value) -> bool {
    const PREFIXES: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_"];
    let name = variable["name"].as_str().unwrap_or_default();
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// They mount a token beside it, below `/var/run/secrets/`, where the sidecar reads nothing.
fn is_cloud_token(mount: &Value) -> bool {
    let Some(path) = mount["mountPath"]
        .as_str()
        .and_then(|path| path.strip_prefix("/var/run/secrets/"))
    else {
        return false;
    };
    let covered = path == "kubernetes.io" || path.starts_with("kubernetes.io/");
    let plain = path
        .split('/')
        .all(|segment| !["", ".", ".."].contains(&segment));
    plain && !covered
}

/// Istio sends the kubelet's probes through its agent, which asks the sidecar in its stead.
fn undo_istio_rewrite(action: &mut Value) {
    const ISTIO_AGENT_PORT: u16 = 15020;
    if action["port"] != ISTIO_AGENT_PORT {
        return;
    }
    let path = match action["path"].as_str() {
        Some("/app-health/postern/startupz" | "/app-health/postern/readyz") => "/readyz",
        Some("/app-health/postern/livez") => "/livez",
        _ => return,
    };
    action["path"] = json!(path);
    action["port"] = json!(names::ADMIN_PORT);
}

/// The first place where two values differ, if they do.
///
/// Absent, null and empty are the same, as they are for Kubernetes. Amounts are compared by value. A pull policy may also be
/// `Always`, which the admission plugin AlwaysPullImages makes of any other.
fn difference(expected: &Value, found: &Value) -> Option<String> {
    fn walk(expected: &Value, found: &Value, at: &str) -> Option<String> {
        let is_amount = at.starts_with(".resources.") || at.ends_with(".sizeLimit");
        let same = match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                let fields = expected.keys().chain(found.keys());
                return fields
                    .filter_map(|field| {
                        let of = |object: &Map<String, Value>| {
                            object.get(field).cloned().unwrap_or_default()
                        };
                        walk(&of(expected), &of(found), &format!("{at}.{field}"))
                    })
                    .next();
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                let items = expected.iter().zip(found).enumerate();
                return items
                    .filter_map(|(index, (expected, found))| {
                        walk(expected, found, &format!("{at}[{index}]"))
                    })
                    .next();
            }
            (Value::String(expected), Value::String(found)) if is_amount => expected
                .parse::<Quantity>()
                .ok()
                .is_some_and(|amount| found.parse() == Ok(amount)),
            (Value::String(_), Value::String(found))
                if at == ".imagePullPolicy" && found == "Always" =>
            {
                true
            }
            _ => expected == found || is_empty(expected) && is_empty(found),
        };
        (!same).then(|| at.trim_start_matches('.').to_owned())
    }
    walk(expected, found, "")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

//! Every place where a pod can name a Secret, as the API server publishes them.

use std::{collections::BTreeSet, fmt::Write};

use anyhow::{Context, Result, ensure};
use postern_e2e::{Namespace, PATIENCE, until};
use serde_json::{Value, json};

use super::caller::refusal;
use crate::support::{Turn, ground, talk};

/// What a pod has in its container, and among its volumes, to name `secret` in a certain place.
enum Place {
    /// A list of each container.
    Container(&'static str, Value),
    /// A kind of volume.
    Volume(&'static str, Value),
}

/// Every place below `containers[]`, `initContainers[]` and `ephemeralContainers[]`, and below `volumes[]`, by its path.
fn places(secret: &str) -> Vec<(&'static str, Place)> {
    use Place::{Container, Volume};
    let name = json!({"name": secret});
    vec![
        (
            "env[].valueFrom.secretKeyRef",
            Container(
                "env",
                json!([{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": "bundle.json", "optional": true}}}]),
            ),
        ),
        (
            "envFrom[].secretRef",
            Container("envFrom", json!([{"secretRef": name}])),
        ),
        (
            "secret.secretName",
            Volume("secret", json!({"secretName": secret})),
        ),
        (
            "projected.sources[].secret",
            Volume(
                "projected",
                json!({"sources": [{"downwardAPI": {"items": []}}, {"secret": name}]}),
            ),
        ),
        (
            "csi.nodePublishSecretRef",
            Volume(
                "csi",
                json!({"driver": "csi.example.com", "nodePublishSecretRef": name}),
            ),
        ),
        (
            "azureFile.secretName",
            Volume("azureFile", json!({"secretName": secret, "shareName": "x"})),
        ),
        (
            "cephfs.secretRef",
            Volume("cephfs", json!({"monitors": ["x"], "secretRef": name})),
        ),
        (
            "cinder.secretRef",
            Volume("cinder", json!({"volumeID": "x", "secretRef": name})),
        ),
        (
            "flexVolume.secretRef",
            Volume(
                "flexVolume",
                json!({"driver": "example.com/x", "secretRef": name}),
            ),
        ),
        (
            "iscsi.secretRef",
            Volume(
                "iscsi",
                json!({
                    "targetPortal": "192.0.2.1:3260", "iqn": "iqn.2026-11.com.example:x", "lun": 0,
                    "chapAuthSession": true, "secretRef": name,
                }),
            ),
        ),
        (
            "rbd.secretRef",
            Volume(
                "rbd",
                json!({"monitors": ["x"], "image": "x", "secretRef": name}),
            ),
        ),
        (
            "scaleIO.secretRef",
            Volume(
                "scaleIO",
                json!({"gateway": "https://x", "system": "x", "volumeName": "x", "secretRef": name}),
            ),
        ),
        (
            "storageos.secretRef",
            Volume(
                "storageos",
                json!({"volumeName": "x", "volumeNamespace": "x", "secretRef": name}),
            ),
        ),
    ]
}

/// The kinds of containers that a pod is created with.
const CREATED: [&str; 2] = ["containers", "initContainers"];
/// Those that join it later.
const JOINING: &str = "ephemeralContainers";

/// The path of each place, as [`published`] has it.
fn paths() -> BTreeSet<String> {
    let mut paths = BTreeSet::from(["imagePullSecrets[]".to_owned()]);
    for (path, place) in places("") {
        match place {
            Place::Volume(..) => {
                paths.insert(format!("volumes[].{path}"));
            }
            Place::Container(..) => {
                let kinds = CREATED.iter().chain([&JOINING]);
                paths.extend(kinds.map(|kind| format!("{kind}[].{path}")));
            }
        }
    }
    paths
}

/// A pod for each place of those that it is created with.
fn pods(secret: &str) -> Vec<(String, Value)> {
    let mut pods = Vec::new();
    for (path, place) in places(secret) {
        let container = json!({"name": "program", "image": "none"});
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "thief-"},
            "spec": {"automountServiceAccountToken": false, "containers": [container]},
        });
        match place {
            Place::Volume(kind, source) => {
                pod["spec"]["volumes"] = json!([{"name": "loot", kind: source}]);
                pods.push((format!("volumes[].{path}"), pod));
            }
            Place::Container(list, items) => {
                for (kind, name) in CREATED.iter().zip(["program", "first"]) {
                    let mut pod = pod.clone();
                    pod["spec"][*kind] = json!([{"name": name, "image": "none", list: items}]);
                    pods.push((format!("{kind}[].{path}"), pod));
                }
            }
        }
    }
    pods
}

/// What the API server says of each pod, in order; nothing is stored.
fn verdicts(namespace: &Namespace, pods: &[(String, Value)]) -> Result<Vec<Result<(), String>>> {
    pods.iter()
        .map(|(_, pod)| {
            let mut command = namespace.kubectl_command();
            command.args(["create", "--dry-run=server", "--filename=-"]);
            let said = talk(&mut command, &pod.to_string())?;
            Ok(if said.success {
                Ok(())
            } else {
                Err(said.stderr)
            })
        })
        .collect()
}

/// Every path below a type at which a Secret is named: a `secretName`, or something with a `name` that calls itself a Secret's.
fn published(schemas: &Value, kind: &str, path: &str, found: &mut BTreeSet<String>) {
    let properties = schemas[kind]["properties"].as_object();
    for (field, property) in properties.into_iter().flatten() {
        let (property, suffix) = match &property["items"] {
            Value::Null => (property, ""),
            items => (items, "[]"),
        };
        let path = if path.is_empty() {
            format!("{field}{suffix}")
        } else {
            format!("{path}.{field}{suffix}")
        };
        let reference = [&property["$ref"], &property["allOf"][0]["$ref"]];
        let kind = reference
            .iter()
            .find_map(|reference| reference.as_str()?.strip_prefix("#/components/schemas/"));
        let is_secret = |name: &str| name.to_lowercase().contains("secret");
        match kind {
            None if field == "secretName" => {
                found.insert(path);
            }
            None => {}
            Some(kind) => {
                let named = schemas[kind]["properties"].get("name").is_some();
                if named && (is_secret(field) || is_secret(kind)) {
                    found.insert(path);
                } else {
                    published(schemas, kind, &path, found);
                }
            }
        }
    }
}

#[test]
fn admission_places_are_all_that_the_api_server_publishes() -> Result<()> {
    let _turn = Turn::shared();
    let cluster = &ground()?.house.cluster;
    let document: Value =
        serde_json::from_str(&cluster.kubectl(["get", "--raw", "/openapi/v3/api/v1"])?)?;
    let mut found = BTreeSet::new();
    published(
        &document["components"]["schemas"],
        "io.k8s.api.core.v1.PodSpec",
        "",
        &mut found,
    );
    assert_eq!(found, paths());
    Ok(())
}

#[test]
fn admission_refuses_a_bundle_in_every_place_of_a_pod() -> Result<()> {
    let _turn = Turn::shared();
    let namespace = Namespace::create(&ground()?.house.cluster, "places")?;
    let pods_of = |secret: &str| pods(secret);
    let first = &pods_of("postern-support-bot")[..1];
    until("the policies to be in force", PATIENCE, || {
        let verdict = verdicts(&namespace, first)?.remove(0);
        ensure!(verdict.is_err(), "the first pod was admitted");
        Ok(())
    })?;
    let mut wrong = String::new();
    let thieves = pods_of("postern-support-bot");
    for ((path, _), verdict) in thieves.iter().zip(verdicts(&namespace, &thieves)?) {
        let words = verdict.err().as_deref().and_then(|error| {
            refusal("postern-bundles", error).or_else(|| {
                let _ = writeln!(wrong, "{path}: {error}");
                None
            })
        });
        if !words.is_some_and(|words| words.contains("are for its sidecar alone")) {
            writeln!(wrong, "{path}: not refused as it should be")?;
        }
    }
    // The same pods with a Secret that is nobody's bundle.
    let honest = pods_of("posterns");
    for ((path, _), verdict) in honest.iter().zip(verdicts(&namespace, &honest)?) {
        if let Err(error) = verdict {
            writeln!(wrong, "{path}: refused with another Secret: {error}")?;
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn admission_lets_a_pull_secret_have_any_name() -> Result<()> {
    let _turn = Turn::shared();
    let namespace = Namespace::create(&ground()?.house.cluster, "pull")?;
    let (_, mut pod) = pods("registry").pop().context("a pod")?;
    pod["spec"]["volumes"] = json!([]);
    // The kubelet reads registries' credentials from the types of Secrets that are for them, and no container sees those.
    pod["spec"]["imagePullSecrets"] = json!([{"name": "postern-registry"}]);
    let verdict = verdicts(&namespace, &[(String::new(), pod)])?.remove(0);
    assert_eq!(verdict, Ok(()));
    Ok(())
}

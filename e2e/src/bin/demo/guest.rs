//! The demo on a cluster that is somebody else's: it touches nothing that is there, marks all that it makes, and removes just that.

use std::ffi::OsString;

use anyhow::{Result, bail};
use postern_e2e::{Cluster, house, run, step};
use serde_json::json;

use crate::{LABEL, NAMESPACE, say};

/// The names that the demo needs; what else it makes is in these namespaces or belongs to the release.
const NEEDED: [&str; 7] = [
    "namespace/postern-demo",
    "namespace/postern-system",
    "clusterrolebinding.rbac.authorization.k8s.io/postern-demo-openbao",
    "customresourcedefinition.apiextensions.k8s.io/agentidentities.postern.dev",
    "customresourcedefinition.apiextensions.k8s.io/credentialstores.postern.dev",
    "customresourcedefinition.apiextensions.k8s.io/egresspolicies.postern.dev",
    "mutatingwebhookconfiguration.admissionregistration.k8s.io/postern",
];

/// Makes the namespaces and the custom resources with the demo's mark.
///
/// # Errors
/// If one of them, or the release, is there and is not a demo's.
pub(crate) fn claim(cluster: &Cluster) -> Result<()> {
    let mut others = Vec::new();
    for name in NEEDED {
        let not_ours = format!("{LABEL}!=true");
        // A name and a selector exclude each other.
        let (kind, name) = name.split_once('/').unwrap_or_default();
        let found = cluster.kubectl([
            "get",
            kind,
            "--selector",
            &not_ours,
            "--field-selector",
            &format!("metadata.name={name}"),
            "--output=name",
        ])?;
        // The release's own objects are recognised by its namespace.
        others.extend(found.lines().map(str::to_owned));
    }
    if is_ours(cluster, house::NAMESPACE)? {
        others.retain(|name| !name.starts_with("mutatingwebhookconfiguration"));
    }
    if !others.is_empty() {
        bail!(
            "this cluster has {} already, and no demo made it: nothing was changed. Use another cluster, or remove it first",
            others.join(", ")
        );
    }
    step(
        "claim",
        "namespaces and custom resources with the label of what a demo made",
        || {
            let definitions = cluster.kubectl([
                OsString::from("label"),
                "--local".into(),
                // YAML would come without a line between two documents.
                "--output=json".into(),
                format!("{LABEL}=true").into(),
                "--filename".into(),
                house::root().join("crds").into(),
            ])?;
            apply(cluster, &definitions)?;
            apply(
                cluster,
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
                    "name": house::NAMESPACE, "labels": {LABEL: "true"},
                }})
                .to_string(),
            )
        },
    )
}

/// By a field manager of its own, so that installing Postern afterwards does not take the label away.
fn apply(cluster: &Cluster, manifests: &str) -> Result<()> {
    let mut command = cluster.kubectl_command();
    command.args([
        "apply",
        "--server-side",
        "--field-manager=postern-demo",
        "--filename",
        "-",
    ]);
    run::output_with(manifests, &mut command).map(drop)
}

/// Removes what demos made, and nothing else.
pub(crate) fn leave(cluster: &Cluster) -> Result<()> {
    let ours = format!("{LABEL}=true");
    step("removal", "the demo's namespace and what is in it", || {
        delete(cluster, "namespaces", &ours, Some(NAMESPACE))?;
        // It goes with the namespace, but nobody says when.
        delete(cluster, "clusterrolebindings", &ours, None)
    })?;
    if is_ours(cluster, house::NAMESPACE)? {
        step("removal", "the release and its namespace", || {
            cluster.helm([
                "uninstall",
                house::RELEASE,
                "--namespace",
                house::NAMESPACE,
                "--ignore-not-found",
                "--wait",
            ])?;
            delete(cluster, "namespaces", &ours, Some(house::NAMESPACE))
        })?;
    }
    let definitions = cluster.kubectl([
        "get",
        "customresourcedefinitions",
        "--selector",
        &ours,
        "--output=name",
    ])?;
    if definitions.is_empty() {
        return Ok(());
    }
    let used = cluster.kubectl([
        "get",
        "agentidentities,credentialstores,egresspolicies",
        "--all-namespaces",
        "--selector",
        &format!("{LABEL}!=true"),
        "--output=name",
    ])?;
    if !used.is_empty() {
        // Deleting a definition deletes every object of its kind.
        say(&format!(
            "the custom resources stay, for somebody uses them: {}",
            used.trim().replace('\n', ", ")
        ));
        return Ok(());
    }
    step("removal", "the custom resources", || {
        delete(cluster, "customresourcedefinitions", &ours, None)
    })
}

/// Whether a demo made the namespace `name`.
fn is_ours(cluster: &Cluster, name: &str) -> Result<bool> {
    let found = cluster.kubectl([
        "get",
        "namespaces",
        "--selector",
        &format!("{LABEL}=true"),
        "--field-selector",
        &format!("metadata.name={name}"),
        "--output=name",
    ])?;
    Ok(!found.is_empty())
}

/// Deletes what has the label, and waits until it is gone.
fn delete(cluster: &Cluster, kind: &str, selector: &str, name: Option<&str>) -> Result<()> {
    let mut command = cluster.kubectl_command();
    command.args([
        "delete",
        kind,
        "--wait",
        "--timeout=180s",
        "--selector",
        selector,
    ]);
    if let Some(name) = name {
        command.arg(format!("--field-selector=metadata.name={name}"));
    }
    run::output(&mut command).map(drop)
}

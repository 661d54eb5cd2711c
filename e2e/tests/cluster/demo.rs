//! Is `cargo demo -- --context NAME` a good guest on a cluster that is somebody else's?

use std::{fs, process::Command};

use anyhow::{Context, Result};
use postern_e2e::{Cache, Cluster, House, house, image};
use tempfile::TempDir;

use crate::support::{Restored, Turn, ground, helm, talk};

/// The name of the context, which is the only one in the person's kubeconfig.
const CONTEXT: &str = "elsewhere";

/// A kubeconfig of a person who calls this machine's cluster by another name, and has no context in force.
fn kubeconfig(cluster: &Cluster) -> Result<TempDir> {
    let home = tempfile::tempdir()?;
    let path = home.path().join("config");
    let from = cluster.kubeconfig().context("a kubeconfig")?;
    fs::copy(from, &path)?;
    let config = |arguments: &[&str]| -> Result<String> {
        let mut kubectl = Command::new(&cluster.tools().kubectl);
        kubectl.arg("config").arg("--kubeconfig").arg(&path);
        Ok(postern_e2e::run::output(kubectl.args(arguments))?
            .trim()
            .to_owned())
    };
    let current = config(&["current-context"])?;
    config(&["rename-context", &current, CONTEXT])?;
    config(&["unset", "current-context"])?;
    Ok(home)
}

/// What the demo said, and whether it was content.
struct Shown {
    success: bool,
    text: String,
}

/// Runs `cargo demo -- ARGUMENTS --context elsewhere`.
fn demo(home: &TempDir, arguments: &[&str]) -> Result<Shown> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command
        .args(arguments)
        .args(["--context", CONTEXT])
        .env("KUBECONFIG", home.path().join("config"));
    let said = talk(&mut command, "")?;
    Ok(Shown {
        success: said.success,
        text: said.stdout + &said.stderr,
    })
}

/// The flags that name the images; the node has them, as if it had pulled them.
fn images(house: &House) -> Result<Vec<String>> {
    let cache = Cache::open()?;
    let provider = house.cluster.load(&image::provider(&cache)?)?;
    let store = house.cluster.load(&image::openbao(&cache)?)?;
    Ok([
        ("operator", &house.images.operator),
        ("sidecar", &house.images.sidecar),
        ("agent", &ground()?.python),
        ("provider", &provider),
        ("store", &store),
    ]
    .map(|(what, reference)| format!("--{what}-image={reference}"))
    .to_vec())
}

/// The names of everything that belongs to no namespace and could stay behind.
fn remains(cluster: &Cluster) -> Result<String> {
    let kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,mutatingwebhookconfigurations,\
                 validatingwebhookconfigurations,priorityclasses,persistentvolumes,apiservices";
    cluster.kubectl(["get", kinds, "--output=name"])
}

#[test]
fn demo_on_a_cluster_of_somebody_else_shows_the_same_and_leaves_nothing_behind() -> Result<()> {
    let _turn = Turn::alone();
    let house = &ground()?.house;
    let cluster = &house.cluster;
    let home = kubeconfig(cluster)?;
    let images = images(house)?;
    let images: Vec<&str> = images.iter().map(String::as_str).collect();

    // Where Postern is already, it is somebody's, and stays as it is.
    let refused = demo(&home, &images)?;
    assert!(!refused.success, "{}", refused.text);
    let reason = "this cluster has namespace/postern-system, customresourcedefinition.apiextensions.k8s.io/agentidentities.postern.dev";
    assert!(refused.text.contains(reason), "{}", refused.text);
    let down = demo(&home, &["down"])?;
    assert!(down.success, "{}", down.text);
    helm(cluster, "status", &[])?;

    let restored = Restored::later(house);
    helm(cluster, "uninstall", &["--wait", "--timeout=5m"])?;
    cluster.kubectl(["delete", "namespace", house::NAMESPACE])?;
    let crds = house::root().join("crds");
    cluster.kubectl(["delete".as_ref(), "--filename".as_ref(), crds.as_os_str()])?;
    let before = remains(cluster)?;

    let shown = demo(&home, &[&["--keep"], &images[..]].concat())?;
    assert!(shown.success, "{}", shown.text);
    for words in [
        "Paris is the capital of France.",
        "authorization: Bearer sk-live-",
        "the first one after",
        "failed                   0 of",
        "files searched: not found",
        "kubectl --context elsewhere describe agentidentity support-bot",
        "cargo demo -- down --context elsewhere",
    ] {
        assert!(
            shown.text.contains(words),
            "{words:?} is not in {}",
            shown.text
        );
    }
    // A second one takes over what the first one left, and it too goes.
    let again = demo(&home, &images)?;
    assert!(again.success, "{}", again.text);
    assert_eq!(remains(cluster)?, before);

    let down = demo(&home, &["down"])?;
    assert!(down.success, "{}", down.text);
    restored.now()
}

//! What else a cluster may have, and the chart can work with: cert-manager and the Prometheus operator.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{Cluster, Tools, run, tools};

/// The folders with their custom resource definitions, as their makers ship them.
///
/// Each is part of a Go module, whose version and digest are in `e2e/cluster/NAME/go.mod` and `go.sum`.
pub fn definitions() -> Result<[PathBuf; 2]> {
    let cert_manager = module("cert-manager", "github.com/cert-manager/cert-manager")?;
    let prometheus = module(
        "prometheus-operator",
        "github.com/prometheus-operator/prometheus-operator",
    )?;
    Ok([
        cert_manager.join("deploy/crds"),
        prometheus.join("example/prometheus-operator-crd"),
    ])
}

/// Where the files of a module are that `e2e/cluster/NAME/go.mod` requires; downloads it if need be.
fn module(name: &str, module: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Downloaded {
        #[serde(rename = "Dir")]
        dir: PathBuf,
    }
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", module])
        .current_dir(tools::source(name));
    let printed = run::output(&mut go)?;
    let downloaded: Downloaded =
        serde_json::from_str(&printed).with_context(|| format!("reading {printed}"))?;
    Ok(downloaded.dir)
}

/// cert-manager's controllers, running on this machine until dropped. Their resources have to be there.
#[derive(Debug)]
pub struct CertManager {
    process: Child,
}

impl CertManager {
    /// Starts them for the cluster of this machine, with an administrator's rights. What they say goes to `log/cert-manager.log` of the cache.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let program = Tools::cert_manager(cluster.cache())?;
        let kubeconfig = cluster
            .kubeconfig()
            .context("a cluster of this machine has a kubeconfig")?;
        let log = File::create(cluster.cache().path("log/cert-manager.log"))?;
        let process = Command::new(&program)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { process })
    }
}

impl Drop for CertManager {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! A namespace for one test: what happens in it is seen by nobody else, and it goes when the test ends.

use std::{
    ffi::OsStr,
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{Cluster, run, until};

/// How long something in a namespace may take. Generous, since the machine may be busy; nothing waits this long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A namespace that is deleted when dropped.
#[derive(Debug)]
pub struct Namespace {
    cluster: Cluster,
    name: String,
}

impl Namespace {
    /// Makes a namespace whose name begins with `postern-test-` and says what for.
    pub fn create(cluster: &Cluster, purpose: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "postern-test-{purpose}-{}-{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        cluster.kubectl(["create", "namespace", &name])?;
        let namespace = Self {
            cluster: cluster.clone(),
            name,
        };
        // A pod that comes before its service account is refused.
        until("the default service account", PATIENCE, || {
            namespace.kubectl(["get", "serviceaccount", "default"])
        })?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A `kubectl` in this namespace, to be given its arguments.
    pub fn kubectl_command(&self) -> Command {
        let mut command = self.cluster.kubectl_command();
        command.args(["--namespace", &self.name]);
        command
    }

    /// Runs `kubectl` in this namespace and returns what it prints.
    pub fn kubectl<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        run::output(self.kubectl_command().args(arguments))
    }

    /// Applies manifests given as text.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        self.kubectl_with(manifests, ["apply", "--filename", "-"])
            .map(drop)
    }

    /// Runs `kubectl` with `input` on its standard input.
    pub fn kubectl_with<A: AsRef<OsStr>>(
        &self,
        input: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        run::output_with(input, self.kubectl_command().args(arguments))
    }

    /// What the API server says when it refuses `manifests`.
    ///
    /// # Errors
    /// If it accepts them.
    pub fn refusal(&self, manifests: &str) -> Result<String> {
        match self.apply(manifests) {
            Ok(()) => bail!("the API server accepted what it should refuse"),
            Err(error) => Ok(format!("{error:#}")),
        }
    }

    /// One object, as JSON.
    pub fn get(&self, kind: &str, name: &str) -> Result<Value> {
        serde_json::from_str(&self.kubectl(["get", kind, name, "--output", "json"])?)
            .with_context(|| format!("reading {kind} {name}"))
    }

    /// Waits until the condition `kind` of an object says `status`, and returns it. A status of an older generation does not count.
    pub fn condition(&self, resource: &str, name: &str, kind: &str, status: &str) -> Result<Value> {
        until(
            &format!("{kind}={status} of {resource} {name}"),
            PATIENCE,
            || {
                let object = self.get(resource, name)?;
                let conditions = object["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let condition = conditions
                    .into_iter()
                    .find(|condition| condition["type"] == kind)
                    .context("no such condition")?;
                ensure!(
                    condition["status"] == status
                        && condition["observedGeneration"] == object["metadata"]["generation"],
                    "{condition}"
                );
                Ok(condition)
            },
        )
    }

    /// Waits until a pod is ready.
    pub fn ready(&self, pod: &str) -> Result<()> {
        until(&format!("pod {pod} to be ready"), PATIENCE, || {
            let object = self.get("pod", pod)?;
            let conditions = object["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            ensure!(ready, "{}", object["status"]);
            Ok(())
        })
    }

    /// Waits until a pod has run to its end, and returns its phase: `Succeeded` or `Failed`.
    pub fn finished(&self, pod: &str) -> Result<String> {
        until(&format!("pod {pod} to finish"), PATIENCE, || {
            let object = self.get("pod", pod)?;
            match object["status"]["phase"].as_str() {
                Some(phase @ ("Succeeded" | "Failed")) => Ok(phase.to_owned()),
                _ => bail!("{}", object["status"]),
            }
        })
    }

    /// What a container has printed.
    pub fn logs(&self, pod: &str, container: &str) -> Result<String> {
        self.kubectl(["logs", pod, "--container", container])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What a failed test leaves is the best evidence of why it failed.
        if !std::thread::panicking() {
            let _ = self
                .cluster
                .kubectl(["delete", "namespace", &self.name, "--wait=false"]);
        }
    }
}

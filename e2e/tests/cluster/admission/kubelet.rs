//! A real kubelet, which runs pods that somebody puts into a folder of the node: nobody else is asked whether it may.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use postern_e2e::{PATIENCE, until};
use serde_json::{Value, json};

use crate::support::{Agents, complain, ground, resting};

/// A manifest in the kubelet's folder, which goes with this.
struct StaticPod(PathBuf);

impl StaticPod {
    fn put(name: &str, pod: &Value) -> Result<Self> {
        let folder = ground()?.house.cluster.static_pods();
        let folder = folder.context("the node is this machine")?;
        let manifest = Self(folder.join(format!("{name}.json")));
        fs::write(&manifest.0, pod.to_string())?;
        Ok(manifest)
    }
}

impl Drop for StaticPod {
    fn drop(&mut self) {
        let removed = fs::remove_file(&self.0).context("removing it");
        complain("a static pod", &removed);
    }
}

#[test]
fn admission_kubelet_runs_no_static_pod_that_names_a_bundle() -> Result<()> {
    let agents = Agents::create("static-real")?;
    let cluster = agents.namespace.cluster();
    let pod = |name: &str, volumes: &Value| {
        let mut pod = resting(name)?;
        pod["metadata"]["namespace"] = agents.namespace.name().into();
        pod["spec"]["volumes"] = volumes.clone();
        pod["spec"]["containers"][0]["volumeMounts"] = json!([]);
        Ok::<_, anyhow::Error>(pod)
    };
    let bundle = json!([{"name": "loot", "secret": {"secretName": "postern-support-bot"}}]);
    let thief = format!("{}-thief", agents.namespace.name());
    let honest = format!("{}-honest", agents.namespace.name());
    let _thief = StaticPod::put(&thief, &pod("thief", &bundle)?)?;
    let _honest = StaticPod::put(&honest, &pod("honest", &json!([]))?)?;

    // All that it runs, whether the API server knows of it or not.
    let run = || cluster.kubectl(["get", "--raw", "/api/v1/nodes/node1/proxy/pods"]);
    let name = |name: &str| format!(r#""name":"{name}-node1""#);
    until("the honest pod to run", PATIENCE, || {
        let pods = run()?;
        ensure!(pods.contains(&name("honest")), "{pods}");
        Ok(())
    })?;
    let log = cluster.cache().path("cluster/log/kubelet.log");
    until(
        "the kubelet to say why it does not run the other",
        PATIENCE,
        || {
            let said = fs::read_to_string(&log)?;
            let line = said.lines().rfind(|line| line.contains(&thief));
            let line = line.context("it says nothing of it")?;
            ensure!(line.contains("may not reference secrets"), "{line}");
            Ok(())
        },
    )?;
    assert!(!run()?.contains(&name("thief")));
    Ok(())
}

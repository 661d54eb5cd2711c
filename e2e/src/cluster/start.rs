//! Brings the cluster up from nothing.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::layout::{NAME, PORTS};
use super::setup::{GROUND, REST, Setup};
use super::{containerd, credentials, host, kubectl};
use crate::image::Image;
use crate::process::Daemons;
use crate::run;
use crate::wait::until;

/// Longer than any start that was seen on two busy cores.
const LIMIT: Duration = Duration::from_secs(180);
/// Linux keeps the path of a socket in 108 bytes; kubelet's and containerd's own names below the state need some.
const LONGEST_STATE: usize = 60;

/// Starts every component and waits until the node is ready and names are answered.
///
/// `images` are what the cluster itself needs. Whatever an earlier run left must have been removed.
pub(super) fn start(setup: &Setup<'_>, daemons: &Daemons, images: &[Image]) -> Result<()> {
    let layout = setup.layout;
    ensure!(
        layout.state().as_os_str().len() <= LONGEST_STATE,
        "{} is too long for the sockets below it; set POSTERN_CACHE to a shorter path",
        layout.state().display()
    );
    ports_are_free()?;
    fs::create_dir_all(layout.state())?;
    fs::set_permissions(layout.state(), fs::Permissions::from_mode(0o700))?;

    fs::create_dir(layout.static_pods())?;
    host::prepare(layout)?;
    credentials::write(layout)?;
    for (path, text) in setup.files() {
        let path = layout.path(path);
        fs::create_dir_all(
            path.parent()
                .context("a directory of a configuration file")?,
        )?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }

    for component in GROUND {
        daemons.start(component, &setup.command(component))?;
    }
    // While the API server starts.
    wait(daemons, "containerd", || containerd::is_ready(layout))?;
    for image in images {
        containerd::load(layout, image)?;
    }
    let kubectl =
        |arguments: &[&str]| run::output(kubectl(&setup.tools.kubectl, layout).args(arguments));
    wait(daemons, "the API server", || {
        kubectl(&["get", "--raw", "/readyz"]).map(drop)
    })?;
    for component in REST {
        daemons.start(component, &setup.command(component))?;
    }
    kubectl(&["apply", "-f", &layout.text("config/coredns.yaml")])?;
    wait(daemons, "the node", || {
        let status = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        let ready = kubectl(&["get", "node", NAME, "--output", status])?;
        ensure!(ready == "True", "its condition Ready is {ready:?}");
        Ok(())
    })?;
    wait(daemons, "the name server", || {
        let deployment = ["get", "deployment", "coredns", "--namespace", "kube-system"];
        let ready = ["--output", "jsonpath={.status.readyReplicas}"];
        ensure!(
            kubectl(&[&deployment[..], &ready].concat())? == "1",
            "it is not ready"
        );
        Ok(())
    })
}

/// Waits for `condition`, but not for a component that has ended.
fn wait(daemons: &Daemons, what: &str, mut condition: impl FnMut() -> Result<()>) -> Result<()> {
    until(what, LIMIT, || match daemons.check() {
        Ok(()) => condition().map(Ok),
        Err(ended) => Ok(Err(ended)),
    })?
}

/// Another cluster on this machine would break ours in ways that are hard to see; say so before anything is changed.
fn ports_are_free() -> Result<()> {
    let taken: Vec<_> = PORTS
        .iter()
        .filter(|&&port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err())
        .map(u16::to_string)
        .collect();
    if !taken.is_empty() {
        bail!(
            "the cluster needs ports that are in use: {}; is another Kubernetes or etcd running here?",
            taken.join(", ")
        );
    }
    Ok(())
}

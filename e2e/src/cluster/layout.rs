//! Names, addresses and paths of the one-node cluster.

use std::path::{Path, PathBuf};

/// The bridge of the pods, and the name of their network.
pub(super) const BRIDGE: &str = "postern0";
/// The node's name.
pub(super) const NAME: &str = "node1";
/// The node's address: the bridge's. A node may not have a loopback address.
pub(super) const NODE: &str = "10.244.0.1";
/// Addresses of pods.
pub(super) const PODS: &str = "10.244.0.0/24";
/// Addresses of Services; the first is the API server's.
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The API server's Service.
pub(super) const API: &str = "10.96.0.1";
/// The name server's Service.
pub(super) const DNS: &str = "10.96.0.10";
/// Where etcd listens: not the usual ports, which another etcd may have.
pub(super) const ETCD: &str = "http://127.0.0.1:23790";
pub(super) const ETCD_PEER: &str = "http://127.0.0.1:23800";
/// Ports that must be free before a start.
pub(super) const PORTS: &[u16] = &[6443, 10248, 10249, 10250, 10256, 10257, 10259, 23790, 23800];

/// The directory that holds everything of a cluster.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    state: PathBuf,
}

impl Layout {
    pub(super) fn new(state: PathBuf) -> Self {
        Self { state }
    }

    pub(super) fn state(&self) -> &Path {
        &self.state
    }

    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.state.join(relative)
    }

    /// A path below the state, as an argument or a line of configuration needs it.
    pub(super) fn text(&self, relative: &str) -> String {
        self.path(relative).display().to_string()
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path("containerd.sock")
    }

    /// Where the kubelet finds static pods.
    pub(super) fn static_pods(&self) -> PathBuf {
        self.path("static-pods")
    }

    /// Where containerd keeps images, beside the state: a restart keeps them, since they take longest to load.
    pub(super) fn images(&self) -> PathBuf {
        self.state.with_extension("images")
    }

    /// Fills the names that every template of `cluster/config` may use.
    pub(super) fn render(&self, template: &str, more: &[(&str, &str)]) -> String {
        let state = self.state.display().to_string();
        let images = self.images().display().to_string();
        let common = [
            ("STATE", state.as_str()),
            ("IMAGES", images.as_str()),
            ("BRIDGE", BRIDGE),
            ("NAME", NAME),
            ("NODE", NODE),
            ("PODS", PODS),
            ("DNS", DNS),
        ];
        common
            .iter()
            .chain(more)
            .fold(template.to_owned(), |text, (name, value)| {
                text.replace(&format!("${name}"), value)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;

    #[test]
    fn template_gets_common_and_own_values() {
        let layout = Layout::new("/state".into());
        let text = layout.render("$STATE/pki of $NODE and $OWN", &[("OWN", "mine")]);
        assert_eq!(text, "/state/pki of 10.244.0.1 and mine");
    }
}

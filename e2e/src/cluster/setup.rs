//! What runs in the cluster and how it is configured: data for `start`.

use std::process::Command;

use super::layout::{ETCD, ETCD_PEER, Layout, NAME, NODE, PODS, SERVICES};
use crate::digest::Digest;
use crate::tools::Tools;

/// Components by the order of their start. etcd and containerd need nobody.
pub(super) const GROUND: &[&str] = &["etcd", "containerd", "kube-apiserver"];
/// Those that need the API server.
pub(super) const REST: &[&str] = &[
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
];

/// One cluster's configuration.
pub(super) struct Setup<'a> {
    pub(super) layout: &'a Layout,
    pub(super) tools: &'a Tools,
    /// The image of each pod's sandbox.
    pub(super) pause: &'a str,
    /// The name server's image.
    pub(super) coredns: &'a str,
}

impl Setup<'_> {
    /// Configuration files, by their path below the state.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        let templates = [
            (
                "config/kubelet.yaml",
                include_str!("../../cluster/config/kubelet.yaml"),
            ),
            (
                "config/kube-proxy.yaml",
                include_str!("../../cluster/config/kube-proxy.yaml"),
            ),
            (
                "config/containerd.toml",
                include_str!("../../cluster/config/containerd.toml"),
            ),
            (
                "config/cni/network.conflist",
                include_str!("../../cluster/config/network.conflist"),
            ),
            (
                "config/coredns.yaml",
                include_str!("../../cluster/config/coredns.yaml"),
            ),
            // For pods with `dnsPolicy: Default`; nobody answers there.
            ("config/resolv.conf", "nameserver 127.0.0.1\n"),
        ];
        let images = [("PAUSE", self.pause), ("COREDNS", self.coredns)];
        templates
            .map(|(path, template)| (path, self.layout.render(template, &images)))
            .into()
    }

    /// The command of one component of [`GROUND`] or [`REST`].
    pub(super) fn command(&self, component: &str) -> Command {
        let path = |relative: &str| self.layout.text(relative);
        let mut command = match component {
            "etcd" | "containerd" => Command::new(component),
            component => {
                let mut kube = Command::new(&self.tools.kube);
                kube.arg(component);
                kube
            }
        };
        let mut flag = |name: &str, value: &str| {
            command.arg(format!("--{name}={value}"));
        };
        match component {
            "etcd" => {
                flag("data-dir", &path("etcd"));
                flag("listen-client-urls", ETCD);
                flag("advertise-client-urls", ETCD);
                flag("listen-peer-urls", ETCD_PEER);
                flag("initial-advertise-peer-urls", ETCD_PEER);
                flag("initial-cluster", &format!("default={ETCD_PEER}"));
                // Its content is worth nothing after a crash, and fsync on a shared disk is what is slow.
                flag("unsafe-no-fsync", "true");
            }
            "containerd" => flag("config", &path("config/containerd.toml")),
            "kube-apiserver" => {
                flag("etcd-servers", ETCD);
                flag("advertise-address", NODE);
                flag("secure-port", "6443");
                flag("tls-cert-file", &path("pki/kube-apiserver.crt"));
                flag("tls-private-key-file", &path("pki/kube-apiserver.key"));
                flag("client-ca-file", &path("pki/ca.crt"));
                flag("authorization-mode", "Node,RBAC");
                flag("enable-admission-plugins", "NodeRestriction");
                flag("allow-privileged", "true");
                flag("service-cluster-ip-range", SERVICES);
                flag("service-account-issuer", "https://kubernetes.default.svc");
                flag(
                    "service-account-key-file",
                    &path("pki/service-accounts.pub"),
                );
                flag(
                    "service-account-signing-key-file",
                    &path("pki/service-accounts.key"),
                );
                flag(
                    "kubelet-client-certificate",
                    &path("pki/kube-apiserver.crt"),
                );
                flag("kubelet-client-key", &path("pki/kube-apiserver.key"));
                flag("kubelet-certificate-authority", &path("pki/ca.crt"));
                // The node's name is in no name server: logs and exec would fail on it.
                flag("kubelet-preferred-address-types", "InternalIP");
                // Webhooks are called at their pods' addresses, so they do not wait for kube-proxy.
                flag("enable-aggregator-routing", "true");
                flag("shutdown-delay-duration", "0s");
            }
            "kube-controller-manager" => {
                flag("kubeconfig", &path("pki/kube-controller-manager.conf"));
                flag("bind-address", "127.0.0.1");
                flag("leader-elect", "false");
                flag("use-service-account-credentials", "true");
                flag("root-ca-file", &path("pki/ca.crt"));
                flag(
                    "service-account-private-key-file",
                    &path("pki/service-accounts.key"),
                );
                flag("cluster-signing-cert-file", &path("pki/ca.crt"));
                flag("cluster-signing-key-file", &path("pki/ca.key"));
                flag("cluster-cidr", PODS);
            }
            "kube-scheduler" => {
                flag("kubeconfig", &path("pki/kube-scheduler.conf"));
                flag("bind-address", "127.0.0.1");
                flag("leader-elect", "false");
            }
            "kubelet" => {
                flag("config", &path("config/kubelet.yaml"));
                flag("kubeconfig", &path("pki/kubelet.conf"));
                flag("root-dir", &path("kubelet"));
                flag("cert-dir", &path("pki"));
                flag("hostname-override", NAME);
                flag("node-ip", NODE);
            }
            "kube-proxy" => flag("config", &path("config/kube-proxy.yaml")),
            other => unreachable!("no component is called {other}"),
        }
        // A proxy for the outside must not come between the parts of a cluster.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command
    }

    /// Changes whenever a cluster made by other code, tools or configuration would not be this one.
    pub(super) fn fingerprint(&self) -> String {
        let files = self.files().into_iter();
        let mut digest = files.fold(Digest::new(), |digest, (path, text)| {
            digest.text(path).text(&text)
        });
        for component in GROUND.iter().chain(REST) {
            digest = digest.text(&format!("{:?}", self.command(component)));
        }
        digest.short()
    }
}

//! The certificates of the cluster's components, and the kubeconfig of each.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::layout::{API, Layout, NAME, NODE};
use crate::pki::{self, Authority, Identity, Subject};

const KUBECONFIG: &str = include_str!("../../cluster/config/kubeconfig.yaml");

/// Makes a new authority and all that it signs, in `pki/`, and the administrator's `kubeconfig`.
pub(super) fn write(layout: &Layout) -> Result<()> {
    let dir = layout.path("pki");
    fs::create_dir_all(&dir)?;
    let authority = Authority::new("postern-e2e")?;
    private(&dir.join("ca.crt"), &authority.certificate())?;
    // The controller manager signs CertificateSigningRequests with it.
    private(&dir.join("ca.key"), &authority.key())?;
    let (service_accounts, public) = pki::key_pair()?;
    private(&dir.join("service-accounts.key"), &service_accounts)?;
    private(&dir.join("service-accounts.pub"), &public)?;

    let node = format!("system:node:{NAME}");
    let hosts = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "localhost",
        "127.0.0.1",
        NODE,
        API,
    ];
    let apiserver = authority.issue(&Subject {
        name: "kube-apiserver",
        group: Some("system:masters"),
        hosts: &hosts,
    })?;
    pair(&dir, "kube-apiserver", &apiserver)?;
    let kubelet = authority.issue(&Subject {
        name: &node,
        group: Some("system:nodes"),
        hosts: &[NAME, NODE],
    })?;
    pair(&dir, "kubelet", &kubelet)?;

    let kubeconfig = |name: &str, identity: &Identity| {
        layout.render(
            KUBECONFIG,
            &[
                ("USER", name),
                ("CA", &STANDARD.encode(authority.certificate())),
                ("CERTIFICATE", &STANDARD.encode(&identity.certificate)),
                ("KEY", &STANDARD.encode(&identity.key)),
            ],
        )
    };
    private(&dir.join("kubelet.conf"), &kubeconfig("kubelet", &kubelet))?;
    for component in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
        let user = format!("system:{component}");
        let identity = authority.issue(&Subject {
            name: &user,
            ..Subject::default()
        })?;
        private(
            &dir.join(format!("{component}.conf")),
            &kubeconfig(component, &identity),
        )?;
    }
    let admin = authority.issue(&Subject {
        name: "admin",
        group: Some("system:masters"),
        hosts: &[],
    })?;
    private(&layout.kubeconfig(), &kubeconfig("admin", &admin))
}

fn pair(dir: &Path, name: &str, identity: &Identity) -> Result<()> {
    private(&dir.join(format!("{name}.crt")), &identity.certificate)?;
    private(&dir.join(format!("{name}.key")), &identity.key)
}

/// Writes a file that only its owner can read.
fn private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

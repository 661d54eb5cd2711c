//! The providers that agents call, none of which we wrote, behind TLS, in a pod of their own.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use crate::{
    Cluster,
    image::Image,
    pki::{Authority, Subject},
    run,
};

/// Name of its Deployment, Service and Secret.
const NAME: &str = "provider";

/// A running provider.
#[derive(Debug, Clone)]
pub struct Provider {
    cluster: Cluster,
    namespace: String,
    /// The authority that signed its certificate, as PEM.
    pub ca: String,
}

/// One request, as the provider received it.
#[derive(Debug, Clone, Deserialize)]
pub struct Received {
    /// HTTP version.
    pub protocol: String,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Every header, lower case.
    pub headers: std::collections::BTreeMap<String, String>,
    /// Status of the answer; absent where the caller went away.
    pub status: Option<u16>,
}

impl Provider {
    /// Puts `image` on the node and runs it as [`Provider::run`] does.
    pub fn ensure(
        cluster: &Cluster,
        namespace: &str,
        image: &Image,
        hosts: &[&str],
    ) -> Result<Self> {
        Self::run(cluster, namespace, &cluster.load(image)?, hosts)
    }

    /// Runs one in `namespace`, which exists, with a certificate for its Service and for `hosts`. One that is there is kept.
    pub fn run(cluster: &Cluster, namespace: &str, image: &str, hosts: &[&str]) -> Result<Self> {
        let existing = cluster.kubectl([
            "get",
            "configmap",
            "provider-ca",
            "--namespace",
            namespace,
            "--output",
            r"jsonpath={.data.ca\.crt}",
        ]);
        let ca = match existing {
            Ok(ca) if !ca.is_empty() => ca,
            _ => certificates(cluster, namespace, hosts)?,
        };
        let manifest = include_str!("provider.yaml")
            .replace("IMAGE", image)
            .replace("NAMESPACE", namespace);
        cluster.apply(&manifest)?;
        cluster.kubectl([
            "rollout",
            "status",
            "deployment",
            NAME,
            "--namespace",
            namespace,
            "--timeout=180s",
        ])?;
        Ok(Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            ca,
        })
    }

    /// Its name in the cluster.
    pub fn host(&self) -> String {
        format!("{NAME}.{}.svc", self.namespace)
    }

    /// The address of its Service.
    pub fn address(&self) -> Result<String> {
        self.cluster.kubectl([
            "get",
            "service",
            NAME,
            "--namespace",
            &self.namespace,
            "--output",
            "jsonpath={.spec.clusterIP}",
        ])
    }

    /// From now on it answers calls with `key` by 401, as a provider does once the overlap of a rotation is over.
    pub fn revoke(&self, key: &str) -> Result<()> {
        let service = format!("services/http:{NAME}:http/proxy/__provider/revoke");
        let at = format!("/api/v1/namespaces/{}/{service}", self.namespace);
        let mut command = self.cluster.kubectl_command();
        command.args(["create", "--raw", &at, "--filename=-"]);
        run::output_with(key, &mut command).map(drop)
    }

    /// What it received in the last `since`.
    pub fn received(&self, since: Duration) -> Result<Vec<Received>> {
        let seconds = format!("--since={}s", since.as_secs());
        let log = self.cluster.kubectl([
            "logs",
            "deployment/provider",
            "--namespace",
            &self.namespace,
            "--container",
            NAME,
            &seconds,
            "--tail=-1",
        ])?;
        log.lines()
            // `kubectl logs` mixes what the mock says on standard error into it.
            .filter(|line| line.starts_with('{'))
            .map(|line| {
                serde_json::from_str(line)
                    .with_context(|| format!("reading the provider's line {line}"))
            })
            .collect()
    }
}

/// Makes the certificate of a new provider and returns the authority's.
fn certificates(cluster: &Cluster, namespace: &str, hosts: &[&str]) -> Result<String> {
    let authority = Authority::new("provider-ca")?;
    let service = format!("{NAME}.{namespace}.svc");
    let mut names = vec![service.as_str()];
    names.extend(hosts);
    let identity = authority.issue(&Subject {
        name: NAME,
        group: None,
        hosts: &names,
    })?;
    let metadata = |name: &str| json!({"name": name, "namespace": namespace});
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": metadata("provider-tls"),
            "stringData": {"tls.crt": identity.certificate, "tls.key": identity.key},
        },
        {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": metadata("provider-ca"),
            "data": {"ca.crt": authority.certificate()},
        },
    ]});
    cluster.apply(&objects.to_string())?;
    Ok(authority.certificate())
}

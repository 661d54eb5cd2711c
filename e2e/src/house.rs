//! Postern, installed on a cluster as its users install it: images, `kubectl apply -f crds/`, `helm install`.

use std::{ffi::OsString, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    Cache, Cluster, Image, PATIENCE, Provider,
    image::{self, Programs},
    step, until,
};

/// Namespace of the release.
pub const NAMESPACE: &str = "postern-system";
/// Name of the release.
pub const RELEASE: &str = "postern";
/// Namespace of the provider that tests share.
const PROVIDER_NAMESPACE: &str = "postern-test-provider";
/// Names under which the tests' provider is known in the cluster, so that programs call what they always call.
const PUBLIC_HOSTS: [&str; 7] = [
    "api.openai.com",
    "api.anthropic.com",
    "generativelanguage.googleapis.com",
    "api.mistral.ai",
    "ollama.example.com",
    "bedrock-runtime.us-east-1.amazonaws.com",
    "chroma.example.com",
];

/// A cluster with Postern on it.
#[derive(Debug, Clone)]
pub struct House {
    /// The cluster.
    pub cluster: Cluster,
    /// Names of the images of operator and sidecar.
    pub images: Images,
}

/// Names of Postern's images, as pods name them.
#[derive(Debug, Clone)]
pub struct Images {
    /// The operator's.
    pub operator: String,
    /// The sidecar's.
    pub sidecar: String,
}

impl Images {
    /// Builds both and puts them on the node.
    pub fn build(cluster: &Cluster, cache: &Cache) -> Result<Self> {
        let Programs {
            operator, sidecar, ..
        } = image::programs(cache)?;
        Ok(Self {
            operator: cluster.load(&operator)?,
            sidecar: cluster.load(&sidecar)?,
        })
    }
}

impl House {
    /// The cluster of this machine with the sources as they are now, installed or upgraded to.
    pub fn ensure() -> Result<Self> {
        let cache = Cache::open()?;
        let cluster = Cluster::ensure()?;
        let images = Images::build(&cluster, &cache)?;
        let _lock = cache.lock("house", || ())?;
        Self::install(cluster, images)
    }

    /// Installs Postern on `cluster`, or upgrades what is there.
    pub fn install(cluster: Cluster, images: Images) -> Result<Self> {
        step("custom resources", "kubectl apply -f crds/", || {
            let crds = root().join("crds");
            cluster.kubectl([
                OsString::from("apply"),
                "--server-side".into(),
                "--filename".into(),
                crds.into(),
            ])
        })?;
        step("postern", "helm install postern charts/postern", || {
            let mut arguments: Vec<OsString> =
                ["upgrade", "--install", RELEASE].map(OsString::from).into();
            arguments.push(root().join("charts/postern").into());
            arguments.extend(
                [
                    "--namespace",
                    NAMESPACE,
                    "--create-namespace",
                    "--wait",
                    "--timeout",
                    "5m",
                ]
                .map(OsString::from),
            );
            arguments.extend(values(&images)?.into_iter().map(OsString::from));
            cluster.helm(arguments)
        })?;
        // The API server goes on using the connections that it has: until they are gone, it may ask replicas of an earlier release.
        until("replaced webhooks to be gone", PATIENCE, || {
            let leaving = cluster.kubectl([
                "get",
                "pods",
                "--namespace",
                NAMESPACE,
                "--selector",
                "app.kubernetes.io/component=webhook",
                "--output",
                "jsonpath={.items[*].metadata.deletionTimestamp}",
            ])?;
            ensure!(leaving.is_empty(), "some leave since {leaving}");
            Ok(())
        })?;
        Ok(Self { cluster, images })
    }

    /// The provider that all tests share; the names of `PUBLIC_HOSTS` lead to it from every pod.
    pub fn provider(&self) -> Result<Provider> {
        let cache = Cache::open()?;
        let _lock = cache.lock("provider", || ())?;
        let image: Image = image::provider(&cache)?;
        if self
            .cluster
            .kubectl(["get", "namespace", PROVIDER_NAMESPACE])
            .is_err()
        {
            self.cluster
                .kubectl(["create", "namespace", PROVIDER_NAMESPACE])?;
        }
        let provider = Provider::ensure(&self.cluster, PROVIDER_NAMESPACE, &image, &PUBLIC_HOSTS)?;
        let address = provider.address()?;
        let hosts: String = PUBLIC_HOSTS
            .iter()
            .map(|host| format!("{address} {host}\\n"))
            .collect();
        let patch = format!(r#"{{"data":{{"hosts":"{hosts}"}}}}"#);
        self.cluster.kubectl([
            "patch",
            "configmap",
            "coredns-hosts",
            "--namespace",
            "kube-system",
            "--type=merge",
            "--patch",
            &patch,
        ])?;
        Ok(provider)
    }
}

/// Chart values that name the images, as `--set` arguments.
pub fn values(images: &Images) -> Result<Vec<String>> {
    let mut arguments = Vec::new();
    for (key, reference) in [
        ("image", &images.operator),
        ("sidecar.image", &images.sidecar),
    ] {
        let (name, tag) = reference
            .rsplit_once(':')
            .with_context(|| format!("reading the image name {reference}"))?;
        let (registry, repository) = name
            .split_once('/')
            .with_context(|| format!("reading the image name {reference}"))?;
        for (part, value) in [
            ("registry", registry),
            ("repository", repository),
            ("tag", tag),
        ] {
            arguments.extend(["--set-string".to_owned(), format!("{key}.{part}={value}")]);
        }
    }
    Ok(arguments)
}

/// The workspace's root.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

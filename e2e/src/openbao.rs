//! A real OpenBao in a pod, which knows the operator by Kubernetes: it shows the tokens that it is shown to the API server (TokenReview).

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    Cluster, PATIENCE, house,
    pki::{Authority, Subject},
    run, until,
};

/// Name of its Deployment, Service and service account.
const NAME: &str = "openbao";
/// The role under which the operator logs in.
const ROLE: &str = "postern";

/// A running server, unsealed, with a KV engine of version 2 at `secret`. What it keeps is gone with its pod.
///
/// What belongs to it and is not in its namespace has that namespace's labels, and goes with it.
#[derive(Debug, Clone)]
pub struct OpenBao {
    cluster: Cluster,
    namespace: String,
    image: String,
    /// The namespace, as its dependents name it.
    owner: Value,
    labels: Value,
    /// The authority that signed its certificate, as PEM.
    authority: String,
}

impl OpenBao {
    /// Makes its certificate, its rights and its store for the namespaces that `allowed` selects, but does not start it.
    ///
    /// `namespace` exists; the store has its name, and so has the ConfigMap in the operator's namespace with the authority to trust.
    pub fn prepare(
        cluster: &Cluster,
        namespace: &str,
        image: &str,
        allowed: &Value,
    ) -> Result<Self> {
        let found = cluster.kubectl(["get", "namespace", namespace, "--output=json"])?;
        let found: Value = serde_json::from_str(&found).context("reading a namespace")?;
        let owner = json!({
            "apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": found["metadata"]["uid"],
        });
        let mut labels = found["metadata"]["labels"].clone();
        if let Some(labels) = labels.as_object_mut() {
            labels.retain(|name, _| !name.contains("kubernetes.io/"));
        }
        let authority = Authority::new("openbao-ca")?;
        let bao = Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            image: image.to_owned(),
            owner,
            labels,
            authority: authority.certificate(),
        };
        let host = format!("{NAME}.{namespace}.svc");
        let identity = authority.issue(&Subject {
            name: NAME,
            group: None,
            hosts: &[&host, "127.0.0.1"],
        })?;
        bao.apply(&[
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "openbao-tls", "namespace": namespace},
                "stringData": {
                    "ca.crt": bao.authority, "tls.crt": identity.certificate, "tls.key": identity.key,
                },
            }),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": bao.elsewhere(namespace, Some(house::NAMESPACE)),
                "data": {"ca.crt": bao.authority},
            }),
            // The right to ask the API server about tokens: https://openbao.org/docs/auth/kubernetes/
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": bao.elsewhere(&format!("{namespace}-{NAME}"), None),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
                "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
            }),
        ])?;
        bao.store(namespace, ROLE, allowed)?;
        Ok(bao)
    }

    /// As [`OpenBao::prepare`], and starts it.
    pub fn start(cluster: &Cluster, namespace: &str, image: &str, allowed: &Value) -> Result<Self> {
        let bao = Self::prepare(cluster, namespace, image, allowed)?;
        bao.run_server()?;
        Ok(bao)
    }

    /// Starts its pod, opens it, and lets the operator read what is below `secret/ai`.
    pub fn run_server(&self) -> Result<()> {
        let manifest = include_str!("openbao.yaml")
            .replace("IMAGE", &self.image)
            .replace("NAMESPACE", &self.namespace)
            .replace("ADDRESS", &self.address());
        self.cluster.apply(&manifest)?;
        let rollout = ["rollout", "status", "deployment", NAME];
        let place = ["--namespace", &self.namespace, "--timeout=180s"];
        self.cluster.kubectl(rollout.iter().chain(&place))?;

        let made = until("OpenBao", PATIENCE, || {
            self.run("operator init -key-shares=1 -key-threshold=1 -format=json")
        })?;
        let made: Value = serde_json::from_str(&made).context("reading what init prints")?;
        let text = |pointer| {
            let text = made.pointer(pointer).and_then(Value::as_str);
            text.context("what init prints")
        };
        self.run(&format!("operator unseal {}", text("/unseal_keys_b64/0")?))?;
        self.run_with("login -no-print -", text("/root_token")?)?;
        self.run("secrets enable -path=secret -version=2 kv")?;
        self.run("auth enable kubernetes")?;
        // Whom to ask and as whom, it finds in its pod.
        self.run("write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc")?;
        self.reader(&["ai/*"])?;
        self.run(&format!(
            "write auth/kubernetes/role/{ROLE} bound_service_account_names={release}-controller \
             bound_service_account_namespaces={} audience={} token_policies=reader",
            house::NAMESPACE,
            self.address(),
            release = house::RELEASE,
        ))?;
        Ok(())
    }

    /// The address of its Service, which is also the audience of the operator's tokens.
    pub fn address(&self) -> String {
        format!("https://{NAME}.{}.svc:8200", self.namespace)
    }

    /// The authority that signed its certificate, as PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// A store that leads here, for the namespaces that `allowed` selects; the operator logs in under `role`.
    pub fn store(&self, name: &str, role: &str, allowed: &Value) -> Result<()> {
        self.apply(&[json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "CredentialStore",
            "metadata": self.elsewhere(name, None),
            "spec": {
                "vault": {"address": self.address(), "auth": {"kubernetes": {"role": role}}},
                "tls": {"caBundle": {"configMap": {"name": self.namespace, "key": "ca.crt"}}},
                "allowedNamespaces": allowed,
            },
        })])
    }

    /// Lets the operator read these paths of `secret` and no others.
    pub fn reader(&self, paths: &[&str]) -> Result<()> {
        let rules: String = paths
            .iter()
            .map(|path| format!("path \"secret/data/{path}\" {{ capabilities = [\"read\"] }}\n"))
            .collect();
        self.policy(&rules)
    }

    /// What the operator may do, as rules of a policy.
    pub fn policy(&self, rules: &str) -> Result<()> {
        self.run_with("policy write reader -", rules)
    }

    /// Writes `data`, which may be secret, at a path.
    pub fn write(&self, path: &str, data: &Value) -> Result<()> {
        // From its input, so that it is in no list of processes.
        self.run_with(&format!("write {path} -"), &data.to_string())
    }

    /// Keeps `key` as `api_key` of a path of `secret`, as a new version of it.
    pub fn put(&self, path: &str, key: &str) -> Result<()> {
        // As above.
        self.run_with(&format!("kv put -mount=secret {path} api_key=-"), key)
    }

    /// Runs `bao` with these words in its container as its administrator, and returns what it prints.
    pub fn run(&self, words: &str) -> Result<String> {
        run::output(self.command().arg("--").arg("/bao").args(words.split(' ')))
    }

    fn run_with(&self, words: &str, input: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["--stdin", "--", "/bao"]);
        run::output_with(input, command.args(words.split(' '))).map(drop)
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.cluster.kubectl_command();
        command.args(["exec", "deployment/openbao", "--namespace", &self.namespace]);
        command
    }

    /// Applies several objects at once.
    pub fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.cluster.apply(&list.to_string())
    }

    /// The metadata of something outside of its namespace that goes with it.
    pub fn elsewhere(&self, name: &str, namespace: Option<&str>) -> Value {
        let mut metadata =
            json!({"name": name, "labels": self.labels, "ownerReferences": [self.owner]});
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        metadata
    }
}

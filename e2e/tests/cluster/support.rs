//! What the questions have in common: the house, an agent's namespace, its manifests.

use std::sync::OnceLock;

use anyhow::Result;
use postern_e2e::{House, Namespace, Provider, image};
use serde_json::Value;

/// The shared ground, set up once: Postern installed, the provider running, the agents' images on the node.
pub(crate) struct Ground {
    pub(crate) house: House,
    pub(crate) provider: Provider,
    pub(crate) python: String,
    pub(crate) node: String,
}

/// Sets the ground up, or waits until another test has.
pub(crate) fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| set_up().expect("setting up the cluster"))
}

fn set_up() -> Result<Ground> {
    let cache = postern_e2e::Cache::open()?;
    let house = House::ensure()?;
    Ok(Ground {
        provider: house.provider()?,
        python: house.cluster.load(&image::langchain_python(&cache)?)?,
        node: house.cluster.load(&image::langchain_node(&cache)?)?,
        house,
    })
}

/// A namespace with what an agent needs: the provider's authority, two Secrets with their owner's consent, an identity, a policy.
pub(crate) struct Agents {
    pub(crate) namespace: Namespace,
    /// The key of OpenAI; no other test has the same.
    pub(crate) openai: String,
    /// The key of Anthropic.
    pub(crate) anthropic: String,
}

impl Agents {
    /// Makes the namespace and waits until the identity is ready.
    pub(crate) fn create(purpose: &str) -> Result<Self> {
        let ground = ground();
        let namespace = Namespace::create(&ground.house.cluster, purpose)?;
        let name = namespace.name().to_owned();
        let agents = Self {
            openai: format!("sk-live-openai-{name}"),
            anthropic: format!("sk-ant-live-{name}"),
            namespace,
        };
        let authority = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "provider-ca"}, "data": {"ca.crt": ground.provider.ca},
        });
        agents.namespace.apply(&authority.to_string())?;
        agents
            .namespace
            .apply(&secret("openai-key", &agents.openai))?;
        agents
            .namespace
            .apply(&secret("anthropic-key", &agents.anthropic))?;
        agents.namespace.apply(include_str!("agents.yaml"))?;
        agents
            .namespace
            .condition("agentidentity", "support-bot", "Ready", "True")?;
        agents
            .namespace
            .condition("egresspolicy", "support-bot", "Ready", "True")?;
        Ok(agents)
    }

    /// Mounts `e2e/programs/NAME` as /program/NAME in pods that use the ConfigMap `programs`.
    pub(crate) fn programs(&self) -> Result<()> {
        let folder = postern_e2e::house::root().join("e2e/programs");
        self.namespace
            .kubectl([
                "create".into(),
                "configmap".into(),
                "programs".into(),
                format!("--from-file={}", folder.display()),
            ])
            .map(drop)
    }
}

/// A Secret that the identity `support-bot` may use.
pub(crate) fn secret(name: &str, key: &str) -> String {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "annotations": {"postern.dev/allow-identity": "support-bot"}},
        "stringData": {"api-key": key},
    })
    .to_string()
}

/// A pod that asks for the identity `support-bot` and runs `command`.
pub(crate) fn pod(name: &str, image: &str, command: &[&str]) -> Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": {"postern.dev/identity": "support-bot"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "agent", "image": image, "imagePullPolicy": "IfNotPresent", "command": command,
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "programs", "mountPath": "/program"}],
            }],
            "volumes": [{"name": "programs", "configMap": {"name": "programs"}}],
        },
    })
}

/// The same pod without Postern: no annotation, the key in its environment, the provider's authority trusted.
pub(crate) fn direct(mut pod: Value, agents: &Agents) -> Value {
    pod["metadata"]
        .as_object_mut()
        .expect("a pod has metadata")
        .remove("annotations");
    pod["spec"]["containers"][0]["env"] = serde_json::json!([
        {"name": "OPENAI_API_KEY", "value": agents.openai},
        {"name": "ANTHROPIC_API_KEY", "value": agents.anthropic},
        {"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"},
        {"name": "NODE_EXTRA_CA_CERTS", "value": "/ca/ca.crt"},
    ]);
    pod["spec"]["containers"][0]["volumeMounts"]
        .as_array_mut()
        .expect("a list")
        .push(serde_json::json!({"name": "ca", "mountPath": "/ca"}));
    pod["spec"]["volumes"]
        .as_array_mut()
        .expect("a list")
        .push(serde_json::json!({"name": "ca", "configMap": {"name": "provider-ca"}}));
    pod
}

/// Runs a pod to its end and returns its phase and what its container `agent` printed.
pub(crate) fn run_to_end(namespace: &Namespace, pod: &Value) -> Result<(String, String)> {
    let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
    namespace.apply(&pod.to_string())?;
    let phase = namespace.finished(name)?;
    Ok((phase, namespace.logs(name, "agent")?))
}

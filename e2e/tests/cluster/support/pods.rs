//! Pods of agents, and calls from within them.

use anyhow::{Context, Result, ensure};
use postern_crds::names::{ADMIN_PORT, CONTAINER};
use postern_e2e::{Namespace, PATIENCE, run, until};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Agents, Process, create, ground};

/// A container that runs `command` as its user, with `e2e/programs` in `/program`.
pub(crate) fn container(name: &str, image: &str, command: &[&str]) -> Value {
    json!({
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": command,
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "programs", "mountPath": "/program"}],
    })
}

/// A pod that asks for the identity `support-bot` and runs `command` once, in the container `agent`.
pub(crate) fn pod(name: &str, image: &str, command: &[&str]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": {"postern.dev/identity": "support-bot"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container("agent", image, command)],
            "volumes": [{"name": "programs", "configMap": {"name": "programs"}}],
        },
    })
}

/// A pod whose program waits, so that calls can be made from within its container.
pub(crate) fn resting(name: &str) -> Result<Value> {
    let wait = "import signal; signal.pause()";
    Ok(pod(name, &ground()?.python, &["python3", "-c", wait]))
}

/// A Deployment with one such pod.
pub(crate) fn deployment(name: &str, pod: &Value) -> Value {
    let mut template = json!({"metadata": pod["metadata"], "spec": pod["spec"]});
    template["metadata"]["name"] = Value::Null;
    template["metadata"]["labels"] = json!({"app": name});
    template["spec"]["restartPolicy"] = "Always".into();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    })
}

/// The same pod without an annotation of Postern's.
pub(crate) fn without_postern(mut pod: Value) -> Value {
    pod["metadata"]["annotations"] = json!({});
    pod
}

/// The same pod without Postern: the key in its environment, the provider's authority trusted.
pub(crate) fn direct(pod: Value, agents: &Agents) -> Value {
    let mut pod = without_postern(pod);
    let container = &mut pod["spec"]["containers"][0];
    container["env"] = json!([
        {"name": "OPENAI_API_KEY", "value": agents.openai},
        {"name": "ANTHROPIC_API_KEY", "value": agents.anthropic},
        {"name": "SSL_CERT_FILE", "value": "/ca/ca.crt"},
        {"name": "NODE_EXTRA_CA_CERTS", "value": "/ca/ca.crt"},
    ]);
    append(
        &mut container["volumeMounts"],
        json!({"name": "ca", "mountPath": "/ca"}),
    );
    append(
        &mut pod["spec"]["volumes"],
        json!({"name": "ca", "configMap": {"name": "provider-ca"}}),
    );
    pod
}

fn append(list: &mut Value, item: Value) {
    list.as_array_mut().expect("a list").push(item);
}

/// What came of one call by `e2e/programs/call.py`.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Call {
    /// HTTP status; absent where nothing answered.
    pub(crate) status: Option<u16>,
    /// Header `postern-reason`.
    pub(crate) reason: Option<String>,
    /// The answer, or what went wrong.
    pub(crate) body: String,
}

impl Call {
    /// Fails if it was not answered by the provider.
    pub(crate) fn allowed(self) -> Result<Self> {
        ensure!(
            self.status == Some(200) && self.reason.is_none(),
            "{self:?}"
        );
        Ok(self)
    }

    /// Fails if it was not denied for `reason`.
    pub(crate) fn denied(self, reason: &str) -> Result<Self> {
        ensure!(
            self.status == Some(403) && self.reason.as_deref() == Some(reason),
            "{self:?}"
        );
        Ok(self)
    }
}

/// A running agent.
pub(crate) struct Agent<'a> {
    pub(crate) namespace: &'a Namespace,
    /// Name of its pod.
    pub(crate) pod: String,
}

/// A running agent that waits for what it is told.
pub(crate) fn agent<'a>(agents: &'a Agents, name: &str) -> Result<Agent<'a>> {
    create(&agents.namespace, &resting(name)?)?;
    agents.namespace.ready(name)?;
    Ok(Agent::of(&agents.namespace, name))
}

impl<'a> Agent<'a> {
    /// The agent in the pod `name`.
    pub(crate) fn of(namespace: &'a Namespace, name: &str) -> Self {
        Self {
            namespace,
            pod: name.to_owned(),
        }
    }

    /// The agent in the one pod that `app` has when it is ready and none of its predecessors is left.
    pub(crate) fn of_deployment(namespace: &'a Namespace, app: &str) -> Result<Self> {
        let selector = format!("app={app}");
        let name = until(&format!("the pod of {app}"), PATIENCE, || {
            let names = namespace.kubectl([
                "get",
                "pods",
                "--selector",
                &selector,
                "--output",
                "jsonpath={.items[*].metadata.name}",
            ])?;
            ensure!(!names.is_empty() && !names.contains(' '), "pods: {names}");
            Ok(names)
        })?;
        namespace.ready(&name)?;
        Ok(Self {
            namespace,
            pod: name,
        })
    }

    /// Asks the model for an answer, as the policy allows.
    pub(crate) fn ask(&self) -> Result<Call> {
        self.call("/chat/completions", "What is the capital of France?")
    }

    /// Sends `words` to a path below OpenAI's base URL.
    pub(crate) fn call(&self, path: &str, words: &str) -> Result<Call> {
        self.call_by(&["python3", "/program/call.py", path, words])
    }

    /// Asks the model with the placeholder that stands in the variable `name`.
    pub(crate) fn ask_with(&self, name: &str) -> Result<Call> {
        let command = format!(
            "OPENAI_API_KEY=${name} exec python3 /program/call.py /chat/completions Hello?"
        );
        self.call_by(&["sh", "-c", &command])
    }

    fn call_by(&self, command: &[&str]) -> Result<Call> {
        let line = self.run(command, "")?;
        serde_json::from_str(&line).with_context(|| format!("reading the call's line {line}"))
    }

    /// Runs a command in the container `agent`.
    pub(crate) fn run(&self, command: &[&str], input: &str) -> Result<String> {
        let mut exec = self.namespace.kubectl_command();
        exec.args(["exec", &self.pod, "--container", "agent", "--stdin", "--"])
            .args(command);
        run::output_with(input, &mut exec)
    }

    /// How often a container was started again.
    pub(crate) fn restarts(&self, container: &str) -> Result<u64> {
        self.status(container)?["restartCount"]
            .as_u64()
            .context("a number of restarts")
    }

    /// The status of a container, whichever kind it is of.
    pub(crate) fn status(&self, container: &str) -> Result<Value> {
        let pod = self.namespace.get("pod", &self.pod)?;
        ["containerStatuses", "initContainerStatuses"]
            .iter()
            .filter_map(|kind| pod["status"][*kind].as_array())
            .flatten()
            .find(|status| status["name"] == container)
            .cloned()
            .with_context(|| format!("{container} has no status yet"))
    }

    /// The first process of a container, which runs on this machine.
    pub(crate) fn process(&self, container: &str) -> Result<Process> {
        let status = self.status(container)?;
        let id = status["containerID"].as_str().unwrap_or_default();
        let id = id.rsplit('/').next().filter(|id| !id.is_empty());
        Process::first_of(id.context("the container has no id yet")?)
    }

    /// Where the API server passes on the sidecar's metrics.
    pub(crate) fn metrics_path(&self) -> String {
        let (namespace, pod) = (self.namespace.name(), &self.pod);
        format!("/api/v1/namespaces/{namespace}/pods/{pod}:{ADMIN_PORT}/proxy/metrics")
    }

    /// The sidecar's metrics.
    pub(crate) fn metrics(&self) -> Result<String> {
        self.namespace
            .kubectl(["get", "--raw", &self.metrics_path()])
    }

    /// What the sidecar logged of each request, oldest first.
    pub(crate) fn access_log(&self) -> Result<Vec<Value>> {
        let log = self.namespace.logs(&self.pod, CONTAINER)?;
        let lines = log
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("reading {line}")));
        let mut lines: Vec<Value> = lines.collect::<Result<_>>()?;
        lines.retain(|line| line["target"] == "postern::access");
        Ok(lines)
    }
}

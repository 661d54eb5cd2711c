//! Is a pod that can never be right with a sidecar refused, in words that say what is wrong?

use anyhow::Result;
use serde_json::{Value, json};

use crate::support::{Agents, container, ground, resting, talk};

/// How a webhook's refusal begins, in the words of the API server.
const DENIED: &str = r#"admission webhook "inject.postern.dev" denied the request: "#;

/// A pod, changed by `change`.
fn pod(change: impl FnOnce(&mut Value)) -> Result<Value> {
    let mut pod = resting("bot")?;
    change(&mut pod);
    Ok(pod)
}

/// What the webhook says of each pod, in order; nothing is stored.
fn refusals(agents: &Agents, pods: &[Value]) -> Result<Vec<String>> {
    let documents: Vec<String> = pods.iter().map(Value::to_string).collect();
    let mut command = agents.namespace.kubectl_command();
    command.args(["create", "--dry-run=server", "--filename", "-"]);
    let said = talk(&mut command, &documents.join("\n---\n"))?;
    assert_eq!(
        said.stdout, "",
        "a pod was accepted; the others: {}",
        said.stderr
    );
    Ok(said
        .stderr
        .lines()
        .filter_map(|line| line.split_once(DENIED))
        .map(|(_, why)| why.to_owned())
        .collect())
}

#[test]
fn inject_refuses_what_can_never_be_right_and_says_why() -> Result<()> {
    let agents = Agents::create("refuse")?;
    agents
        .namespace
        .kubectl(["create", "serviceaccount", "other"])?;
    let python = &ground()?.python;
    let cases = [
        (
            "service account other may not use AgentIdentity support-bot, which is for default",
            pod(|pod| pod["spec"]["serviceAccountName"] = "other".into())?,
        ),
        (
            "spec.hostNetwork gives every process of the node the way to the sidecar: remove it",
            pod(|pod| pod["spec"]["hostNetwork"] = true.into())?,
        ),
        (
            "spec.hostPID lets the application look into the sidecar's process: remove it",
            pod(|pod| pod["spec"]["hostPID"] = true.into())?,
        ),
        (
            "spec.shareProcessNamespace lets the application look into the sidecar's process: remove it",
            pod(|pod| pod["spec"]["shareProcessNamespace"] = true.into())?,
        ),
        (
            "the pod runs as user 14000, which is the sidecar's: choose another",
            pod(|pod| pod["spec"]["securityContext"]["runAsUser"] = 14000.into())?,
        ),
        (
            "container agent runs as user 14000, which is the sidecar's: choose another",
            pod(|pod| pod["spec"]["containers"][0]["securityContext"]["runAsUser"] = 14000.into())?,
        ),
        (
            "container name postern is the sidecar's: choose another",
            pod(|pod| pod["spec"]["containers"][0]["name"] = "postern".into())?,
        ),
        (
            "init container postern is not what would be injected",
            pod(|pod| {
                pod["spec"]["initContainers"] = json!([container("postern", python, &["true"])]);
            })?,
        ),
        (
            "annotation postern.dev/identiy does not exist: there are postern.dev/identity",
            pod(|pod| {
                pod["metadata"]["annotations"]["postern.dev/identiy"] = "support-bot".into();
            })?,
        ),
        (
            r#"annotation postern.dev/log-level is "loud": use "#,
            pod(|pod| pod["metadata"]["annotations"]["postern.dev/log-level"] = "loud".into())?,
        ),
        (
            r#"annotation postern.dev/cpu is "64": this installation allows "#,
            pod(|pod| pod["metadata"]["annotations"]["postern.dev/cpu"] = "64".into())?,
        ),
        (
            r#"annotation postern.dev/identity names no AgentIdentity of this namespace: "Support Bot" cannot be the name of one"#,
            pod(|pod| {
                pod["metadata"]["annotations"]["postern.dev/identity"] = "Support Bot".into();
            })?,
        ),
        (
            "label postern.dev/identity must name the same AgentIdentity as the annotation",
            pod(|pod| pod["metadata"]["labels"] = json!({"postern.dev/identity": "other"}))?,
        ),
        (
            "volume postern-bundle is not what would be injected: the name is the sidecar's, choose another",
            pod(|pod| pod["spec"]["volumes"][0]["name"] = "postern-bundle".into())?,
        ),
        (
            "postern-support-bot",
            pod(|pod| {
                pod["spec"]["containers"][0]["envFrom"] =
                    json!([{"secretRef": {"name": "postern-support-bot"}}]);
            })?,
        ),
        (
            "postern-support-bot",
            pod(|pod| {
                pod["spec"]["volumes"][0] =
                    json!({"name": "programs", "secret": {"secretName": "postern-support-bot"}});
            })?,
        ),
    ];
    let pods: Vec<Value> = cases.iter().map(|(_, pod)| pod.clone()).collect();
    let refusals = refusals(&agents, &pods)?;
    assert_eq!(refusals.len(), cases.len(), "{refusals:#?}");
    for ((words, _), refusal) in cases.iter().zip(&refusals) {
        assert!(refusal.contains(words), "{words:?} is not in {refusal:?}");
    }
    Ok(())
}

#[test]
fn inject_reports_all_problems_of_a_pod_at_once() -> Result<()> {
    let agents = Agents::create("problems")?;
    let wrong = pod(|pod| {
        pod["metadata"]["annotations"]["postern.dev/image"] = "mine".into();
        pod["spec"]["hostNetwork"] = true.into();
        pod["spec"]["shareProcessNamespace"] = true.into();
        pod["spec"]["securityContext"]["runAsUser"] = 14000.into();
        pod["spec"]["containers"][0]["name"] = "postern".into();
    })?;
    let refusals = refusals(&agents, &[wrong])?;
    let [refusal] = &refusals[..] else {
        panic!("not one refusal: {refusals:#?}");
    };
    for words in [
        "annotation postern.dev/image does not exist",
        "spec.hostNetwork",
        "spec.shareProcessNamespace",
        "the pod runs as user 14000",
        "container name postern is the sidecar's",
    ] {
        assert!(refusal.contains(words), "{words:?} is not in {refusal:?}");
    }
    Ok(())
}

//! Golden patches, and what follows from them.

mod denials;
mod golden;
mod mutated;
mod properties;
mod reinjection;
mod warnings;

use std::sync::Arc;

use clap::Parser;
use kube::core::DeserializeGuard;
use postern_crds::{AgentIdentity, EgressPolicy};
use serde_json::{Value, json};

use super::*;
use crate::sidecar::SidecarArgs;

const NAMESPACE: &str = "agents";

/// The sidecar as these flags have it.
fn template_with(flags: &[&str]) -> SidecarTemplate {
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        sidecar: SidecarArgs,
    }
    let line = ["test", "--sidecar-image=registry.example.com/postern:1"];
    let command = Command::try_parse_from(line.iter().chain(flags)).unwrap();
    SidecarTemplate::new(command.sidecar).unwrap()
}

fn template() -> SidecarTemplate {
    template_with(&[])
}

/// An identity with an OpenAI and an Anthropic credential, for service account `support-bot`.
fn identity() -> AgentIdentity {
    let credential = |name: &str| {
        json!({
            "name": name,
            "provider": name,
            "source": {"secret": {"name": format!("{name}-key"), "key": "api-key"}},
        })
    };
    serde_json::from_value(json!({
        "apiVersion": "postern.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": "support-bot", "namespace": NAMESPACE},
        "spec": {
            "serviceAccountNames": ["support-bot"],
            "credentials": [credential("openai"), credential("anthropic")],
        },
    }))
    .unwrap()
}

fn policy() -> EgressPolicy {
    serde_json::from_value(json!({
        "apiVersion": "postern.dev/v1alpha1",
        "kind": "EgressPolicy",
        "metadata": {"name": "chat", "namespace": NAMESPACE},
        "spec": {
            "targetRefs": [{"kind": "AgentIdentity", "name": "support-bot"}],
            "rules": [{"name": "all", "to": {"credentials": ["*"]}, "action": "Allow"}],
        },
    }))
    .unwrap()
}

fn snapshot_of(identities: impl IntoIterator<Item = AgentIdentity>) -> Snapshot {
    Snapshot::new(
        identities
            .into_iter()
            .map(|identity| Arc::new(DeserializeGuard(Ok(identity))))
            .collect(),
        vec![Arc::new(DeserializeGuard(Ok(policy())))],
    )
}

fn snapshot() -> Snapshot {
    snapshot_of([identity()])
}

/// A pod that asks for `support-bot`, with one container.
fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "annotations": {"postern.dev/identity": "support-bot"}},
        "spec": {
            "serviceAccountName": "support-bot",
            "containers": [{"name": "agent", "image": "registry.example.com/agent:7"}],
        },
    })
}

/// `pod` with `changes` merged into it (RFC 7386).
fn pod_with(changes: &Value) -> Value {
    let mut pod = pod();
    json_patch::merge(&mut pod, changes);
    pod
}

fn admit(pod: &Value) -> Result<Outcome, Denial> {
    inject(pod, NAMESPACE, &snapshot(), &template())
}

fn apply(pod: &Value, outcome: &Outcome) -> Value {
    let mut pod = pod.clone();
    json_patch::patch(&mut pod, &outcome.patch).expect("the patch applies");
    pod
}

/// `pod` after its first admission.
fn injected(pod: &Value) -> Value {
    apply(pod, &admit(pod).expect("the pod is admitted"))
}

//! A cluster with controllers in it, on virtual time.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Parser as _;
use k8s_openapi::jiff::Timestamp;
use postern_operator::{
    admin::Readiness,
    config::{Cli, Role},
    controller,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::api_server::ApiServer;

/// How long a condition may take to come true, on virtual time: more than a Lease's expiry and several refreshes.
const PATIENCE: Duration = Duration::from_secs(180);

/// One running controller.
pub(crate) struct Controller {
    pub(crate) readiness: Readiness,
    registry: Registry,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Controller {
    /// Starts a controller that watches everything.
    pub(crate) fn start(server: &ApiServer, pod: &str) -> Self {
        Self::start_with(server, pod, &[])
    }

    /// Starts a controller with more flags.
    pub(crate) fn start_with(server: &ApiServer, pod: &str, flags: &[&str]) -> Self {
        // Shown with a test that fails.
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_ansi(false)
            .try_init();
        let mut line = vec![
            "postern-operator",
            "controller",
            "--namespace",
            "agents",
            "--pod-name",
            pod,
            "--sidecar-image",
            "postern:test",
        ];
        line.extend(flags);
        let Cli::Run(Role::Controller(args)) = Cli::try_parse_from(line).unwrap() else {
            panic!("the role is controller");
        };
        let mut registry = Registry::with_prefix("postern");
        let metrics = controller::Metrics::register(&mut registry);
        let readiness = Readiness::default();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(controller::run(
            args,
            server.client(),
            metrics,
            readiness.clone(),
            shutdown.clone(),
        ));
        Self {
            readiness,
            registry,
            shutdown,
            task,
        }
    }

    /// Stops it, as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Ends it without a word, as SIGKILL does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// What `/metrics` shows.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    /// Whether it leads.
    pub(crate) fn leads(&self) -> bool {
        self.metrics()
            .lines()
            .any(|line| line == "postern_operator_leader 1")
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Lets `seconds` pass, with all that they bring.
pub(crate) async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// A server with an identity, its Secret and a policy; all of it valid.
pub(crate) fn cluster() -> ApiServer {
    let server = ApiServer::default();
    server.put("secrets", secret("openai-key", "sk-live-1"));
    server.put("agentidentities", identity("support-bot", "openai-key"));
    server.put(
        "egresspolicies",
        policy("chat", "Allow", "/v1/chat/completions"),
    );
    server
}

/// A Secret that consents to its use by `support-bot`.
pub(crate) fn secret(name: &str, value: &str) -> Value {
    json!({
        "metadata": { "name": name, "annotations": { "postern.dev/allow-identity": "support-bot" } },
        "data": { "api-key": BASE64_STANDARD.encode(value) },
    })
}

/// An identity with the credential `openai` from the Secret `source`.
pub(crate) fn identity(name: &str, source: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "serviceAccountNames": ["bot"],
            "credentials": [{ "name": "openai", "provider": "openai", "source": { "secret": { "name": source, "key": "api-key" } } }],
        },
    })
}

/// A policy with one rule on `support-bot`.
pub(crate) fn policy(name: &str, action: &str, path: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "targetRefs": [{ "kind": "AgentIdentity", "name": "support-bot" }],
            "rules": [{ "name": "only", "to": { "credentials": ["openai"] }, "paths": [path], "action": action }],
        },
    })
}

/// A pod as the webhook leaves it.
pub(crate) fn pod(name: &str, template: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": { "postern.dev/identity": "support-bot" },
            "annotations": { "postern.dev/template": template },
        },
    })
}

/// The bundle of `support-bot`; `Null` if there is none.
pub(crate) fn bundle(server: &ApiServer) -> Value {
    let object = server.object("secrets", "postern-support-bot");
    let Some(data) = object["data"]["bundle.json"].as_str() else {
        return Value::Null;
    };
    serde_json::from_slice(&BASE64_STANDARD.decode(data).unwrap()).unwrap()
}

/// The value of the credential `openai` in the bundle.
pub(crate) fn bundled_secret(server: &ApiServer) -> Option<String> {
    let value = bundle(server)["secrets"]["openai"]["value"]
        .as_str()?
        .to_owned();
    Some(String::from_utf8(BASE64_STANDARD.decode(value).unwrap()).unwrap())
}

/// The policies in the bundle, as `name@generation`.
pub(crate) fn bundled_policies(server: &ApiServer) -> Vec<String> {
    let policies = bundle(server)["policies"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    policies
        .iter()
        .map(|policy| {
            format!(
                "{}@{}",
                policy["name"].as_str().unwrap(),
                policy["generation"]
            )
        })
        .collect()
}

/// The condition `kind` of an object, as `True/Reason`; empty if there is none.
pub(crate) fn condition(server: &ApiServer, resource: &str, name: &str, kind: &str) -> String {
    let object = server.object(resource, name);
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = conditions
        .iter()
        .find(|condition| condition["type"] == kind);
    found.map_or(String::new(), |condition| {
        let text = |member: &str| condition[member].as_str().unwrap().to_owned();
        assert!(text("lastTransitionTime").parse::<Timestamp>().is_ok());
        format!("{}/{}", text("status"), text("reason"))
    })
}

/// `Ready` of `support-bot`.
pub(crate) fn ready(server: &ApiServer) -> String {
    condition(server, "agentidentities", "support-bot", "Ready")
}

/// `Ready` of a policy.
pub(crate) fn policy_ready(server: &ApiServer, name: &str) -> String {
    condition(server, "egresspolicies", name, "Ready")
}

/// The reasons of all Events, sorted.
pub(crate) fn events(server: &ApiServer) -> Vec<String> {
    let events = server.objects("events");
    let mut reasons: Vec<String> = events
        .iter()
        .map(|event| event["reason"].as_str().unwrap().to_owned())
        .collect();
    reasons.sort();
    reasons
}

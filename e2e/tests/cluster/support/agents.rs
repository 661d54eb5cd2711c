//! A namespace with all that an agent needs: the provider's authority, Secrets with their owner's consent, an identity, a policy.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use postern_e2e::{Namespace, PATIENCE, house, provider::Received, until};
use serde_json::{Map, Value, json};

use super::{Agent, Turn, ground, random};

/// Longer than all tests take.
pub(crate) const WHOLE_RUN: Duration = Duration::from_secs(3600);

/// The namespace of one test.
pub(crate) struct Agents {
    pub(crate) namespace: Namespace,
    /// The key of OpenAI; no other test has the same.
    pub(crate) openai: String,
    /// The key of Anthropic.
    pub(crate) anthropic: String,
    _turn: Turn,
}

impl Agents {
    /// With the identity and the policy `support-bot` of `agents.yaml`, both ready.
    pub(crate) fn create(purpose: &str) -> Result<Self> {
        Self::settled(purpose, Turn::shared())
    }

    /// As [`Agents::create`], while no other test runs.
    pub(crate) fn create_alone(purpose: &str) -> Result<Self> {
        Self::settled(purpose, Turn::alone())
    }

    fn settled(purpose: &str, turn: Turn) -> Result<Self> {
        let agents = Self::arrive(purpose, turn)?;
        agents.settle()?;
        Ok(agents)
    }

    /// With neither Secret nor identity nor policy.
    pub(crate) fn create_bare(purpose: &str) -> Result<Self> {
        Self::arrive(purpose, Turn::shared())
    }

    /// With neither Secret nor identity nor policy, in the given turn.
    pub(crate) fn arrive(purpose: &str, turn: Turn) -> Result<Self> {
        let ground = ground()?;
        let agents = Self {
            namespace: Namespace::create(&ground.house.cluster, purpose)?,
            openai: format!("sk-live-{}", random()?),
            anthropic: format!("sk-ant-live-{}", random()?),
            _turn: turn,
        };
        agents.apply(&[
            config_map("provider-ca", &json!({"ca.crt": ground.provider.ca})),
            config_map("programs", &programs()?),
        ])?;
        Ok(agents)
    }

    /// Adds Secrets, identity and policy, and waits until they are in force.
    pub(crate) fn settle(&self) -> Result<()> {
        self.apply(&[
            secret("openai-key", &self.openai),
            secret("anthropic-key", &self.anthropic),
        ])?;
        self.namespace.apply(include_str!("agents.yaml"))?;
        self.ready()
    }

    /// Waits until identity and policy are in force.
    pub(crate) fn ready(&self) -> Result<()> {
        for resource in ["agentidentity", "egresspolicy"] {
            self.namespace
                .condition(resource, "support-bot", "Ready", "True")?;
        }
        Ok(())
    }

    /// Applies several objects at once.
    pub(crate) fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.namespace.apply(&list.to_string())
    }

    /// Changes an object by a JSON merge patch.
    pub(crate) fn patch(&self, kind: &str, name: &str, patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        self.namespace
            .kubectl(["patch", kind, name, "--type=merge", "--patch", &patch])
            .map(drop)
    }

    /// Makes the controller read the sources now.
    pub(crate) fn refresh(&self) -> Result<()> {
        let annotation = format!("postern.dev/refresh={}", random()?);
        self.namespace
            .kubectl([
                "annotate",
                "--overwrite",
                "agentidentity",
                "support-bot",
                &annotation,
            ])
            .map(drop)
    }

    /// Waits until Events of the identity say all of `reasons`.
    pub(crate) fn until_told(&self, reasons: &[&str]) -> Result<()> {
        until("Events of the identity", PATIENCE, || {
            let events = self
                .namespace
                .kubectl(["events", "--for=agentidentity/support-bot"])?;
            for reason in reasons {
                ensure!(events.contains(reason), "{reason}: {events}");
            }
            Ok(())
        })
    }

    /// Waits until a call of `agent`, each of which must succeed, arrives with `key`.
    pub(crate) fn until_used(&self, key: &str, agent: &Agent<'_>) -> Result<()> {
        until("a call with the new key", PATIENCE, || {
            agent.ask()?.allowed()?;
            ensure!(
                !self.received(key)?.is_empty(),
                "the old key is still in use"
            );
            Ok(())
        })
    }

    /// The requests that the provider received with `key`, oldest first.
    pub(crate) fn received(&self, key: &str) -> Result<Vec<Received>> {
        let mut received = ground()?.provider.received(WHOLE_RUN)?;
        let bearer = format!("Bearer {key}");
        received.retain(|request| {
            request
                .headers
                .values()
                .any(|value| value == key || *value == bearer)
        });
        Ok(received)
    }
}

/// A Secret that the identity `support-bot` may use.
pub(crate) fn secret(name: &str, key: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "annotations": {"postern.dev/allow-identity": "support-bot"}},
        "stringData": {"api-key": key},
    })
}

/// A ConfigMap.
pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

/// The files of `e2e/programs`, as data of a ConfigMap.
fn programs() -> Result<Value> {
    let folder = house::root().join("e2e/programs");
    let mut files = Map::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?;
        files.insert(
            entry.file_name().to_string_lossy().into_owned(),
            text.into(),
        );
    }
    Ok(Value::Object(files))
}

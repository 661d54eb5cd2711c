//! An agent's namespace whose credential comes from an OpenBao, in a namespace beside it.

use anyhow::{Context, Result};
use postern_crds::agent_identity::AgentIdentityStatus;
use postern_e2e::{Namespace, OpenBao, image};
use serde_json::{Value, json};

use super::{Agents, ground};

/// Agents, and the server that only their namespace may use.
pub(crate) struct Stored {
    pub(crate) agents: Agents,
    pub(crate) bao: OpenBao,
    /// The server's namespace.
    pub(crate) server: Namespace,
    /// Selects the agents' namespace, which alone may use the server.
    pub(crate) allowed: Value,
}

impl Stored {
    /// With a server that runs and has the agents' key of OpenAI.
    pub(crate) fn start(purpose: &str, agents: Agents) -> Result<Self> {
        let stored = Self::prepare(purpose, agents)?;
        stored.run_server()?;
        Ok(stored)
    }

    /// With a server that is to be started.
    pub(crate) fn prepare(purpose: &str, agents: Agents) -> Result<Self> {
        let cluster = &ground()?.house.cluster;
        let server = Namespace::create(cluster, &format!("{purpose}-openbao"))?;
        let image = cluster.load(&image::openbao(cluster.cache())?)?;
        let allowed =
            json!({"matchLabels": {"kubernetes.io/metadata.name": agents.namespace.name()}});
        let bao = OpenBao::prepare(cluster, server.name(), &image, &allowed)?;
        Ok(Self {
            agents,
            bao,
            server,
            allowed,
        })
    }

    /// Starts the server and puts the agents' key of OpenAI into it.
    pub(crate) fn run_server(&self) -> Result<()> {
        self.bao.run_server()?;
        self.put(&self.agents.openai)
    }

    /// Makes `key` the newest version of the one that the identity reads.
    pub(crate) fn put(&self, key: &str) -> Result<()> {
        self.bao.put("ai/openai", key)
    }

    /// Adds identity and policy `support-bot`, for a provider at `host` whose authority is in the ConfigMap `ca`.
    pub(crate) fn settle(&self, host: &str, ca: &str) -> Result<()> {
        self.settle_with(self.server.name(), host, ca)
    }

    /// As [`Stored::settle`], with the key from `ai/openai` of the store of this name.
    pub(crate) fn settle_with(&self, store: &str, host: &str, ca: &str) -> Result<()> {
        let manifest = include_str!("stored.yaml")
            .replace("HOST", host)
            .replace("CA", ca)
            .replace("STORE", store);
        self.agents.namespace.apply(&manifest)
    }

    /// What the identity's status says.
    pub(crate) fn status(&self) -> Result<AgentIdentityStatus> {
        let mut identity = self.agents.namespace.get("agentidentity", "support-bot")?;
        serde_json::from_value(identity["status"].take()).context("reading a status")
    }
}

/// The version of the first credential that the pods receive.
pub(crate) fn version(status: &AgentIdentityStatus) -> Result<&str> {
    let credential = status.credentials.first().context("no credential")?;
    credential.version.as_deref().context("no version")
}

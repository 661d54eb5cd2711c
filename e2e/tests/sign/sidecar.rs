//! The sidecar in this process, with one credential for each way that a program wants to be called in.

use anyhow::{Context as _, Result};
use postern_crds::{Bundle, Secret};
use postern_sidecar::{App, Config, Source};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::Program;

/// A running sidecar, which ends when dropped.
pub(crate) struct Sidecar {
    port: u16,
    _runtime: Runtime,
}

impl Sidecar {
    /// One that leads every credential (name, `inject`, and which member of what the program said is its secret) to `program`, and allows all.
    pub(crate) fn of(program: &Program, credentials: &[(&str, Value, &str)]) -> Result<Self> {
        let host = format!("127.0.0.1:{}", program.port()?);
        let mut specs = Vec::new();
        let mut secrets = serde_json::Map::new();
        let mut authorities = serde_json::Map::new();
        for (name, inject, secret) in credentials {
            specs.push(json!({
                "name": name,
                "http": {"hosts": [host], "inject": inject},
                "tls": {"caBundle": {"configMap": {"name": "ca", "key": "ca.crt"}}},
                "source": {"secret": {"name": "keys", "key": name}},
            }));
            let secret = program.said[*secret].as_str().context("a secret")?;
            let secret = Secret::new(secret.as_bytes().to_vec());
            secrets.insert((*name).into(), json!({"value": secret, "version": "1"}));
            authorities.insert((*name).into(), json!(program.authority));
        }
        let rules = json!([{"name": "all", "to": {"credentials": ["*"]}, "action": "Allow"}]);
        let targets = json!([{"kind": "AgentIdentity", "name": "bot"}]);
        let bundle: Bundle = serde_json::from_value(json!({
            "format": 1,
            "minReader": 1,
            "namespace": "agents",
            "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": specs},
            "policies": [{"name": "all", "spec": {"targetRefs": targets, "rules": rules}}],
            "secrets": secrets,
            "authorities": authorities,
        }))?;
        let runtime = Runtime::new()?;
        let config = Config::on_free_ports(Source::Fixed(Box::new(bundle)));
        let app = runtime.block_on(App::bind(config))?;
        let port = app.addresses().first().context("an address")?.port();
        runtime.spawn(app.run(std::future::pending()));
        Ok(Self {
            port,
            _runtime: runtime,
        })
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

//! The sidecar in this process.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use postern_crds::{Bundle, Secret};
use postern_sidecar::{App, Config, Source};
use serde_json::{Value, json};

/// One that runs, and ends with its runtime.
pub(crate) struct Sidecar {
    /// Where it listens, on the loopback.
    pub(crate) port: u16,
    /// Where it tells its metrics.
    pub(crate) admin: u16,
}

impl Sidecar {
    /// Starts one whose providers are all the upstream at `port`, on the runtime of the caller. `credentials` are names and providers;
    /// all calls are allowed, and the policy `clients` says besides what `more` has.
    pub(crate) async fn start(
        port: u16,
        credentials: &[(&str, &str)],
        more: &Value,
    ) -> Result<Self> {
        let address = format!("http://127.0.0.1:{port}");
        let mut secrets = BTreeMap::new();
        let mut listed = Vec::new();
        for (name, provider) in credentials {
            let path = if *provider == "openai" { "/v1" } else { "" };
            listed.push(json!({
                "name": name,
                "provider": provider,
                "endpoint": format!("{address}{path}"),
                "allowPlaintext": true,
                "source": {"secret": {"name": "keys", "key": name}},
            }));
            let secret = Secret::new(b"sk-of-the-upstream".to_vec());
            secrets.insert(name, json!({"value": secret, "version": "1"}));
        }
        let mut policy = json!({
            "targetRefs": [{"kind": "AgentIdentity", "name": "bot"}],
            "rules": [{"name": "all", "to": {"credentials": ["*"]}, "action": "Allow"}],
        });
        for (member, value) in more.as_object().context("members of a policy")? {
            policy[member] = value.clone();
        }
        let bundle: Bundle = serde_json::from_value(json!({
            "format": 3,
            "minReader": 3,
            "namespace": "agents",
            "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": listed},
            "policies": [{"name": "clients", "spec": policy}],
            "secrets": secrets,
        }))?;
        let app = App::bind(Config::on_free_ports(Source::Fixed(Box::new(bundle)))).await?;
        let port = app.addresses().first().context("an address")?.port();
        let admin = app.admin_address().context("an admin address")?.port();
        tokio::spawn(app.run(std::future::pending()));
        Ok(Self { port, admin })
    }
}

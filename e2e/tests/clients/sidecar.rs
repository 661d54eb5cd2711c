//! The sidecar in this process, with masks in force.

use anyhow::{Context as _, Result};
use postern_crds::{Bundle, Secret};
use postern_sidecar::{App, Config, Source};
use serde_json::json;

/// Starts one whose providers are the upstream at `port`, on the runtime of the caller. Returns where it listens.
pub(crate) async fn start(port: u16) -> Result<u16> {
    let address = format!("http://127.0.0.1:{port}");
    let credential = |name: &str, endpoint: String| {
        json!({
            "name": name,
            "provider": name,
            "endpoint": endpoint,
            "allowPlaintext": true,
            "source": {"secret": {"name": "keys", "key": name}},
        })
    };
    let secret = json!({"value": Secret::new(b"sk-of-the-upstream".to_vec()), "version": "1"});
    let policy = json!({
        "targetRefs": [{"kind": "AgentIdentity", "name": "bot"}],
        "rules": [{"name": "all", "to": {"credentials": ["*"]}, "action": "Allow"}],
        "response": {"mask": {
            "detectors": ["EMAIL", "CREDIT_CARD", "IBAN", "PHONE", "US_SSN", "JWT", "PRIVATE_KEY"],
            "patterns": [{"name": "CASE_ID", "regex": "CASE-[0-9]{4,8}"}],
        }},
    });
    let bundle: Bundle = serde_json::from_value(json!({
        "format": 3,
        "minReader": 3,
        "namespace": "agents",
        "identity": "bot",
        "spec": {
            "serviceAccountNames": ["bot"],
            "credentials": [
                credential("openai", format!("{address}/v1")),
                credential("anthropic", address),
            ],
        },
        "policies": [{"name": "masks", "spec": policy}],
        "secrets": {"openai": secret, "anthropic": secret},
    }))?;
    let app = App::bind(Config::on_free_ports(Source::Fixed(Box::new(bundle)))).await?;
    let port = app.addresses().first().context("an address")?.port();
    tokio::spawn(app.run(std::future::pending()));
    Ok(port)
}

//! A sidecar, and the identity that it serves.

use std::net::SocketAddr;

use postern_crds::{Bundle, placeholder};
use postern_sidecar::{App, Config, Source};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{Answer, Client, Protocol, Upstream};

/// The key that the `openai` credential of a test holds, unless it says otherwise.
pub(crate) const KEY: &str = "sk-real-key-of-the-test";

/// What a bundle is made of.
#[derive(Clone)]
pub(crate) struct Identity {
    credentials: Vec<Value>,
    rules: Vec<Value>,
    /// More members of the policy's spec.
    members: serde_json::Map<String, Value>,
    /// The spec of a second policy.
    trial: Option<Value>,
    secrets: serde_json::Map<String, Value>,
    authorities: serde_json::Map<String, Value>,
}

impl Identity {
    /// No credential and no rule.
    pub(crate) fn new() -> Self {
        Self {
            credentials: Vec::new(),
            rules: Vec::new(),
            members: serde_json::Map::new(),
            trial: None,
            secrets: serde_json::Map::new(),
            authorities: serde_json::Map::new(),
        }
    }

    /// One credential `openai` at `upstream`, and a rule that allows everything with it.
    pub(crate) fn openai_at(upstream: &Upstream) -> Self {
        Self::new()
            .credential("openai", "openai", upstream, KEY)
            .allowing_all()
    }

    /// A credential of `provider` at `upstream`.
    pub(crate) fn credential(
        self,
        name: &str,
        provider: &str,
        upstream: &Upstream,
        key: &str,
    ) -> Self {
        let path = if provider == "openai" { "/v1" } else { "" };
        let endpoint = format!("{}{path}", upstream.endpoint());
        self.at(name, provider, upstream, &endpoint, key)
    }

    /// A credential of `provider` at `endpoint`, with the authority of `upstream`.
    pub(crate) fn at(
        mut self,
        name: &str,
        provider: &str,
        upstream: &Upstream,
        endpoint: &str,
        key: &str,
    ) -> Self {
        let mut credential = json!({
            "name": name,
            "provider": provider,
            "endpoint": endpoint,
            "source": {"secret": {"name": "keys", "key": name}},
        });
        if upstream.protocol == Protocol::Plaintext {
            credential["allowPlaintext"] = json!(true);
        } else {
            credential["tls"] = json!({"caBundle": {"configMap": {"name": "ca", "key": "ca.crt"}}});
            self = self.authority(name, &upstream.authority.pem());
        }
        self.credentials.push(credential);
        self.secret(name, key)
    }

    /// Puts the secret of `credential` into requests by `inject`, and not as its provider has it.
    pub(crate) fn overriding(mut self, credential: &str, inject: &Value) -> Self {
        for entry in &mut self.credentials {
            if entry["name"] == credential {
                entry["inject"] = inject.clone();
            }
        }
        self
    }

    /// A credential of a service that the registry does not know.
    pub(crate) fn http(self, name: &str, host: &str, header: &str, key: &str) -> Self {
        self.http_by(name, host, &json!({"header": {"name": header}}), key)
    }

    /// A credential of a service at `upstream` that the registry does not know, put into requests by `inject`.
    pub(crate) fn injected(
        self,
        name: &str,
        upstream: &Upstream,
        inject: &Value,
        key: &str,
    ) -> Self {
        self.http_by(name, &upstream.address.to_string(), inject, key)
            .authority(name, &upstream.authority.pem())
    }

    fn http_by(mut self, name: &str, host: &str, inject: &Value, key: &str) -> Self {
        self.credentials.push(json!({
            "name": name,
            "http": {"hosts": [host], "inject": inject},
            "source": {"secret": {"name": "keys", "key": name}},
        }));
        self.secret(name, key)
    }

    /// Trusts `pem` for `credential`, which asks for an authority of its own.
    pub(crate) fn authority(mut self, credential: &str, pem: &str) -> Self {
        self.authorities.insert(credential.into(), json!(pem));
        for entry in &mut self.credentials {
            if entry["name"] == credential {
                entry["tls"] = json!({"caBundle": {"configMap": {"name": "ca", "key": "ca.crt"}}});
            }
        }
        self
    }

    /// The secret of `credential`.
    pub(crate) fn secret(mut self, credential: &str, key: &str) -> Self {
        let bytes = postern_crds::Secret::new(key.as_bytes().to_vec());
        let value = serde_json::to_value(bytes).unwrap();
        self.secrets.insert(
            credential.into(),
            json!({"value": value, "version": format!("keys/{}", key.len())}),
        );
        self
    }

    /// Takes what `credential` needs away.
    pub(crate) fn without_secret(mut self, credential: &str) -> Self {
        self.secrets.remove(credential);
        self
    }

    /// Takes its authority away, though it asks for one.
    pub(crate) fn without_authority(mut self, credential: &str) -> Self {
        self.authorities.remove(credential);
        self
    }

    /// A rule for all credentials, methods and paths.
    pub(crate) fn allowing_all(self) -> Self {
        self.rule(json!({"name": "all", "to": {"credentials": ["*"]}, "action": "Allow"}))
    }

    /// One more rule.
    pub(crate) fn rule(mut self, rule: Value) -> Self {
        self.rules.push(rule);
        self
    }

    /// One more member of the policy's spec, beside its targets and rules.
    pub(crate) fn member(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.into(), value);
        self
    }

    /// A second policy, `trial`, which observes beside the first; `spec` is its rules and limits.
    pub(crate) fn trial(mut self, mut spec: Value) -> Self {
        spec["targetRefs"] = json!([{"kind": "AgentIdentity", "name": "bot"}]);
        spec["mode"] = json!("Observe");
        self.trial = Some(spec);
        self
    }

    /// The bundle's document.
    pub(crate) fn document(&self) -> Value {
        let mut spec = self.members.clone();
        spec.insert(
            "targetRefs".into(),
            json!([{"kind": "AgentIdentity", "name": "bot"}]),
        );
        spec.insert("rules".into(), json!(self.rules));
        let trial = self.trial.as_ref();
        let policies: Vec<Value> = std::iter::once(json!({"name": "egress", "spec": spec}))
            .chain(trial.map(|spec| json!({"name": "trial", "spec": spec})))
            .collect();
        json!({
            "format": 1,
            "minReader": 1,
            "namespace": "agents",
            "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": self.credentials},
            "policies": policies,
            "secrets": self.secrets,
            "authorities": self.authorities,
        })
    }

    /// The bundle.
    pub(crate) fn bundle(&self) -> Bundle {
        serde_json::from_value(self.document()).unwrap()
    }

    /// The placeholder that the application holds for `credential`, an OpenAI one.
    pub(crate) fn placeholder(credential: &str) -> String {
        let provider = postern_crds::provider::find("openai").unwrap();
        placeholder::render(&provider.placeholder, "agents", "bot", credential)
    }

    /// Serves this identity.
    pub(crate) async fn serve(&self) -> Sidecar {
        Sidecar::with(Config::on_free_ports(Source::Fixed(Box::new(
            self.bundle(),
        ))))
        .await
    }
}

/// A running sidecar. Dropping it stops it.
pub(crate) struct Sidecar {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Sidecar {
    /// One whose credential `openai` leads, in plain text, to whatever listens at `address`; every call is allowed.
    pub(crate) async fn to_plaintext(address: SocketAddr) -> Self {
        // Lends its authority only; nothing is sent to it.
        let bystander = Upstream::ok(Protocol::Plaintext).await;
        let endpoint = format!("http://{address}/v1");
        Identity::new()
            .at("openai", "openai", &bystander, &endpoint, "k")
            .allowing_all()
            .serve()
            .await
    }

    /// One with this configuration.
    pub(crate) async fn with(config: Config) -> Self {
        super::log::start();
        let app = App::bind(config).await.unwrap();
        let address = app.addresses()[0];
        let admin = app.admin_address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            admin,
            stop: Some(stop),
            running,
        }
    }

    /// A caller with a connection of its own.
    pub(crate) async fn client(&self) -> Client {
        Client::http1(self.address).await
    }

    /// `GET path`.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.client().await.get(path).await
    }

    /// What the admin listener says to `GET path`.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        Client::http1(self.admin).await.get(path).await
    }

    /// The metrics.
    pub(crate) async fn metrics(&self) -> String {
        self.admin("/metrics").await.text()
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits for its end.
    pub(crate) async fn stopped(self) {
        super::soon("the sidecar stopped", self.running)
            .await
            .unwrap();
    }
}

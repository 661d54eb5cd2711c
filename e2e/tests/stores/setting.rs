//! A cluster with an identity in it, and stores that lead to a real server.

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    api_server::ApiServer,
    bao::Bao,
    cluster::{Controller, cluster, condition},
    jwt::Issuer,
    review::Reviewer,
};

/// A policy that lets somebody read credentials of both engines.
pub(crate) const READER: &str = r#"
path "secret/data/ai/*" { capabilities = ["read"] }
path "kv1/ai/*" { capabilities = ["read"] }
"#;

pub(crate) struct Setting {
    pub(crate) server: ApiServer,
}

impl Setting {
    /// Whose stores trust `authority`.
    pub(crate) fn new(authority: &str) -> Self {
        let setting = Self { server: cluster() };
        setting.trust(authority);
        setting
    }

    /// Puts another authority where the stores look for theirs.
    pub(crate) fn trust(&self, authority: &str) {
        self.server.put(
            "configmaps",
            json!({ "metadata": { "name": "corp-ca" }, "data": { "ca.crt": authority } }),
        );
    }

    /// A store of `kind` for all namespaces.
    pub(crate) fn any_store(&self, name: &str, kind: &str, spec: &Value) {
        let ca = json!({ "configMap": { "name": "corp-ca", "key": "ca.crt" } });
        self.server.put(
            "credentialstores",
            json!({
                "metadata": { "name": name },
                "spec": { kind: spec, "tls": { "caBundle": ca }, "allowedNamespaces": {} },
            }),
        );
    }

    /// An OpenBao for all namespaces.
    pub(crate) fn store(&self, bao: &Bao, name: &str, auth: &Value, engine: &Value) {
        let spec = json!({ "address": bao.address(), "auth": auth, "engine": engine });
        self.any_store(name, "vault", &spec);
    }

    /// A store that reads the KV engine of version 2 as any server that answers with JSON, by a token that `auth` names.
    pub(crate) fn plain_store(&self, bao: &Bao, name: &str, auth: &Value) {
        let spec = json!({
            "url": format!("{}/v1/secret/data/{{path}}", bao.address()),
            "headers": [{ "name": "X-Vault-Token", "secret": auth["token"]["secret"] }],
            "value": "/data/data/{key}",
            "version": "/data/metadata/version",
        });
        self.any_store(name, "http", &spec);
    }

    /// Makes the credential of the identity come from `place`.
    pub(crate) fn identity(&self, place: &Value) {
        self.server
            .edit("agentidentities", "support-bot", |identity| {
                identity["spec"]["credentials"][0]["source"] = json!({ "store": place });
                // Nothing in these tests waits for it.
                identity["spec"]["refreshInterval"] = json!("1h");
            });
    }

    pub(crate) fn controller(&self) -> Controller {
        Controller::start_with(&self.server, "one", &["--service-account", "postern"])
    }

    /// Has the identity's sources read at once.
    pub(crate) fn refresh(&self, value: &str) {
        self.server
            .edit("agentidentities", "support-bot", |identity| {
                identity["metadata"]["annotations"] = json!({ "postern.dev/refresh": value });
            });
    }

    /// Has a store looked at now, and all who read there.
    pub(crate) fn look_at(&self, store: &str) {
        let value = postern_e2e::random().unwrap();
        self.server.edit("credentialstores", store, |store| {
            store["metadata"]["annotations"] = json!({ "postern.dev/refresh": value });
        });
    }

    pub(crate) fn store_ready(&self, name: &str) -> String {
        condition(&self.server, "credentialstores", name, "Ready")
    }

    pub(crate) fn store_message(&self, name: &str) -> String {
        message(&self.server.object("credentialstores", name))
    }

    /// What `Ready` of the identity says.
    pub(crate) fn message(&self) -> String {
        message(&self.server.object("agentidentities", "support-bot"))
    }

    /// Fails if `secret` is in anything that people and metrics see.
    pub(crate) fn nothing_leaked(&self, secret: &str) {
        for resource in ["agentidentities", "credentialstores", "events"] {
            for object in self.server.objects(resource) {
                assert!(!object.to_string().contains(secret), "{object}");
            }
        }
    }

    /// A Secret of the operator's namespace.
    pub(crate) fn secret(&self, name: &str, key: &str, value: &str) {
        let data = json!({ key: BASE64_STANDARD.encode(value) });
        self.server.put(
            "secrets",
            json!({ "metadata": { "name": name }, "data": data }),
        );
    }

    /// Login by a token that the server made.
    pub(crate) fn token(&self, bao: &Bao) -> Result<Value> {
        let token = bao.run("token create -policy=reader -period=1h -field=token")?;
        self.secret("vault-token", "token", &token);
        Ok(json!({ "token": { "secret": { "name": "vault-token", "key": "token" } } }))
    }

    /// Login by a role's id and a secret id.
    pub(crate) fn app_role(&self, bao: &Bao) -> Result<Value> {
        bao.run("auth enable approle")?;
        bao.run("write auth/approle/role/postern token_policies=reader token_ttl=1h")?;
        let id = bao.run("read -field=role_id auth/approle/role/postern/role-id")?;
        let secret = bao.run("write -f -field=secret_id auth/approle/role/postern/secret-id")?;
        self.secret("vault-role", "secret-id", &secret);
        Ok(
            json!({ "appRole": { "roleId": id.trim(), "secretId": { "name": "vault-role", "key": "secret-id" } } }),
        )
    }

    /// Login by a token of the operator's service account, which the server has `reviewer` look at.
    pub(crate) fn kubernetes(&self, bao: &Bao, reviewer: &Reviewer) -> Result<Value> {
        bao.run("auth enable kubernetes")?;
        let host = format!("kubernetes_host={}", reviewer.address());
        // It wants an authority even where it does not speak TLS.
        let authority = format!("kubernetes_ca_cert={}", bao.authority);
        let own = "disable_local_ca_jwt=true";
        let config = [host.as_str(), &authority, "token_reviewer_jwt=a.b.c", own];
        bao.write("auth/kubernetes/config", &config)?;
        let audience = bao.address();
        bao.run(&format!(
            "write auth/kubernetes/role/postern bound_service_account_names=postern bound_service_account_namespaces=agents audience={audience} token_policies=reader"
        ))?;
        Ok(json!({ "kubernetes": { "role": "postern" } }))
    }

    /// Login by a JWT that the server verifies with its issuer's public key.
    pub(crate) fn jwt(&self, bao: &Bao) -> Result<Value> {
        let issuer = Issuer::new()?;
        bao.run("auth enable jwt")?;
        let key = format!("jwt_validation_pubkeys={}", issuer.public_key());
        bao.write("auth/jwt/config", &[&key])?;
        bao.run(
            "write auth/jwt/role/postern role_type=jwt bound_audiences=vault user_claim=sub token_policies=reader",
        )?;
        // Without a start, the server takes one shortly before the end.
        let claims = json!({ "sub": "postern", "aud": "vault", "nbf": 1_700_000_000_u64, "exp": 4_000_000_000_u64 });
        let jwt = issuer.sign(&claims)?;
        self.secret("vault-jwt", "jwt", &jwt);
        Ok(json!({ "jwt": { "role": "postern", "secret": { "name": "vault-jwt", "key": "jwt" } } }))
    }
}

fn message(object: &Value) -> String {
    let message = object["status"]["conditions"][0]["message"].as_str();
    message.unwrap_or_default().to_owned()
}

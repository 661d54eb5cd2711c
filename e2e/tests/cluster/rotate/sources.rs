//! The stores that keep the agents' key in turn: OpenBao as such, the same OpenBao as any server that answers with JSON over HTTPS, and AWS Secrets Manager as
//! ministack plays it, with a login by its STS.

use anyhow::Result;
use postern_e2e::{Namespace, Provider, house};
use serde_json::json;

use crate::support::Stored;

/// Whose path `ai/openai` the identity reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    OpenBao,
    Http,
    Aws,
}

/// Makes the input the value of a secret at ministack, which takes any keys.
const PUT: &str = r#"
import json, sys
import botocore.session
keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
aws = botocore.session.get_session().create_client("secretsmanager", "us-east-1", endpoint_url="http://127.0.0.1:4030", **keys)
value = json.dumps({"api_key": sys.stdin.read()})
try:
    aws.put_secret_value(SecretId="ai/openai", SecretString=value)
except aws.exceptions.ResourceNotFoundException:
    aws.create_secret(Name="ai/openai", SecretString=value)
"#;

impl Source {
    /// The name of its store.
    pub(super) fn store(self, stored: &Stored) -> String {
        let openbao = stored.server.name();
        match self {
            Self::OpenBao => openbao.to_owned(),
            Self::Http => format!("{openbao}-http"),
            Self::Aws => format!("{openbao}-aws"),
        }
    }

    /// Makes `key` the newest value of what the identity reads; ministack is beside the provider.
    pub(super) fn put(self, stored: &Stored, provider: &Namespace, key: &str) -> Result<()> {
        match self {
            Self::OpenBao | Self::Http => stored.put(key),
            Self::Aws => {
                let exec = ["exec", "deployment/provider", "--stdin", "--", "env"];
                let program = ["PYTHONPATH=/app/site-packages", "python3", "-c", PUT];
                let put = exec.iter().chain(&program);
                provider.kubectl_with(key, put).map(drop)
            }
        }
    }
}

/// Where ministack is, which runs beside the provider.
pub(super) fn aws(provider: &Namespace) -> String {
    format!("aws.{}.svc", provider.name())
}

/// Adds the stores beside OpenBao's own, with what the operator needs for them.
pub(super) fn add(stored: &Stored, namespace: &Namespace, provider: &Provider) -> Result<()> {
    namespace.apply(
        &json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "aws"},
            "spec": {"selector": {"app": "provider"}, "ports": [{"port": 443, "targetPort": "https"}]},
        })
        .to_string(),
    )?;
    let bao = &stored.bao;
    let [http, aws_store] = [Source::Http, Source::Aws].map(|source| source.store(stored));
    let token = bao.run("token create -policy=reader -period=1h -field=token")?;
    let own = |name: &str| bao.elsewhere(name, Some(house::NAMESPACE));
    let trust = |name: &str| json!({"caBundle": {"configMap": {"name": name, "key": "ca.crt"}}});
    let endpoint = format!("https://{}", aws(namespace));
    bao.apply(&[
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": own(&http),
            "stringData": {"token": token.trim()},
        }),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": own(&aws_store),
            "data": {"ca.crt": provider.ca},
        }),
        json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "CredentialStore", "metadata": bao.elsewhere(&http, None),
            "spec": {
                "http": {
                    "url": format!("{}/v1/secret/data/{{path}}", bao.address()),
                    "headers": [{"name": "X-Vault-Token", "secret": {"name": http, "key": "token"}}],
                    "value": "/data/data/{key}",
                    "version": "/data/metadata/version",
                },
                "tls": trust(stored.server.name()),
                "allowedNamespaces": stored.allowed,
            },
        }),
        json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "CredentialStore", "metadata": bao.elsewhere(&aws_store, None),
            "spec": {
                "awsSecretsManager": {
                    "region": "us-east-1", "endpoint": endpoint, "stsEndpoint": endpoint,
                    "auth": {"webIdentity": {"roleArn": "arn:aws:iam::000000000000:role/postern"}},
                },
                "tls": trust(&aws_store),
                "allowedNamespaces": stored.allowed,
            },
        }),
    ])
}

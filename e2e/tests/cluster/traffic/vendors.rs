//! Many vendors in one program: their clients find the sidecar, each in its own way, and see what they see without it.

use std::collections::BTreeMap;

use anyhow::Result;
use postern_e2e::provider::Received;
use serde_json::{Value, json};

use super::{both, placeholders};
use crate::support::{Agents, WHOLE_RUN, direct, ground, pod, random, secret};

/// The credentials of `vendors.yaml` whose secret is the very text that a request carries.
const PLAIN: [&str; 5] = ["openai", "gemini", "mistral", "ollama", "chroma"];

/// A key of every credential of `vendors.yaml`. Nobody else has the same, so they tell whose request it was.
struct Keys {
    plain: BTreeMap<&'static str, String>,
    /// As AWS's look: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
    aws_id: String,
    aws_secret: String,
}

impl Keys {
    fn new() -> Result<Self> {
        let plain = PLAIN.map(|vendor| Ok((vendor, format!("sk-live-{}", random()?))));
        Ok(Self {
            plain: plain.into_iter().collect::<Result<_>>()?,
            aws_id: format!("AKIA{}", random()?[..16].to_uppercase()),
            aws_secret: random()?,
        })
    }

    /// Secrets that the identity `vendors` may use.
    fn secrets(&self) -> Vec<Value> {
        let pair = json!({"accessKeyId": self.aws_id, "secretAccessKey": self.aws_secret});
        let plain = self
            .plain
            .iter()
            .map(|(vendor, key)| (*vendor, key.clone()));
        plain
            .chain([("bedrock", pair.to_string())])
            .map(|(vendor, key)| {
                let mut secret = secret(&format!("{vendor}-key"), &key);
                secret["metadata"]["annotations"]["postern.dev/allow-identity"] = "vendors".into();
                secret
            })
            .collect()
    }

    /// What a program that holds them itself has in its environment. `plaintext` is the provider's address without TLS.
    fn environment(&self, plaintext: &str) -> Vec<Value> {
        let ollama = "https://ollama.example.com";
        [
            ("OPENAI_API_KEY", self.plain["openai"].as_str()),
            ("GOOGLE_API_KEY", &self.plain["gemini"]),
            // Mistral's client for Python trusts no authority but those that it brings.
            ("MISTRAL_BASE_URL", &format!("{plaintext}/v1")),
            ("MISTRAL_SERVER_URL", plaintext),
            ("MISTRAL_API_KEY", &self.plain["mistral"]),
            ("OLLAMA_HOST", ollama),
            ("OLLAMA_BASE_URL", ollama),
            ("OLLAMA_API_KEY", &self.plain["ollama"]),
            ("AWS_ACCESS_KEY_ID", &self.aws_id),
            ("AWS_SECRET_ACCESS_KEY", &self.aws_secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_CA_BUNDLE", "/ca/ca.crt"),
            ("CHROMA_URL", "https://chroma.example.com"),
            ("CHROMA_TOKEN", &self.plain["chroma"]),
        ]
        .map(|(name, value)| json!({"name": name, "value": value}))
        .into()
    }

    /// The requests that arrived with them, by credential, each as method and path, oldest first.
    fn requests(&self, arrived: &[Received]) -> BTreeMap<&str, Vec<String>> {
        let plain = self.plain.iter().map(|(vendor, key)| (*vendor, key));
        plain
            .chain([("bedrock", &self.aws_id)])
            .map(|(vendor, key)| {
                let with = |request: &&Received| request.headers.values().any(|v| v.contains(key));
                (vendor, arrived.iter().filter(with).map(line).collect())
            })
            .collect()
    }
}

/// Method and path; a collection's name and id, which are each pod's own, are left out. AWS's clients encode the colon of a model's
/// version, and the sidecar sends every path in its normal form.
fn line(Received { method, path, .. }: &Received) -> String {
    let path = path
        .split_once("/collections/")
        .map_or(path.as_str(), |(before, _)| before);
    format!("{method} {}", path.replace("%3A", ":"))
}

/// Runs a program straight at all vendors with keys of its own, and through the sidecar without any.
///
/// As [`both`] says; and both must have called `called` and nobody else, by the same requests in the same order.
fn same_result(
    purpose: &str,
    image: &str,
    command: &[&str],
    calls: usize,
    failing: &[&str],
    called: &[&str],
) -> Result<()> {
    let agents = Agents::create_bare(purpose)?;
    let (own, held) = (Keys::new()?, Keys::new()?);
    agents.apply(&held.secrets())?;
    agents
        .namespace
        .apply(include_str!("../support/vendors.yaml"))?;
    for resource in ["agentidentity", "egresspolicy"] {
        agents
            .namespace
            .condition(resource, "vendors", "Ready", "True")?;
    }

    let mut straight = direct(pod("direct", image, command), &agents);
    let environment = straight["spec"]["containers"][0]["env"]
        .as_array_mut()
        .expect("a list");
    let is_key = |variable: &Value| {
        let name = variable["name"].as_str();
        name.is_some_and(|name| name.ends_with("_API_KEY"))
    };
    environment.retain(|variable| !is_key(variable));
    environment.extend(own.environment(&format!("http://{}", ground()?.provider.host())));

    let mut through = pod("through", image, command);
    through["metadata"]["annotations"]["postern.dev/identity"] = "vendors".into();
    // The addresses that no client reads from the environment by itself.
    through["spec"]["containers"][0]["env"] = json!([
        {"name": "MISTRAL_SERVER_URL", "value": "http://127.0.0.1:14080/mistral"},
        {"name": "CHROMA_URL", "value": "http://127.0.0.1:14080/chroma"},
        {"name": "CHROMA_TOKEN", "value": "none"},
    ]);
    both(&agents, &straight, &through, calls, failing)?;

    let arrived = ground()?.provider.received(WHOLE_RUN)?;
    let requests = held.requests(&arrived);
    assert_eq!(own.requests(&arrived), requests);
    let met: Vec<&str> = requests
        .iter()
        .filter(|(_, requests)| !requests.is_empty())
        .map(|(vendor, _)| *vendor)
        .collect();
    assert_eq!(met, called, "{requests:#?}");
    assert_eq!(placeholders(&arrived), [""; 0]);
    Ok(())
}

#[test]
fn traffic_of_many_vendors_for_python_is_the_same_through_the_sidecar() -> Result<()> {
    same_result(
        "vendors-python",
        &ground()?.python,
        &["python3", "-W", "ignore", "/program/vendors.py"],
        39,
        &["responses.busy", "gemini.busy", "ollama.busy"],
        &["bedrock", "chroma", "gemini", "mistral", "ollama", "openai"],
    )
}

#[test]
fn traffic_of_many_vendors_for_javascript_is_the_same_through_the_sidecar() -> Result<()> {
    same_result(
        "vendors-javascript",
        &ground()?.node,
        &["node", "--no-warnings", "/program/vendors.mjs"],
        26,
        // aimock streams a tool call of Mistral's in a shape that its client refuses.
        &["mistral.tools.stream"],
        &["bedrock", "chroma", "gemini", "mistral", "ollama", "openai"],
    )
}

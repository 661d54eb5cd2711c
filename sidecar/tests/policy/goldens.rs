//! The golden files say what the proxy does with real requests; the command must say the same of them.

use std::{collections::BTreeMap, fs, path::Path};

use postern_crds::yaml;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::Folder;

/// One file, as far as it is about what the command knows.
#[derive(Deserialize)]
struct Golden {
    credentials: BTreeMap<String, String>,
    rules: Vec<Value>,
    #[serde(default)]
    policy: BTreeMap<String, Value>,
    trial: Option<Value>,
    cases: Vec<Value>,
}

impl Golden {
    /// The identity and its policies.
    fn documents(&self) -> String {
        let credentials: Vec<Value> = self
            .credentials
            .iter()
            .map(|(name, provider)| {
                let source = json!({"secret": {"name": "key", "key": "key"}});
                let endpoint = "https://upstream.example";
                match provider.as_str() {
                    "bedrock" => json!({"name": name, "provider": provider, "endpoint": endpoint, "source": source,
                        "inject": {"awsSigV4": {"service": "bedrock", "region": "eu-central-1"}}}),
                    "http" => json!({"name": name, "http": {"hosts": ["upstream.example"], "inject": {"bearer": {}}}, "source": source}),
                    _ => json!({"name": name, "provider": provider, "endpoint": endpoint, "source": source}),
                }
            })
            .collect();
        let mut spec =
            json!({"targetRefs": [{"kind": "AgentIdentity", "name": "bot"}], "rules": self.rules});
        for (name, value) in &self.policy {
            spec[name] = value.clone();
        }
        let identity = json!({"apiVersion": "postern.dev/v1alpha1", "kind": "AgentIdentity", "metadata": {"name": "bot"},
            "spec": {"serviceAccountNames": ["bot"], "credentials": credentials}});
        let mut policies = vec![policy("egress", &spec)];
        if let Some(trial) = &self.trial {
            let mut trial = trial.clone();
            trial["targetRefs"] = spec["targetRefs"].clone();
            trial["mode"] = json!("Observe");
            policies.push(policy("trial", &trial));
        }
        format!("{identity}\n---\n{}\n", policies.join("\n---\n"))
    }
}

fn policy(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "postern.dev/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": name}, "spec": spec})
        .to_string()
}

/// The case as the command takes it; `None` for one that is about a connection, about bytes that are no text, or about the calls before it and
/// so about limits.
fn told(mut case: Value) -> Option<Value> {
    const OF_MORE_THAN_A_REQUEST: [&str; 3] = ["authority", "onlyHttp1", "after"];
    const OF_LIMITS: [&str; 3] = ["limit_exceeded", "limit_too_small", "price_unknown"];
    let members = case.as_object_mut().unwrap();
    let is_of_bytes = members.get("body").is_some_and(Value::is_object);
    let is_of_limits = ["expect", "observed"].iter().any(|name| {
        let said = members.get(*name).and_then(Value::as_str);
        said.is_some_and(|said| OF_LIMITS.iter().any(|reason| said.starts_with(reason)))
    });
    if is_of_bytes
        || is_of_limits
        || OF_MORE_THAN_A_REQUEST
            .iter()
            .any(|name| members.contains_key(*name))
    {
        return None;
    }
    for of_the_answer in ["chunks", "sent", "observed", "status"] {
        members.remove(of_the_answer);
    }
    if let Some(kind) = members.remove("type") {
        let kind = kind.as_str().filter(|kind| !kind.is_empty())?;
        let line = Value::from(format!("content-type: {kind}"));
        let headers = members.entry("headers").or_insert_with(|| json!([]));
        headers.as_array_mut().unwrap().push(line);
    }
    Some(case)
}

#[test]
fn the_command_says_what_the_proxy_does() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let (mut count, mut faults) = (0, Vec::new());
    for entry in fs::read_dir(directory).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let golden: Golden = yaml::from_str(&text).unwrap();
        let folder = Folder::of(&golden.documents());
        let cases: Vec<Value> = golden.cases.into_iter().filter_map(told).collect();
        if cases.is_empty() {
            continue; // All of them are about bytes.
        }
        count += cases.len();
        let outcome = folder.test(&Value::from(cases).to_string());
        if outcome.code != Some(0) {
            faults.push(outcome.stdout + &outcome.stderr);
        }
    }
    assert!(faults.is_empty(), "{}", faults.concat());
    assert!(count >= 400, "{count}");
}

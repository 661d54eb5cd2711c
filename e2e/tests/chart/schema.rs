//! Does the schema know every value, and refuse the rest in words that help?

use std::fs;

use anyhow::Result;
use postern_crds::yaml;
use serde_json::Value;

use crate::helm::{chart, template};

/// What is asked for, and a part of the refusal.
const REFUSED: &[(&str, &str)] = &[
    (
        "replicas=3",
        "at '': additional properties 'replicas' not allowed",
    ),
    (
        "sidecar.cpuLimt=1",
        "at '/sidecar': additional properties 'cpuLimt' not allowed",
    ),
    (
        "webhook.caBundle=x",
        "at '/webhook': additional properties 'caBundle' not allowed",
    ),
    (
        "webhook.failurePolicy=Ignore",
        "at '/webhook': additional properties 'failurePolicy' not allowed",
    ),
    (
        "controller.resources.request.cpu=1",
        "additional properties 'request' not allowed",
    ),
    (
        "webhook.certificates=cert-manager",
        "at '/webhook/certificates': value must be one of 'self', 'certManager'",
    ),
    (
        "webhook.timeoutSeconds=31",
        "at '/webhook/timeoutSeconds': maximum: got 31, want 30",
    ),
    (
        "delivery.listen=10251",
        "at '/delivery/listen': got number, want string",
    ),
    (
        "delivery.nudge=true",
        "at '/delivery': additional properties 'nudge' not allowed",
    ),
    (
        "webhook.listen=10250",
        "at '/webhook/listen': got number, want string",
    ),
    (
        "webhook.listen=localhost:10250",
        "'localhost:10250' does not match pattern",
    ),
    (
        "webhook.hostNetwork=true",
        "webhook.hostNetwork: on a node, port 10250 is the kubelet's; set webhook.listen",
    ),
    (
        "controller.replicas=two",
        "at '/controller/replicas': got string, want integer",
    ),
    (
        "controller.pdb.maxUnavailable=half",
        "'half' does not match pattern",
    ),
    (
        "image.digest=latest",
        "at '/image/digest': 'latest' does not match pattern",
    ),
    (
        "image.pullPolicy=Sometimes",
        "value must be one of 'Always', 'IfNotPresent', 'Never'",
    ),
    (
        "sidecar.memoryLimit=128MB",
        "at '/sidecar/memoryLimit': '128MB' does not match pattern",
    ),
    (
        "sidecar.logLevel=trace",
        "value must be one of 'error', 'warn', 'info', 'debug'",
    ),
    (
        "securityContext.privileged=true",
        "at '/securityContext/privileged'",
    ),
    (
        "podSecurityContext.runAsUser=0",
        "at '/podSecurityContext/runAsUser': minimum: got 0, want 1",
    ),
    (
        "rbac.watchNamespaces={Agents}",
        "at '/rbac/watchNamespaces/0': 'Agents' does not match pattern",
    ),
    ("rbac.watchNamespaces={a,a}", "items at 0 and 1 are equal"),
    (
        "admissionPolicies.debugger=me",
        "at '/admissionPolicies': additional properties 'debugger' not allowed",
    ),
    (
        "admissionPolicies.debuggers=a' in ['a",
        "at '/admissionPolicies/debuggers': 'a\\' in [\\'a' does not match pattern",
    ),
    (
        "commonLabels.team=a b",
        "at '/commonLabels/team': 'a b' does not match pattern",
    ),
    (
        "tests.namespace=kube-system",
        "tests.namespace: pods of namespace kube-system are never injected; name another",
    ),
    (
        "tests.namespace=b,rbac.watchNamespaces={a}",
        "namespace b is not in rbac.watchNamespaces",
    ),
];

#[test]
fn wrong_values_are_refused_in_words_that_name_them() {
    let mut wrong = Vec::new();
    for (values, part) in REFUSED {
        match template(&["--set", values]) {
            Ok(_) => wrong.push(format!("{values}: accepted")),
            Err(error) if !format!("{error:#}").contains(part) => {
                wrong.push(format!("{values}: {error:#}"));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn schema() -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(
        chart().join("values.schema.json"),
    )?)?)
}

/// Follows `$ref` and the `allOf` that puts a description beside one.
fn resolve<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    if let Some(pointer) = node["$ref"].as_str() {
        let target = root
            .pointer(pointer.trim_start_matches('#'))
            .expect("a definition");
        return resolve(root, target);
    }
    match node["allOf"].get(0) {
        Some(only) => resolve(root, only),
        None => node,
    }
}

#[test]
fn every_object_of_the_schema_is_closed_and_every_property_described() -> Result<()> {
    fn walk(node: &Value, path: &str, wrong: &mut Vec<String>) {
        if let Some(properties) = node["properties"].as_object() {
            if node["additionalProperties"] != false {
                wrong.push(format!("{path}: open"));
            }
            for (name, property) in properties {
                let path = format!("{path}/{name}");
                let plain = path.starts_with("/definitions/seLinuxOptions/");
                if !plain && property["description"].as_str().is_none_or(str::is_empty) {
                    wrong.push(format!("{path}: no description"));
                }
                walk(property, &path, wrong);
            }
        }
        if node.get("items").is_some() {
            walk(&node["items"], &format!("{path}[]"), wrong);
        }
    }
    let schema = schema()?;
    let mut wrong = Vec::new();
    walk(&schema, "", &mut wrong);
    for (name, definition) in schema["definitions"].as_object().expect("definitions") {
        walk(definition, &format!("/definitions/{name}"), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Where the values stop and the words of Kubernetes, which the user may leave out, begin.
const KUBERNETES: [&str; 4] = [
    "/podSecurityContext",
    "/securityContext",
    "/controller/resources",
    "/webhook/resources",
];
/// What only a parent chart sets.
const PARENTS: [&str; 2] = ["/enabled", "/global"];

#[test]
fn schema_and_values_have_the_same_keys() -> Result<()> {
    fn walk(root: &Value, node: &Value, values: &Value, path: &str, wrong: &mut Vec<String>) {
        let node = resolve(root, node);
        let (Some(properties), Some(values)) = (node["properties"].as_object(), values.as_object())
        else {
            return;
        };
        for key in values.keys().filter(|key| !properties.contains_key(*key)) {
            wrong.push(format!("{path}/{key} is not in the schema"));
        }
        for (key, property) in properties {
            let path = format!("{path}/{key}");
            match values.get(key) {
                Some(value) => walk(root, property, value, &path, wrong),
                None if PARENTS.contains(&path.as_str())
                    || KUBERNETES.iter().any(|prefix| path.starts_with(prefix)) => {}
                None if path.starts_with("/webhook/certManager/issuerRef/")
                    || path.starts_with("/controller/affinity/")
                    || path.starts_with("/webhook/affinity/") => {}
                None => wrong.push(format!("{path} is not in values.yaml")),
            }
        }
    }
    let schema = schema()?;
    let values: Value = yaml::from_str(&fs::read_to_string(chart().join("values.yaml"))?)?;
    let mut wrong = Vec::new();
    walk(&schema, &schema, &values, "", &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

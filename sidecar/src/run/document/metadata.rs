//! The metadata of a document.

use std::collections::BTreeMap;

use postern_crds::{Violation, names::is_label};
use serde_json::Value;

use super::Kind;

/// Namespace of what names none, as with kubectl.
const DEFAULT_NAMESPACE: &str = "default";

/// Fields of `ObjectMeta`: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What is read of it.
pub(super) struct Metadata {
    /// The name, if it is a good one.
    pub(super) name: Option<String>,
    /// The namespace.
    pub(super) namespace: String,
    /// The annotations.
    pub(super) annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Reads `metadata` of an object of `kind`.
    pub(super) fn read(
        metadata: Option<Value>,
        kind: Kind,
        violations: &mut Vec<Violation>,
    ) -> Self {
        let mut wrong = |path: &str, message: &str| violations.push(Violation::new(path, message));
        let mut read = Self {
            name: None,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            annotations: BTreeMap::new(),
        };
        let Some(Value::Object(metadata)) = metadata else {
            wrong("metadata", "is missing");
            return read;
        };
        for unknown in metadata
            .keys()
            .filter(|name| !FIELDS.contains(&name.as_str()))
        {
            wrong(&format!("metadata.{unknown}"), "unknown field");
        }
        match metadata.get("name").and_then(Value::as_str) {
            None => wrong("metadata.name", "is missing"),
            Some(name) if kind == Kind::Identity && !is_label(name) => {
                wrong(
                    "metadata.name",
                    "must be 1 to 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit",
                );
            }
            Some(name) if !is_subdomain(name) => wrong(
                "metadata.name",
                "must be 1 to 253 characters of a-z, 0-9, '-' and '.', starting and ending with a letter or digit",
            ),
            Some(name) => read.name = Some(name.to_owned()),
        }
        match metadata.get("namespace") {
            None | Some(Value::Null) => {}
            Some(Value::String(namespace)) if is_label(namespace) => {
                read.namespace.clone_from(namespace);
            }
            Some(_) => wrong(
                "metadata.namespace",
                "must be 1 to 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit",
            ),
        }
        match metadata.get("annotations") {
            None | Some(Value::Null) => {}
            Some(Value::Object(annotations)) => {
                for (key, value) in annotations {
                    match value.as_str() {
                        Some(value) => drop(read.annotations.insert(key.clone(), value.to_owned())),
                        None => wrong(
                            &format!("metadata.annotations[{key:?}]"),
                            "must be a string: put it in quotes",
                        ),
                    }
                }
            }
            Some(_) => wrong("metadata.annotations", "must be an object"),
        }
        read
    }
}

/// Whether `text` is a DNS subdomain as RFC 1123 has it, which is what Kubernetes asks of most names.
fn is_subdomain(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.first().is_some_and(is_alphanumeric)
            && bytes.last().is_some_and(is_alphanumeric)
            && bytes.iter().all(|b| is_alphanumeric(b) || *b == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

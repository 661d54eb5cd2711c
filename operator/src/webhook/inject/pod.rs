//! A pod's JSON, as far as we read it, and the patch operations that we write.

use std::fmt;

use json_patch::{AddOperation, PatchOperation, ReplaceOperation, jsonptr::PointerBuf};
use serde_json::{Map, Value};

use super::outcome::{Problem, Reason};

/// A pod that has the shape of one, wherever we look. Beside what is read here it may hold anything.
#[derive(Debug)]
pub(super) struct Pod<'a> {
    /// All of it.
    pub(super) value: &'a Value,
    metadata: &'a Map<String, Value>,
    /// Its spec.
    pub(super) spec: &'a Map<String, Value>,
    /// Its init containers, native sidecars among them.
    pub(super) init_containers: Vec<Container<'a>>,
    /// Its containers.
    pub(super) containers: Vec<Container<'a>>,
    /// Its volumes.
    pub(super) volumes: Vec<Named<'a>>,
}

/// A container of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container<'a> {
    /// The list it is in: `initContainers` or `containers`.
    pub(super) list: &'static str,
    /// Where in the list.
    pub(super) index: usize,
    /// Its name.
    pub(super) name: &'a str,
    /// All of it.
    pub(super) value: &'a Map<String, Value>,
}

/// An object that has a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// All of it.
    pub(super) value: &'a Map<String, Value>,
}

impl<'a> Pod<'a> {
    /// Looks at a pod.
    pub(super) fn read(value: &'a Value) -> Result<Self, Problem> {
        let metadata =
            object(value, "metadata")?.ok_or_else(|| malformed("metadata", "is absent"))?;
        let spec = object(value, "spec")?.ok_or_else(|| malformed("spec", "is absent"))?;
        for field in ["annotations", "labels"] {
            object(&value["metadata"], field)?;
        }
        Ok(Self {
            value,
            metadata,
            spec,
            init_containers: containers(spec, "initContainers")?,
            containers: containers(spec, "containers")?,
            volumes: named(spec, "volumes")?,
        })
    }

    /// The labels, unless there are none.
    pub(super) fn labels(&self) -> Option<&'a Map<String, Value>> {
        self.metadata.get("labels")?.as_object()
    }

    /// The annotations with their names.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let annotations = self.metadata.get("annotations").and_then(Value::as_object);
        annotations
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The value of one annotation.
    pub(super) fn annotation(&self, name: &str) -> Option<&'a str> {
        self.metadata.get("annotations")?.get(name)?.as_str()
    }

    /// Every container, in the order in which they start.
    pub(super) fn all_containers(&self) -> impl Iterator<Item = Container<'a>> + '_ {
        self.init_containers.iter().chain(&self.containers).copied()
    }
}

impl<'a> Container<'a> {
    /// The elements of one of its lists that have a name.
    pub(super) fn named(&self, list: &str) -> impl Iterator<Item = Named<'a>> {
        items(self.value, list).filter_map(|item| {
            let value = item.as_object()?;
            let name = value.get("name")?.as_str()?;
            Some(Named { name, value })
        })
    }

    /// One field of its `securityContext`.
    pub(super) fn security(&self, field: &str) -> Option<&'a Value> {
        self.value.get("securityContext")?.get(field)
    }

    /// A pointer to something in it.
    pub(super) fn pointer(&self, tokens: &[&str]) -> PointerBuf {
        let index = self.index.to_string();
        let start = ["spec", self.list, &index];
        PointerBuf::from_tokens(start.iter().chain(tokens).copied())
    }
}

impl fmt::Display for Container<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {}", self.name)
    }
}

/// The elements of a list that may be absent.
pub(super) fn items<'a>(
    value: &'a Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'a Value> {
    value
        .get(list)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Sets what is at a path.
pub(super) fn add<'t>(path: impl IntoIterator<Item = &'t str>, value: Value) -> PatchOperation {
    add_at(PointerBuf::from_tokens(path), value)
}

/// Sets what is at a pointer.
pub(super) fn add_at(path: PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path, value })
}

/// Replaces what is at a pointer.
pub(super) fn replace_at(path: PointerBuf, value: Value) -> PatchOperation {
    PatchOperation::Replace(ReplaceOperation { path, value })
}

fn containers<'a>(
    spec: &'a Map<String, Value>,
    list: &'static str,
) -> Result<Vec<Container<'a>>, Problem> {
    let containers = named(spec, list)?;
    let containers = containers.into_iter().enumerate();
    containers
        .map(|(index, Named { name, value })| {
            named(value, "env")?;
            Ok(Container {
                list,
                index,
                name,
                value,
            })
        })
        .collect()
}

/// A list of objects with names; absent and null are empty.
fn named<'a>(
    parent: &'a Map<String, Value>,
    list: &'static str,
) -> Result<Vec<Named<'a>>, Problem> {
    let items = match parent.get(list) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(malformed(list, "is not a list")),
    };
    let read = |item: &'a Value| {
        let value = item.as_object()?;
        let name = value.get("name")?.as_str()?;
        Some(Named { name, value })
    };
    items
        .iter()
        .map(|item| read(item).ok_or_else(|| malformed(list, "holds something without a name")))
        .collect()
}

fn object<'a>(
    parent: &'a Value,
    field: &'static str,
) -> Result<Option<&'a Map<String, Value>>, Problem> {
    match parent.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(malformed(field, "is not an object")),
    }
}

fn malformed(field: &str, what: &str) -> Problem {
    Problem {
        reason: Reason::MalformedPod,
        message: format!("this is not a pod: {field} {what}"),
    }
}

//! Reads one text of a policy folder: the kinds that a run needs, strictly; every other kind of a cluster's files is left out and counted.
//!
//! *Guarantee:* no error quotes a text that stands in the place of a value. A folder holds Secrets, and a key may have been written where it
//! does not belong.

use std::collections::BTreeMap;

use postern_crds::{
    AgentIdentitySpec, EgressPolicySpec, Secret, Violation,
    names::{ALLOW_IDENTITY_ANNOTATION, GROUP, VERSION},
    yaml,
};
use serde_json::{Map, Value};

mod data;
mod metadata;
mod spec;

use metadata::Metadata;

/// What the texts of a folder hold.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// The documents that a run needs, in the order of the files.
    pub(crate) taken: Vec<Document>,
    /// How many documents of each other kind there are, as in `apps/v1 Deployment`.
    pub(crate) ignored: BTreeMap<String, usize>,
}

/// One document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Where it stands and what it is, as in `policy/agent.yaml, document 2, AgentIdentity support-bot`.
    pub(crate) at: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) body: Body,
}

/// What a document holds.
#[derive(Debug)]
pub(crate) enum Body {
    /// An `AgentIdentity`.
    Identity(Box<AgentIdentitySpec>),
    /// An `EgressPolicy`.
    Policy(Box<EgressPolicySpec>),
    /// A `Secret`.
    Secret(SecretObject),
    /// A `ConfigMap`: its `data`.
    ConfigMap(BTreeMap<String, String>),
}

/// A `Secret`.
#[derive(Debug)]
pub(crate) struct SecretObject {
    /// The annotation by which its owner consents to its use.
    pub(crate) consent: Option<String>,
    /// Its `data` and `stringData`.
    pub(crate) data: BTreeMap<String, Secret>,
}

/// The kinds that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Identity,
    Policy,
    Secret,
    ConfigMap,
}

impl Kind {
    /// The kind as it is written.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "AgentIdentity",
            Self::Policy => "EgressPolicy",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// The kind of a document, or that it is none of ours, or why it is wrong.
    ///
    /// Whatever claims to be of our group, or is of a kind that we have, must be right: a misspelt policy must not pass for somebody else's.
    fn of(version: &str, kind: &str) -> Result<Option<Self>, Violation> {
        let ours = format!("{GROUP}/{VERSION}");
        match (version, kind) {
            ("v1", "Secret") => Ok(Some(Self::Secret)),
            ("v1", "ConfigMap") => Ok(Some(Self::ConfigMap)),
            (version, "AgentIdentity") if version == ours => Ok(Some(Self::Identity)),
            (version, "EgressPolicy") if version == ours => Ok(Some(Self::Policy)),
            // Whose it is has no meaning on a laptop: a credential of a store is given with --credential.
            (version, "CredentialStore") if version == ours => Ok(None),
            (_, "AgentIdentity" | "CredentialStore" | "EgressPolicy") => Err(Violation::new(
                "apiVersion",
                format!("this version of postern knows {ours}"),
            )),
            (version, _) if version.split('/').next() == Some(GROUP) => Err(Violation::new(
                "kind",
                format!(
                    "this version of postern knows AgentIdentity, CredentialStore and EgressPolicy of {GROUP}"
                ),
            )),
            _ => Ok(None),
        }
    }

    /// The members that a document of this kind may have.
    fn members(self) -> &'static [&'static str] {
        match self {
            Self::Identity | Self::Policy => &["apiVersion", "kind", "metadata", "spec", "status"],
            Self::Secret => &[
                "apiVersion",
                "kind",
                "metadata",
                "data",
                "stringData",
                "type",
                "immutable",
            ],
            Self::ConfigMap => &[
                "apiVersion",
                "kind",
                "metadata",
                "data",
                "binaryData",
                "immutable",
            ],
        }
    }
}

impl Document {
    /// Its kind.
    pub(crate) fn kind(&self) -> Kind {
        match &self.body {
            Body::Identity(_) => Kind::Identity,
            Body::Policy(_) => Kind::Policy,
            Body::Secret(_) => Kind::Secret,
            Body::ConfigMap(_) => Kind::ConfigMap,
        }
    }
}

impl Documents {
    /// Adds the documents of `text`, which came from `file`.
    ///
    /// # Errors
    /// Every problem of every document.
    pub(crate) fn add(&mut self, file: &str, text: &str) -> Result<(), Vec<Violation>> {
        let documents = yaml::documents(text).map_err(|error| {
            vec![Violation::new(
                format!("{file}:{}:{}", error.line, error.column),
                error.problem,
            )]
        })?;
        let mut violations = Vec::new();
        for (index, value) in documents.into_iter().enumerate() {
            let at = format!("{file}, document {}", index + 1);
            if let Err(found) = self.add_value(&at, value) {
                violations.extend(found);
            }
        }
        if violations.is_empty() {
            Ok(())
        } else {
            Err(violations)
        }
    }

    fn add_value(&mut self, at: &str, value: Value) -> Result<(), Vec<Violation>> {
        let foreign = || {
            vec![Violation::new(
                at,
                "is not a Kubernetes object: it lacks apiVersion or kind",
            )]
        };
        let Value::Object(mut object) = value else {
            return Err(foreign());
        };
        let member = |name| {
            object
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let (Some(version), Some(kind)) = (member("apiVersion"), member("kind")) else {
            return Err(foreign());
        };
        // What `kubectl get -o yaml` writes.
        if (version, kind) == ("v1", "List") {
            let Some(Value::Array(items)) = object.remove("items") else {
                return Err(vec![Violation::new(
                    format!("{at}, List: items"),
                    "must be a list",
                )]);
            };
            let results = items
                .into_iter()
                .enumerate()
                .map(|(index, item)| self.add_value(&format!("{at}, item {}", index + 1), item));
            let violations: Vec<Violation> = results.filter_map(Result::err).flatten().collect();
            return if violations.is_empty() {
                Ok(())
            } else {
                Err(violations)
            };
        }
        match Kind::of(version, kind) {
            Ok(None) => *self.ignored.entry(format!("{version} {kind}")).or_default() += 1,
            Ok(Some(kind)) => self.taken.push(read(at, kind, object)?),
            Err(Violation { path, message }) => {
                return Err(vec![Violation::new(
                    format!("{at}, {kind}: {path}"),
                    message,
                )]);
            }
        }
        Ok(())
    }
}

/// Reads one document of `kind`.
fn read(at: &str, kind: Kind, mut object: Map<String, Value>) -> Result<Document, Vec<Violation>> {
    let mut violations = Vec::new();
    for unknown in object
        .keys()
        .filter(|name| !kind.members().contains(&name.as_str()))
    {
        violations.push(Violation::new(
            unknown,
            format!("unknown field; there are {}", kind.members().join(", ")),
        ));
    }
    let metadata = Metadata::read(object.remove("metadata"), kind, &mut violations);
    let at = format!("{at}, {}", kind.as_str())
        + &metadata
            .name
            .iter()
            .map(|name| format!(" {name}"))
            .collect::<String>();
    let name = metadata.name.as_deref().unwrap_or_default();
    let body = match kind {
        Kind::Identity => {
            spec::identity(&metadata.namespace, name, object.remove("spec")).map(Body::Identity)
        }
        Kind::Policy => {
            spec::policy(object.remove("spec")).map(|spec| Body::Policy(Box::new(spec)))
        }
        Kind::Secret => data::secret(&mut object).map(|data| {
            let consent = metadata.annotations.get(ALLOW_IDENTITY_ANNOTATION).cloned();
            Body::Secret(SecretObject { consent, data })
        }),
        Kind::ConfigMap => data::strings("data", &mut object).map(Body::ConfigMap),
    };
    match (body, metadata.name) {
        (Ok(body), Some(name)) if violations.is_empty() => Ok(Document {
            at,
            namespace: metadata.namespace,
            name,
            body,
        }),
        (body, _) => {
            violations.extend(body.err().unwrap_or_default());
            Err(violations
                .into_iter()
                .map(|Violation { path, message }| Violation::new(format!("{at}: {path}"), message))
                .collect())
        }
    }
}

#[cfg(test)]
mod tests;

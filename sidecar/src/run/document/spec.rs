//! The specs of our own resources: what the schema says of them, and what they mean.

use postern_crds::{AgentIdentitySpec, EgressPolicySpec, Violation, interval, policy, route};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Kind;
use crate::run::schema;

/// The spec of an `AgentIdentity`.
pub(super) fn identity(
    namespace: &str,
    name: &str,
    spec: Option<Value>,
) -> Result<Box<AgentIdentitySpec>, Vec<Violation>> {
    read(Kind::Identity, spec, |spec: &AgentIdentitySpec| {
        let mut found = route::compile(namespace, name, spec)
            .err()
            .unwrap_or_default();
        let durations = [
            ("spec.refreshInterval", &spec.refresh_interval),
            ("spec.maxStaleness", &spec.max_staleness),
        ];
        for (member, text) in durations {
            if text
                .as_deref()
                .is_some_and(|text| interval::parse(text).is_none())
            {
                let message = "use a number and a unit, as in 30s, 5m or 1h";
                found.push(Violation::new(member, message));
            }
        }
        found
    })
    .map(Box::new)
}

/// The spec of an `EgressPolicy`.
pub(super) fn policy(spec: Option<Value>) -> Result<EgressPolicySpec, Vec<Violation>> {
    read(Kind::Policy, spec, |spec| {
        policy::check(spec).err().unwrap_or_default()
    })
}

/// Reads a spec, with every problem that the schema or `compile` sees. Of two about the same place, the one of `compile` knows more.
fn read<T: DeserializeOwned>(
    kind: Kind,
    spec: Option<Value>,
    compile: impl Fn(&T) -> Vec<Violation>,
) -> Result<T, Vec<Violation>> {
    let mut spec = spec.ok_or_else(|| vec![Violation::new("spec", "is missing")])?;
    let by_schema = schema::check(kind.as_str(), &mut spec);
    // The reader's own words are left out, since they may quote a value. What it refuses, the schema refuses.
    let read = serde_json::from_value::<T>(spec)
        .map_err(|_| Violation::new("spec", "has members of the wrong type"));
    let mut found = match &read {
        Ok(read) => compile(read),
        Err(violation) if by_schema.is_empty() => vec![violation.clone()],
        Err(_) => Vec::new(),
    };
    let more: Vec<Violation> = by_schema
        .into_iter()
        .filter(|violation| !found.iter().any(|other| other.path == violation.path))
        .collect();
    found.extend(more);
    match read {
        Ok(read) if found.is_empty() => Ok(read),
        _ => Err(found),
    }
}

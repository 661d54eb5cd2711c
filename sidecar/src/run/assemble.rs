//! Documents, the choice of an identity and the secrets from flags → the bundle that the controller would have written. Pure.

use std::collections::{BTreeMap, BTreeSet};

use postern_crds::{
    AgentIdentitySpec, Bundle, EgressPolicySpec, Route, Violation,
    agent_identity::{Credential, KeyRef},
    bundle::{self, VersionedSecret},
    names::ALLOW_IDENTITY_ANNOTATION,
    policy::{self, NamedPolicy},
    route,
    source::{self, Shape},
};

use super::document::{Body, Document, Kind};

/// A bundle, and what somebody should know of it.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The bundle.
    pub(crate) bundle: Bundle,
    /// Its routes.
    pub(crate) routes: Vec<Route>,
    /// What works otherwise than one may think, and how to mend it. In a cluster these are conditions.
    pub(crate) notes: Vec<String>,
}

/// An identity among the documents.
struct Identity<'a> {
    document: &'a Document,
    spec: &'a AgentIdentitySpec,
}

/// Builds the bundle of the identity called `choice` (`name` or `namespace/name`; needed only where there is more than one). `overrides` are
/// secrets by credential, which stand in place of the documents' ones.
///
/// # Errors
/// Every problem at once.
pub(crate) fn assemble(
    documents: &[Document],
    choice: Option<&str>,
    mut overrides: BTreeMap<String, VersionedSecret>,
) -> Result<Assembled, Vec<Violation>> {
    let mut violations = duplicates(documents);
    let identity = match choose(documents, choice) {
        Ok(identity) => identity,
        Err(violation) => {
            violations.push(violation);
            return Err(violations);
        }
    };
    let Document {
        namespace, name, ..
    } = identity.document;
    for given in overrides.keys() {
        if !identity
            .spec
            .credentials
            .iter()
            .any(|credential| credential.name == *given)
        {
            violations.push(Violation::new(
                format!("--credential {given}"),
                format!(
                    "AgentIdentity {name} has no such credential; it has {}",
                    list(identity.spec.credentials.iter().map(|c| c.name.as_str()))
                ),
            ));
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }

    let routes = route::compile(namespace, name, identity.spec)?;
    let mut notes = Vec::new();
    let policies = policies(documents, &identity, &routes, &mut notes);
    let mut secrets = BTreeMap::new();
    let mut authorities = BTreeMap::new();
    let mut missing = Vec::new();
    for (index, credential) in identity.spec.credentials.iter().enumerate() {
        if let Some(key) = credential
            .tls
            .as_ref()
            .and_then(|tls| tls.ca_bundle.config_map.as_ref())
        {
            match authority(documents, namespace, key) {
                Ok(pem) => {
                    authorities.insert(credential.name.clone(), pem);
                }
                Err(reason) => notes.push(format!(
                    "calls with credential {} are denied: {reason}",
                    credential.name
                )),
            }
        }
        if let Some(given) = overrides.remove(&credential.name) {
            match fitting(&given, credential) {
                Ok(secret) => {
                    secrets.insert(credential.name.clone(), secret);
                }
                Err(violation) => violations.push(violation),
            }
            continue;
        }
        match secret(documents, &identity, credential) {
            Ok(secret) => {
                secrets.insert(credential.name.clone(), secret);
            }
            Err(reason) => missing.push((index, credential, reason)),
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    if secrets.is_empty() {
        let at = &identity.document.at;
        return Err(missing
            .into_iter()
            .map(|(index, _, reason)| {
                Violation::new(format!("{at}: spec.credentials[{index}].source"), reason)
            })
            .collect());
    }
    notes.extend(missing.into_iter().map(|(_, credential, reason)| {
        format!(
            "calls with credential {} are denied: {reason}",
            credential.name
        )
    }));
    Ok(Assembled {
        bundle: bundle(&identity, policies, secrets, authorities),
        routes,
        notes,
    })
}

/// Builds the bundle without secrets and authorities, for those who only ask what would be decided.
///
/// # Errors
/// Every problem at once.
pub(crate) fn assemble_keyless(
    documents: &[Document],
    choice: Option<&str>,
) -> Result<Assembled, Vec<Violation>> {
    let mut violations = duplicates(documents);
    let identity = match choose(documents, choice) {
        Ok(identity) if violations.is_empty() => identity,
        Ok(_) => return Err(violations),
        Err(violation) => {
            violations.push(violation);
            return Err(violations);
        }
    };
    let Document {
        namespace, name, ..
    } = identity.document;
    let routes = route::compile(namespace, name, identity.spec)?;
    let mut notes = Vec::new();
    let policies = policies(documents, &identity, &routes, &mut notes);
    Ok(Assembled {
        bundle: bundle(&identity, policies, BTreeMap::new(), BTreeMap::new()),
        routes,
        notes,
    })
}

fn bundle(
    identity: &Identity<'_>,
    policies: Vec<NamedPolicy>,
    secrets: BTreeMap<String, VersionedSecret>,
    authorities: BTreeMap<String, String>,
) -> Bundle {
    let format = bundle::format(identity.spec, &policies);
    Bundle {
        format,
        min_reader: format,
        namespace: identity.document.namespace.clone(),
        identity: identity.document.name.clone(),
        spec: identity.spec.clone(),
        policies,
        secrets,
        stale: BTreeSet::new(),
        authorities,
        fetch: None,
    }
}

fn duplicates(documents: &[Document]) -> Vec<Violation> {
    let mut seen: BTreeMap<(Kind, &str, &str), &Document> = BTreeMap::new();
    let mut found = Vec::new();
    for document in documents {
        let key = (
            document.kind(),
            document.namespace.as_str(),
            document.name.as_str(),
        );
        match seen.get(&key) {
            Some(earlier) => found.push(Violation::new(
                &document.at,
                format!("stands there twice; the other one is {}", earlier.at),
            )),
            None => {
                seen.insert(key, document);
            }
        }
    }
    found
}

fn choose<'a>(documents: &'a [Document], choice: Option<&str>) -> Result<Identity<'a>, Violation> {
    let identities: Vec<Identity<'a>> = documents
        .iter()
        .filter_map(|document| match &document.body {
            Body::Identity(spec) => Some(Identity { document, spec }),
            Body::Policy(_) | Body::Secret(_) | Body::ConfigMap(_) => None,
        })
        .collect();
    let full_name = |identity: &Identity<'_>| {
        format!("{}/{}", identity.document.namespace, identity.document.name)
    };
    let all = list(
        identities
            .iter()
            .map(full_name)
            .collect::<BTreeSet<_>>()
            .iter()
            .map(String::as_str),
    );
    if identities.is_empty() {
        return Err(Violation::new(
            "-f",
            "no AgentIdentity (postern.dev/v1alpha1) is in these files",
        ));
    }
    let mut meant = identities.into_iter().filter(|identity| {
        choice
            .is_none_or(|choice| choice == identity.document.name || choice == full_name(identity))
    });
    match (meant.next(), meant.next(), choice) {
        (Some(identity), None, _) => Ok(identity),
        (None, ..) => Err(Violation::new(
            format!("--identity {}", choice.unwrap_or_default()),
            format!("there is no such AgentIdentity; there are {all}"),
        )),
        (Some(_), Some(_), None) => Err(Violation::new(
            "--identity",
            format!("say which one: there are {all}"),
        )),
        (Some(_), Some(_), Some(name)) => Err(Violation::new(
            format!("--identity {name}"),
            format!("write it with its namespace: there are {all}"),
        )),
    }
}

/// The policies that target the identity, sorted by name, as the controller puts them into a bundle.
fn policies(
    documents: &[Document],
    identity: &Identity<'_>,
    routes: &[Route],
    notes: &mut Vec<String>,
) -> Vec<NamedPolicy> {
    let Document {
        namespace, name, ..
    } = identity.document;
    let targets =
        |spec: &EgressPolicySpec| spec.target_refs.iter().any(|target| target.name == *name);
    let mut policies = Vec::new();
    for document in documents {
        let Body::Policy(spec) = &document.body else {
            continue;
        };
        if document.namespace != *namespace || !targets(spec) {
            if targets(spec) {
                notes.push(format!("{} is not in namespace {namespace}, so it does not apply to AgentIdentity {name}", document.at));
            }
            continue;
        }
        let misfits = policy::unknown_credentials(spec, identity.spec)
            .into_iter()
            .chain(policy::unreachable_paths(spec, routes));
        notes.extend(misfits.map(|misfit| format!("{}: {misfit}", document.at)));
        policies.push(NamedPolicy {
            name: document.name.clone(),
            generation: 0,
            spec: (**spec).clone(),
        });
    }
    if policies.is_empty() {
        notes.push(format!("every call is denied: no EgressPolicy in namespace {namespace} targets AgentIdentity {name}"));
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies
}

/// What was given for `credential`, as its secret.
fn fitting(given: &VersionedSecret, credential: &Credential) -> Result<VersionedSecret, Violation> {
    let version = given.version.clone();
    match source::secret(given.value.expose(), Shape::of(credential)) {
        Ok(value) => Ok(VersionedSecret { value, version }),
        Err(unfit) => Err(Violation::new(
            format!("--credential {}", credential.name),
            format!("{version} {unfit}"),
        )),
    }
}

/// The secret that the credential's source names, if its owner consents, or what is to be done.
fn secret(
    documents: &[Document],
    identity: &Identity<'_>,
    credential: &Credential,
) -> Result<VersionedSecret, String> {
    let Document {
        namespace,
        name: identity,
        ..
    } = identity.document;
    let otherwise = format!(
        "or give it with --credential {}=env:VARIABLE or =file:PATH",
        credential.name
    );
    let Some(KeyRef { name, key }) = &credential.source.secret else {
        let otherwise = otherwise.trim_start_matches("or ");
        return Err(match &credential.source.store {
            Some(store) => format!(
                "its source is CredentialStore {}, which only a cluster reads; {otherwise}",
                store.name
            ),
            None => format!("its source is none that this version knows; {otherwise}"),
        });
    };
    let found = find(documents, namespace, name, |body| match body {
        Body::Secret(secret) => Some(secret),
        _ => None,
    });
    let (document, secret) = found.map_err(|elsewhere| {
        format!("Secret {name} is not in these files{elsewhere}; add it, {otherwise}")
    })?;
    let at = &document.at;
    if !source::consents(secret.consent.as_deref(), identity) {
        return Err(format!(
            "{at} does not consent to it: add {identity} to its annotation, as in metadata: {{annotations: {{{ALLOW_IDENTITY_ANNOTATION}: {identity}}}}}, \
             which a cluster asks for too, {otherwise}"
        ));
    }
    let value = secret.data.get(key).ok_or_else(|| {
        format!(
            "{at} has no key {key}; it has {}",
            list(secret.data.keys().map(String::as_str))
        )
    })?;
    let value = source::secret(value.expose(), Shape::of(credential))
        .map_err(|unfit| format!("key {key} of {at} {unfit}"))?;
    Ok(VersionedSecret {
        value,
        version: format!("secret/{name}"),
    })
}

/// The certificate authorities that `key` names.
fn authority(
    documents: &[Document],
    namespace: &str,
    KeyRef { name, key }: &KeyRef,
) -> Result<String, String> {
    let found = find(documents, namespace, name, |body| match body {
        Body::ConfigMap(data) => Some(data),
        _ => None,
    });
    let (document, data) =
        found.map_err(|elsewhere| format!("ConfigMap {name} is not in these files{elsewhere}"))?;
    data.get(key).cloned().ok_or_else(|| {
        format!(
            "{} has no key {key}; it has {}",
            document.at,
            list(data.keys().map(String::as_str))
        )
    })
}

/// The object called `name` that `take` takes, or a hint at one of that name in another namespace.
fn find<'a, T>(
    documents: &'a [Document],
    namespace: &str,
    name: &str,
    take: impl Fn(&'a Body) -> Option<&'a T>,
) -> Result<(&'a Document, &'a T), String> {
    let mut elsewhere = String::new();
    for document in documents.iter().filter(|document| document.name == name) {
        let Some(object) = take(&document.body) else {
            continue;
        };
        if document.namespace == namespace {
            return Ok((document, object));
        }
        elsewhere = format!(
            " in namespace {namespace} (it is in {})",
            document.namespace
        );
    }
    Err(elsewhere)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests;

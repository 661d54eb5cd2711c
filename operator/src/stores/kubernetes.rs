//! The store that every cluster has: Secrets and ConfigMaps in the identity's own namespace, read by name.
//!
//! *Architecture invariant: nothing here lists or watches Secrets; the controller's role does not allow it.*

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject};
use kube::{Api, Client, Resource, ResourceExt as _};
use postern_crds::{
    AgentIdentitySpec,
    agent_identity::{Credential, KeyRef},
    bundle::VersionedSecret,
    names::ALLOW_IDENTITY_ANNOTATION,
    source::{self, Shape},
};
use rustls::{
    RootCertStore,
    pki_types::pem::{PemObject as _, SectionKind},
};
use serde::de::DeserializeOwned;

use super::{Failure, Kind, NotAuthorities, Place, Sources};
use crate::kube_error;

/// How many objects of one identity are read at the same time.
const CONCURRENT_READS: usize = 8;

/// An object, or that it does not exist, or why that is unknown.
type Answer<K> = Result<Option<K>, String>;

/// Reads every source in the identity's namespace that `spec` names, each object once.
pub(super) async fn resolve(
    client: &Client,
    namespace: &str,
    identity: &str,
    spec: &AgentIdentitySpec,
) -> Sources {
    let secrets = read::<SecretObject>(
        client,
        namespace,
        spec.credentials.iter().filter_map(secret_source),
    )
    .await;
    let config_maps = read::<ConfigMap>(
        client,
        namespace,
        spec.credentials.iter().filter_map(authority_source),
    )
    .await;
    let place = |kind, key: &KeyRef| {
        Box::new(Place {
            kind,
            namespace: namespace.to_owned(),
            name: key.name.clone(),
            key: key.key.clone(),
        })
    };
    let mut sources = Sources::default();
    for credential in &spec.credentials {
        let secret = match (secret_source(credential), &credential.source.store) {
            (Some(key), None) => found(place(Kind::Secret, key), &secrets)
                .and_then(|(place, object)| secret(place, object, identity, Shape::of(credential))),
            // It is read elsewhere, and replaces this.
            (None, Some(_)) | (None, None) | (Some(_), Some(_)) => Err(Failure::Unsupported),
        };
        sources.secrets.insert(credential.name.clone(), secret);
        if let Some(key) = authority_source(credential) {
            let authority = found(place(Kind::ConfigMap, key), &config_maps)
                .and_then(|(place, object)| authority(place, object));
            sources
                .authorities
                .insert(credential.name.clone(), authority);
        } else if credential.tls.is_some() {
            sources
                .authorities
                .insert(credential.name.clone(), Err(Failure::Unsupported));
        }
    }
    sources
}

fn secret_source(credential: &Credential) -> Option<&KeyRef> {
    credential.source.secret.as_ref()
}

fn authority_source(credential: &Credential) -> Option<&KeyRef> {
    credential.tls.as_ref()?.ca_bundle.config_map.as_ref()
}

async fn read<K>(
    client: &Client,
    namespace: &str,
    keys: impl Iterator<Item = &KeyRef>,
) -> BTreeMap<String, Answer<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let names: BTreeSet<String> = keys.map(|key| key.name.clone()).collect();
    stream::iter(names)
        .map(|name| {
            let api = api.clone();
            async move {
                let answer = api
                    .get_opt(&name)
                    .await
                    .map_err(|error| kube_error::describe(&error));
                (name, answer)
            }
        })
        .buffer_unordered(CONCURRENT_READS)
        .collect()
        .await
}

fn found<K>(
    place: Box<Place>,
    answers: &BTreeMap<String, Answer<K>>,
) -> Result<(Box<Place>, &K), Failure> {
    match answers.get(&place.name) {
        Some(Ok(Some(object))) => Ok((place, object)),
        Some(Ok(None)) => Err(Failure::NotFound(place)),
        Some(Err(detail)) => Err(Failure::Unavailable {
            place,
            detail: detail.clone(),
        }),
        None => Err(Failure::Unavailable {
            place,
            detail: "it was not read".to_owned(),
        }),
    }
}

/// The secret at `place`, if it is of `shape` and `object` consents to its use by `identity`. Consent is looked at first, so that nobody learns without it
/// which keys a Secret has.
fn secret(
    place: Box<Place>,
    object: &SecretObject,
    identity: &str,
    shape: Shape,
) -> Result<VersionedSecret, Failure> {
    let consent = object.annotations().get(ALLOW_IDENTITY_ANNOTATION);
    if !source::consents(consent.map(String::as_str), identity) {
        return Err(Failure::ConsentMissing {
            place,
            identity: identity.to_owned(),
            others: consent.cloned(),
        });
    }
    let Some(value) = object.data.as_ref().and_then(|data| data.get(&place.key)) else {
        let keys = object
            .data
            .iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect();
        return Err(Failure::KeyNotFound { place, keys });
    };
    match source::secret(&value.0, shape) {
        Ok(value) => Ok(VersionedSecret {
            value,
            version: format!("secret/{}", object.resource_version().unwrap_or_default()),
        }),
        Err(problem) => Err(Failure::Unfit { place, problem }),
    }
}

/// The certificate authorities at `place`.
fn authority(place: Box<Place>, object: &ConfigMap) -> Result<String, Failure> {
    let Some(text) = object.data.as_ref().and_then(|data| data.get(&place.key)) else {
        let keys = object
            .data
            .iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect();
        return Err(Failure::KeyNotFound { place, keys });
    };
    match not_authorities(text) {
        None => Ok(text.clone()),
        Some(problem) => Err(Failure::NotAuthorities { place, problem }),
    }
}

pub(super) fn not_authorities(pem: &str) -> Option<NotAuthorities> {
    let mut roots = RootCertStore::empty();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        match section {
            Ok((SectionKind::Certificate, der)) => {
                if roots.add(der.into()).is_err() {
                    return Some(NotAuthorities::BadCertificate);
                }
            }
            Ok(_) => return Some(NotAuthorities::NotOnlyCertificates),
            Err(_) => return Some(NotAuthorities::BadCertificate),
        }
    }
    roots.is_empty().then_some(NotAuthorities::NoCertificate)
}

#[cfg(test)]
mod tests;

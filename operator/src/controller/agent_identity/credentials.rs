//! Which secrets and authorities a bundle gets, from what the sources say now and what they said last.

use std::collections::BTreeMap;

use postern_crds::{
    AgentIdentitySpec, Bundle, agent_identity::Credential, bundle::VersionedSecret,
};

use crate::stores::{Failure, Sources};

/// The secrets of one identity.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// What the bundle gets, by credential.
    pub(super) secrets: BTreeMap<String, VersionedSecret>,
    /// PEM authorities, by credential.
    pub(super) authorities: BTreeMap<String, String>,
    /// What failed.
    pub(super) failures: Vec<FailedSource>,
}

/// A source that gave nothing.
#[derive(Debug)]
pub(super) struct FailedSource {
    /// Why.
    pub(super) failure: Failure,
    /// For a condition: which credential, why, and what follows.
    pub(super) message: String,
}

/// Takes what `sources` say. What a source withdraws is gone at once; what cannot be read keeps its last value, if it is of the same source.
pub(super) fn resolve(
    spec: &AgentIdentitySpec,
    sources: Sources,
    last: Option<&Bundle>,
) -> Resolved {
    let Sources {
        mut secrets,
        origins,
        mut authorities,
        leases: _,
        due: _,
    } = sources;
    let mut resolved = Resolved::default();
    for credential in &spec.credentials {
        let name = &credential.name;
        let last_spec = last.and_then(|bundle| {
            bundle
                .spec
                .credentials
                .iter()
                .find(|before| before.name == *name)
        });

        // A store of the same name may lead elsewhere by now.
        let is_from_here = |secret: &&VersionedSecret| {
            let origin = origins.get(name);
            origin.is_none_or(|origin| secret.version.starts_with(origin))
        };
        let last_secret = last
            .filter(|_| last_spec.is_some_and(|before| before.source == credential.source))
            .and_then(|bundle| bundle.secrets.get(name))
            .filter(is_from_here);
        match secrets.remove(name).unwrap_or(Err(Failure::Unsupported)) {
            Ok(secret) => {
                // Any edit of a Secret gives it a new version. As long as the value is the same, nothing is rotated.
                let same = last_secret
                    .filter(|last| last.value == secret.value)
                    .cloned();
                resolved
                    .secrets
                    .insert(name.clone(), same.unwrap_or(secret));
            }
            Err(failure) => {
                let kept = last_secret.filter(|_| !failure.is_definitive());
                resolved
                    .failures
                    .push(failed(credential, failure, kept.is_some()));
                resolved
                    .secrets
                    .extend(kept.map(|secret| (name.clone(), secret.clone())));
            }
        }

        let last_authority = last
            .filter(|_| last_spec.is_some_and(|before| before.tls == credential.tls))
            .and_then(|bundle| bundle.authorities.get(name));
        match authorities.remove(name) {
            None => {}
            Some(Ok(pem)) => {
                resolved.authorities.insert(name.clone(), pem);
            }
            Some(Err(failure)) => {
                let kept = last_authority.filter(|_| !failure.is_definitive());
                resolved
                    .failures
                    .push(failed(credential, failure, kept.is_some()));
                resolved
                    .authorities
                    .extend(kept.map(|pem| (name.clone(), pem.clone())));
            }
        }
    }
    resolved
}

fn failed(credential: &Credential, failure: Failure, kept: bool) -> FailedSource {
    let consequence = if kept {
        "its last value stays in use"
    } else {
        // Without its own authorities too: those of the public are not taken in their stead.
        "calls with it are denied"
    };
    FailedSource {
        message: format!("credential {}: {failure} ({consequence})", credential.name),
        failure,
    }
}

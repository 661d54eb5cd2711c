//! Which secrets and authorities a bundle gets, from what the sources say now and what they said last.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
    /// The credentials that were not read for too long.
    pub(super) stale: BTreeSet<String>,
    /// When the next one will not have been.
    pub(super) stale_in: Option<Duration>,
    /// What failed.
    pub(super) failures: Vec<FailedSource>,
}

/// How long what cannot be read stays in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience<'a> {
    /// `maxStaleness`, where there is one.
    pub(super) max: Option<Duration>,
    /// Since each source last gave something.
    pub(super) ages: &'a BTreeMap<String, Duration>,
}

/// A source that gave nothing.
#[derive(Debug)]
pub(super) struct FailedSource {
    /// Of which credential.
    pub(super) credential: String,
    /// Why.
    pub(super) failure: Failure,
    /// For a condition: which credential, why, and what follows.
    pub(super) message: String,
    /// It was not read for so long that its last value is out of use.
    pub(super) is_stale: bool,
}

impl FailedSource {
    /// A stable token for conditions and Events.
    pub(super) fn reason(&self) -> &'static str {
        if self.is_stale {
            "SecretStale"
        } else {
            self.failure.reason()
        }
    }
}

/// What follows from a source that gave nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consequence {
    /// The last value stays in use.
    Kept,
    /// There is none, or none that may be used.
    Denied,
    /// It was kept for too long.
    Stale,
}

impl Patience<'_> {
    /// How long the last value of `credential` stays in use; `None` for ever. Nobody knowing when it was read is as good as too long ago.
    fn left(self, credential: &str) -> Option<Duration> {
        let max = self.max?;
        let age = self.ages.get(credential).copied();
        Some(age.map_or(Duration::ZERO, |age| max.saturating_sub(age)))
    }
}

/// Takes what `sources` say. What a source withdraws is gone at once; what cannot be read keeps its last value, if it is of the same source, as long as
/// `patience` lasts.
pub(super) fn resolve(
    spec: &AgentIdentitySpec,
    sources: Sources,
    last: Option<&Bundle>,
    patience: Patience<'_>,
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
                let was_stale = last.is_some_and(|last| last.stale.contains(name))
                    && last_spec.is_some_and(|before| before.source == credential.source);
                let left = patience.left(name);
                let consequence = if failure.is_definitive() {
                    Consequence::Denied
                } else if was_stale || (last_secret.is_some() && left == Some(Duration::ZERO)) {
                    Consequence::Stale
                } else if last_secret.is_some() {
                    Consequence::Kept
                } else {
                    Consequence::Denied
                };
                match consequence {
                    Consequence::Kept => {
                        let kept = last_secret.map(|secret| (name.clone(), secret.clone()));
                        resolved.secrets.extend(kept);
                        let next = resolved.stale_in.into_iter().chain(left).min();
                        resolved.stale_in = next;
                    }
                    Consequence::Stale => {
                        resolved.stale.insert(name.clone());
                    }
                    Consequence::Denied => {}
                }
                resolved
                    .failures
                    .push(failed(spec, credential, failure, consequence));
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
                let consequence = match kept {
                    Some(_) => Consequence::Kept,
                    // Those of the public are not taken in their stead.
                    None => Consequence::Denied,
                };
                resolved
                    .failures
                    .push(failed(spec, credential, failure, consequence));
                resolved
                    .authorities
                    .extend(kept.map(|pem| (name.clone(), pem.clone())));
            }
        }
    }
    resolved
}

fn failed(
    spec: &AgentIdentitySpec,
    credential: &Credential,
    failure: Failure,
    consequence: Consequence,
) -> FailedSource {
    let max = spec.max_staleness.as_deref();
    let follows = match (consequence, max) {
        (Consequence::Kept, None) => "its last value stays in use".to_owned(),
        // Not how long it was so far: a message that changes with time alone would be written again and again.
        (Consequence::Kept, Some(max)) => {
            format!("its last value stays in use, but not for longer than maxStaleness: {max}")
        }
        (Consequence::Denied, _) => "calls with it are denied".to_owned(),
        (Consequence::Stale, max) => {
            let max = max.map(|max| format!(": {max}")).unwrap_or_default();
            format!(
                "for longer than maxStaleness{max}; calls with it are denied until it can be read"
            )
        }
    };
    FailedSource {
        credential: credential.name.clone(),
        message: format!("credential {}: {failure} ({follows})", credential.name),
        is_stale: consequence == Consequence::Stale,
        failure,
    }
}

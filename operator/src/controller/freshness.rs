//! When the source of each credential last gave it, as the leader knows it.
//!
//! Ages are measured with the clock that only goes forward. What an earlier leader knew is taken from the status once, by the clock of the wall.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use postern_crds::{Bundle, agent_identity::CredentialStatus};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::object::IdentityObject;

/// What is known of all identities. A clone is another handle on the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness(Arc<Mutex<HashMap<ObjectRef<IdentityObject>, Identity>>>);

#[derive(Debug, Default)]
struct Identity {
    /// Another identity of the same name is another matter.
    uid: String,
    read: BTreeMap<String, Moment>,
    bundled: BTreeMap<String, Bundled>,
}

/// A credential as it is in the bundle.
#[derive(Debug)]
struct Bundled {
    /// A digest of its version; `None` while it has no secret.
    version: Option<String>,
    is_stale: bool,
}

/// What the metrics say of one credential.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// `namespace/name` of the identity.
    pub(crate) identity: String,
    pub(crate) credential: String,
    /// Since its source last gave it.
    pub(crate) age: Option<Duration>,
    /// A digest of its version.
    pub(crate) version: Option<String>,
    pub(crate) is_stale: bool,
}

/// A moment that lay some time back when it was noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    noted: Instant,
    before: Duration,
}

impl Moment {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self {
            noted: Instant::now(),
            before: Duration::ZERO,
        }
    }

    /// `time`, by the wall's clock, on which it is `now`.
    pub(crate) fn at(time: Timestamp, now: Timestamp) -> Self {
        let before = Duration::try_from(now.duration_since(time)).unwrap_or_default();
        Self {
            noted: Instant::now(),
            before,
        }
    }

    /// How long ago it was.
    pub(crate) fn age(self) -> Duration {
        self.noted.elapsed() + self.before
    }
}

impl Freshness {
    /// The ages of the credentials of an identity after a reading in which the sources of those that `answered` gave something. Of the others, what is not
    /// known yet is taken from what the status `told`.
    pub(crate) fn heard(
        &self,
        key: &ObjectRef<IdentityObject>,
        uid: &str,
        answered: &BTreeSet<String>,
        told: &[CredentialStatus],
        now: Timestamp,
    ) -> BTreeMap<String, Duration> {
        let mut identities = self.lock();
        let identity = identities.entry(key.clone()).or_default();
        if identity.uid != uid {
            *identity = Identity {
                uid: uid.to_owned(),
                ..Identity::default()
            };
        }
        for told in told {
            if let Some(time) = &told.last_refresh {
                let moment = || Moment::at(time.0, now);
                identity
                    .read
                    .entry(told.name.clone())
                    .or_insert_with(moment);
            }
        }
        for name in answered {
            identity.read.insert(name.clone(), Moment::now());
        }
        let ages = identity.read.iter();
        ages.map(|(name, read)| (name.clone(), read.age()))
            .collect()
    }

    /// Notes what of the identity is in its `bundle`, and forgets the credentials that it has no more.
    pub(crate) fn bundled(&self, key: &ObjectRef<IdentityObject>, bundle: &Bundle) {
        let mut identities = self.lock();
        let Some(identity) = identities.get_mut(key) else {
            return;
        };
        let credentials = &bundle.spec.credentials;
        identity
            .read
            .retain(|name, _| credentials.iter().any(|one| one.name == *name));
        let bundled = credentials.iter().map(|credential| {
            let name = &credential.name;
            let secret = bundle.secrets.get(name);
            let version = secret.map(|secret| digest(&identity.uid, name, &secret.version));
            let is_stale = bundle.stale.contains(name);
            (name.clone(), Bundled { version, is_stale })
        });
        identity.bundled = bundled.collect();
    }

    /// The identity is gone.
    pub(crate) fn forget(&self, key: &ObjectRef<IdentityObject>) {
        self.lock().remove(key);
    }

    /// Forgets all: another replica leads.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// What the metrics say, in the order of their labels.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let identities = self.lock();
        let mut shown: Vec<Shown> = identities
            .iter()
            .flat_map(|(key, identity)| {
                let name = format!(
                    "{}/{}",
                    key.namespace.as_deref().unwrap_or_default(),
                    key.name
                );
                let one = move |(credential, bundled): (&String, &Bundled)| Shown {
                    identity: name.clone(),
                    credential: credential.clone(),
                    age: identity.read.get(credential).map(|read| read.age()),
                    version: bundled.version.clone(),
                    is_stale: bundled.is_stale,
                };
                identity.bundled.iter().map(one)
            })
            .collect();
        shown.sort_by(|one, other| {
            (&one.identity, &one.credential).cmp(&(&other.identity, &other.credential))
        });
        shown
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<IdentityObject>, Identity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A short name of a version for a label. Only the version's own name goes into it, nothing of the value; with the identity's UID and the credential's name
/// in it, what two of them have in common does not show.
fn digest(uid: &str, credential: &str, version: &str) -> String {
    let mut digest = Sha256::new();
    for part in [uid, credential, version] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let bytes = digest.finalize();
    bytes
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::controller::fixtures::{IDENTITY, NAMESPACE};

    fn key() -> ObjectRef<IdentityObject> {
        ObjectRef::new(IDENTITY).within(NAMESPACE)
    }

    fn told(second: i64) -> [CredentialStatus; 1] {
        [CredentialStatus {
            name: "openai".to_owned(),
            version: None,
            rotated_at: None,
            last_refresh: Some(Time(Timestamp::from_second(second).unwrap())),
            next_refresh: None,
            message: None,
        }]
    }

    #[tokio::test(start_paused = true)]
    async fn an_age_goes_on_where_an_earlier_leader_left_it() {
        let freshness = Freshness::default();
        let now = Timestamp::from_second(1000).unwrap();
        let age = |answered: &[&str], told: &[CredentialStatus]| {
            let answered = answered.iter().map(|name| (*name).to_owned()).collect();
            let ages = freshness.heard(&key(), "uid-1", &answered, told, now);
            ages.get("openai").map(Duration::as_secs)
        };
        assert_eq!(age(&[], &[]), None);
        assert_eq!(age(&[], &told(900)), Some(100));
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(
            age(&[], &told(400)),
            Some(150),
            "what is known is not unlearnt"
        );
        assert_eq!(age(&["openai"], &[]), Some(0));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(age(&[], &[]), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn an_identity_made_anew_inherits_nothing() {
        let freshness = Freshness::default();
        let now = Timestamp::from_second(1000).unwrap();
        let answered = ["openai".to_owned()].into();
        freshness.heard(&key(), "uid-1", &answered, &[], now);
        let ages = freshness.heard(&key(), "uid-2", &BTreeSet::new(), &[], now);
        assert_eq!(ages, BTreeMap::new());
    }

    #[test]
    fn a_time_to_come_is_now() {
        let now = Timestamp::from_second(1000).unwrap();
        let later = Timestamp::from_second(2000).unwrap();
        assert_eq!(Moment::at(later, now).before, Duration::ZERO);
    }

    #[test]
    fn equal_versions_of_two_identities_do_not_look_alike() {
        let one = digest("uid-1", "openai", "secret/7");
        assert_eq!(one.len(), 8);
        assert_ne!(one, digest("uid-2", "openai", "secret/7"));
        assert_ne!(one, digest("uid-1", "openai", "secret/8"));
    }
}

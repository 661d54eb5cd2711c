//! What the status says of each credential: its version, and when its source last gave it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use postern_crds::{Bundle, agent_identity::CredentialStatus};

use super::credentials::FailedSource;
use crate::{
    controller::conditions::{shorten, whole_seconds},
    stores::Sources,
};

/// How old the time of the last refresh may become before it is written anew: a write for each reading would be most of what the operator writes.
const COARSE: Duration = Duration::from_secs(600);
/// How far from `maxStaleness` an operator that starts again may be, as a part of it: what it knows is what the status says.
const PART_OF_STALENESS: u32 = 4;
/// The longest message of one credential, in bytes; the condition has all of it.
const MAX_MESSAGE: usize = 512;

/// What one reconcile learnt of the sources.
pub(super) struct Learnt<'a> {
    /// The credentials whose sources gave a secret.
    pub(super) answered: &'a BTreeSet<String>,
    /// Since each source last did.
    pub(super) ages: &'a BTreeMap<String, Duration>,
    /// What failed.
    pub(super) failures: &'a [FailedSource],
    /// How often sources are read.
    pub(super) period: Duration,
    /// `maxStaleness`.
    pub(super) max_staleness: Option<Duration>,
    pub(super) now: Timestamp,
}

/// The credentials whose sources gave a secret.
pub(super) fn answered(sources: &Sources) -> BTreeSet<String> {
    let given = sources.secrets.iter().filter(|(_, secret)| secret.is_ok());
    given.map(|(name, _)| name.clone()).collect()
}

/// What the status says of the credentials in `bundle`, after it said `before`.
pub(super) fn credentials(
    before: &[CredentialStatus],
    bundle: Option<&Bundle>,
    learnt: &Learnt<'_>,
) -> Vec<CredentialStatus> {
    let Some(bundle) = bundle else {
        return Vec::new();
    };
    let part = learnt.max_staleness.map(|max| max / PART_OF_STALENESS);
    let coarse = part.map_or(COARSE, |part| part.min(COARSE));
    let one = |name: &String| {
        let told = before.iter().find(|told| told.name == *name);
        let version = bundle
            .secrets
            .get(name)
            .map(|secret| secret.version.clone());
        let is_same = told.is_some_and(|told| told.version == version);
        let rotated_at = match version {
            Some(_) if !is_same => Some(whole_seconds(learnt.now)),
            Some(_) | None => told.and_then(|told| told.rotated_at.clone()),
        };
        let is_failing = !learnt.answered.contains(name);
        let was_failing = told.is_some_and(|told| told.message.is_some());
        let is_recent = |last: &Time| learnt.now.duration_since(last.0).unsigned_abs() < coarse;
        let last = told.and_then(|told| told.last_refresh.clone());
        let last_refresh = last
            .filter(|last| {
                if is_failing {
                    was_failing
                } else {
                    is_same && is_recent(last)
                }
            })
            .or_else(|| {
                learnt
                    .ages
                    .get(name)
                    .map(|age| whole_seconds(learnt.now - *age))
            });
        let messages: Vec<&str> = learnt
            .failures
            .iter()
            .filter(|failed| failed.credential == *name)
            .map(|failed| failed.message.as_str())
            .collect();
        CredentialStatus {
            name: name.clone(),
            version,
            rotated_at,
            next_refresh: last_refresh.as_ref().map(|last| {
                // The jitter of a period is a tenth of it, and a reading takes a moment.
                let within = coarse + learnt.period + learnt.period / 5;
                Time(last.0 + within)
            }),
            last_refresh,
            message: (!messages.is_empty()).then(|| shorten(messages.join("; "), MAX_MESSAGE)),
        }
    };
    bundle
        .spec
        .credentials
        .iter()
        .map(|credential| one(&credential.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        controller::fixtures::{credential, secret},
        stores::Failure,
    };

    fn bundle(version: Option<&str>) -> Bundle {
        let mut bundle: Bundle = serde_json::from_value(json!({
            "format": 1, "minReader": 1, "namespace": "agents", "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": [credential("openai")]}, "policies": [], "secrets": {},
        }))
        .unwrap();
        if let Some(version) = version {
            let secret = secret("sk", version);
            bundle.secrets.insert("openai".to_owned(), secret);
        }
        bundle
    }

    /// What is told at `second` of the version in the bundle, whose source last answered `age` seconds ago; just now, if that is 0.
    fn told(
        before: &[CredentialStatus],
        version: Option<&str>,
        age: u64,
        second: i64,
        max_staleness: Option<u64>,
    ) -> Vec<CredentialStatus> {
        let openai = || "openai".to_owned();
        let failed = FailedSource {
            credential: openai(),
            failure: Failure::StoresOff,
            message: "no".to_owned(),
            is_stale: false,
        };
        let learnt = Learnt {
            answered: &(age == 0).then(openai).into_iter().collect(),
            ages: &[(openai(), Duration::from_secs(age))].into(),
            failures: if age == 0 { &[] } else { &[failed] },
            period: Duration::from_secs(30),
            max_staleness: max_staleness.map(Duration::from_secs),
            now: Timestamp::from_second(second).unwrap(),
        };
        credentials(before, Some(&bundle(version)), &learnt)
    }

    fn refreshed(credentials: &[CredentialStatus]) -> i64 {
        credentials[0].last_refresh.as_ref().unwrap().0.as_second()
    }

    fn rotated(credentials: &[CredentialStatus]) -> i64 {
        credentials[0].rotated_at.as_ref().unwrap().0.as_second()
    }

    #[test]
    fn a_reading_that_changes_nothing_is_told_every_ten_minutes_only() {
        let first = told(&[], Some("secret/1"), 0, 1000, None);
        assert_eq!(refreshed(&first), 1000);
        let next = first[0].next_refresh.as_ref().unwrap();
        assert_eq!(next.0.as_second(), 1636);
        assert_eq!(told(&first, Some("secret/1"), 0, 1599, None), first);
        let later = told(&first, Some("secret/1"), 0, 1600, None);
        assert_eq!((refreshed(&later), rotated(&later)), (1600, 1000));
        let changed = told(&first, Some("secret/2"), 0, 1001, None);
        assert_eq!((refreshed(&changed), rotated(&changed)), (1001, 1001));
    }

    #[test]
    fn a_source_that_does_not_answer_leaves_the_exact_time_when_it_did() {
        let first = told(&[], Some("secret/1"), 0, 1000, None);
        // It went on answering until 1500, which was not told.
        let failing = told(&first, Some("secret/1"), 30, 1530, None);
        assert_eq!(refreshed(&failing), 1500);
        assert_eq!(failing[0].message.as_deref(), Some("no"));
        assert_eq!(told(&failing, Some("secret/1"), 7500, 9000, None), failing);
        let back = told(&failing, Some("secret/1"), 0, 9030, None);
        assert_eq!((refreshed(&back), rotated(&back)), (9030, 1000));
        assert_eq!(back[0].message, None);
    }

    #[test]
    fn a_short_staleness_makes_the_time_finer() {
        let first = told(&[], Some("secret/1"), 0, 1000, Some(120));
        assert_eq!(told(&first, Some("secret/1"), 0, 1029, Some(120)), first);
        assert_eq!(
            refreshed(&told(&first, Some("secret/1"), 0, 1030, Some(120))),
            1030
        );
    }

    #[test]
    fn a_credential_without_a_secret_is_told_too() {
        let first = told(&[], Some("secret/1"), 0, 1000, None);
        let gone = told(&first, None, 60, 1060, None);
        assert_eq!((gone[0].version.as_deref(), rotated(&gone)), (None, 1000));
    }
}

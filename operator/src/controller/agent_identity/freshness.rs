//! What the status says of each credential: its version, and when its source last gave it.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use postern_crds::{Bundle, agent_identity::CredentialStatus};

use crate::{controller::conditions::whole_seconds, stores::Sources};

/// How old the time of the last refresh may become before it is written anew: a write for each reading would be most of what the operator writes.
const COARSE: Duration = Duration::from_secs(600);

/// The credentials whose sources gave a secret.
pub(super) fn answered(sources: &Sources) -> BTreeSet<String> {
    let given = sources.secrets.iter().filter(|(_, secret)| secret.is_ok());
    given.map(|(name, _)| name.clone()).collect()
}

/// What the status says of the credentials in `bundle`, after it said `before`; the sources of those that `answered` were read `now`.
pub(super) fn credentials(
    before: &[CredentialStatus],
    bundle: Option<&Bundle>,
    answered: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<CredentialStatus> {
    let secrets = bundle.iter().flat_map(|bundle| &bundle.secrets);
    secrets
        .map(|(name, secret)| {
            let last = before
                .iter()
                .find(|last| last.name == *name && last.version == secret.version)
                .and_then(|last| last.last_refresh.clone());
            let is_recent = |last: &Time| now.duration_since(last.0).unsigned_abs() < COARSE;
            let last_refresh = match last {
                Some(last) if is_recent(&last) || !answered.contains(name) => Some(last),
                None if !answered.contains(name) => None,
                Some(_) | None => Some(whole_seconds(now)),
            };
            CredentialStatus {
                name: name.clone(),
                version: secret.version.clone(),
                last_refresh,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::fixtures::secret;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn bundle(version: &str) -> Bundle {
        let mut bundle: Bundle = serde_json::from_value(json!({
            "format": 1, "minReader": 1, "namespace": "agents", "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": []}, "policies": [], "secrets": {},
        }))
        .unwrap();
        bundle
            .secrets
            .insert("openai".to_owned(), secret("sk", version));
        bundle
    }

    fn told(
        before: &[CredentialStatus],
        version: &str,
        answers: bool,
        second: i64,
    ) -> Vec<CredentialStatus> {
        let answered = answers.then(|| "openai".to_owned()).into_iter().collect();
        credentials(before, Some(&bundle(version)), &answered, at(second))
    }

    fn refreshed(credentials: &[CredentialStatus]) -> Option<i64> {
        let time = credentials[0].last_refresh.as_ref()?;
        Some(time.0.as_second())
    }

    #[test]
    fn a_reading_that_changes_nothing_is_told_every_ten_minutes_only() {
        let first = told(&[], "secret/1", true, 1000);
        assert_eq!(refreshed(&first), Some(1000));
        assert_eq!(told(&first, "secret/1", true, 1599), first);
        assert_eq!(refreshed(&told(&first, "secret/1", true, 1600)), Some(1600));
        assert_eq!(refreshed(&told(&first, "secret/2", true, 1001)), Some(1001));
    }

    #[test]
    fn a_source_that_does_not_answer_leaves_the_time_when_it_did() {
        let first = told(&[], "secret/1", true, 1000);
        assert_eq!(told(&first, "secret/1", false, 9000), first);
        assert_eq!(refreshed(&told(&[], "secret/1", false, 9000)), None);
    }
}

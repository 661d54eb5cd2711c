//! What follows from what the sidecars say, and how it is told.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::jiff::Timestamp;
use postern_crds::agent_identity::RotationStatus;

use super::{State, ask::Answer};
use crate::controller::{conditions::whole_seconds, freshness::Moment};

/// How many pods a message names.
const MAX_NAMES: usize = 5;

/// What all sidecars of an identity say, in one round.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress<'a> {
    pub(super) sidecars: i32,
    pub(super) on_current: i32,
    /// A pod has not started its sidecar yet.
    pub(super) more_to_come: bool,
    /// Those that are not on it, and why.
    behind: Vec<(&'a str, &'static str)>,
}

impl<'a> Progress<'a> {
    /// What `answers`, by pod, say of `revision`.
    pub(super) fn of(revision: &str, answers: &[(&'a str, Answer)]) -> Self {
        let mut progress = Self {
            sidecars: 0,
            on_current: 0,
            more_to_come: false,
            behind: Vec::new(),
        };
        for (pod, answer) in answers {
            let why = match answer {
                Answer::NotStarted => {
                    progress.more_to_come = true;
                    continue;
                }
                Answer::Uses(used) if used == revision => None,
                Answer::Uses(_) => Some("uses another version"),
                Answer::Empty => Some("has no bundle yet"),
                Answer::Mute => Some("does not tell: it is older than this operator"),
                Answer::None => Some("does not answer at its admin port"),
            };
            progress.sidecars += 1;
            match why {
                None => progress.on_current += 1,
                Some(why) => progress.behind.push((pod, why)),
            }
        }
        progress
    }

    /// Whether every sidecar is on the version.
    pub(super) fn is_complete(&self) -> bool {
        self.behind.is_empty()
    }

    /// Which sidecars are not on it, and why; `None` if all are.
    pub(super) fn message(&self) -> Option<String> {
        if self.is_complete() {
            return None;
        }
        let named = self.behind.iter().take(MAX_NAMES);
        let mut parts: Vec<String> = named.map(|(pod, why)| format!("pod {pod} {why}")).collect();
        let more = self.behind.len().saturating_sub(MAX_NAMES);
        if more > 0 {
            parts.push(format!("{more} more"));
        }
        Some(parts.join("; "))
    }
}

/// The state of a delivery of `revision`, after it was `before`. A rotation that is overtaken on its way goes on as part of the next: it is complete when that
/// is.
pub(super) fn next(
    before: Option<State>,
    revision: &str,
    changed: BTreeSet<String>,
    found: Moment,
    now: Timestamp,
) -> State {
    let told = before.as_ref().and_then(|before| before.told.clone());
    if let Some(before) = &before
        && before.rotation.current_version == revision
    {
        return before.clone();
    }
    let overtaken = before.filter(|before| {
        before.rotation.completed_at.is_none() && !before.rotation.credentials.is_empty()
    });
    let (started_at, started) = match &overtaken {
        Some(before) => (before.rotation.started_at.clone(), before.started),
        None => (whole_seconds(now - found.age()), found),
    };
    let earlier = overtaken.map(|before| before.rotation.credentials);
    let credentials: BTreeSet<String> = changed
        .into_iter()
        .chain(earlier.into_iter().flatten())
        .collect();
    State {
        rotation: RotationStatus {
            current_version: revision.to_owned(),
            sidecars: 0,
            sidecars_on_current: 0,
            credentials: credentials.into_iter().collect(),
            started_at,
            completed_at: None,
            message: None,
        },
        told,
        started,
        is_late: false,
    }
}

/// For an Event.
pub(super) fn started(rotation: &RotationStatus) -> String {
    format!(
        "version {} with new values of {} is on its way to the sidecars",
        rotation.current_version,
        rotation.credentials.join(", ")
    )
}

/// For an Event.
pub(super) fn completed(rotation: &RotationStatus, took: Duration) -> String {
    format!(
        "{} of {} sidecars use version {} with new values of {}, {} s after they were found",
        rotation.sidecars_on_current,
        rotation.sidecars,
        rotation.current_version,
        rotation.credentials.join(", "),
        took.as_secs()
    )
}

/// For an Event.
pub(super) fn late(rotation: &RotationStatus) -> String {
    format!(
        "{} of {} sidecars use version {} with new values of {}; {}",
        rotation.sidecars_on_current,
        rotation.sidecars,
        rotation.current_version,
        rotation.credentials.join(", "),
        rotation.message.as_deref().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(revision: &str) -> Answer {
        Answer::Uses(revision.to_owned())
    }

    #[test]
    fn a_sidecar_that_does_not_say_so_is_not_on_the_version() {
        let answers = [
            ("a", uses("new")),
            ("b", uses("old")),
            ("c", Answer::None),
            ("d", Answer::Mute),
            ("e", Answer::Empty),
        ];
        let progress = Progress::of("new", &answers);
        assert_eq!((progress.sidecars, progress.on_current), (5, 1));
        assert!(!progress.is_complete());
        let message = progress.message().unwrap();
        assert!(
            message.starts_with("pod b uses another version; pod c does not answer"),
            "{message}"
        );
    }

    #[test]
    fn a_pod_that_has_not_started_its_sidecar_is_waited_for_and_not_counted() {
        let answers = [("a", uses("new")), ("b", Answer::NotStarted)];
        let progress = Progress::of("new", &answers);
        assert_eq!((progress.sidecars, progress.on_current), (1, 1));
        assert!(progress.is_complete() && progress.more_to_come);
        assert!(Progress::of("new", &[]).is_complete(), "nobody is behind");
    }

    #[test]
    fn of_many_pods_a_few_are_named() {
        let names: Vec<String> = (0..9).map(|number| format!("p{number}")).collect();
        let answers: Vec<(&str, Answer)> = names
            .iter()
            .map(|name| (name.as_str(), Answer::None))
            .collect();
        let message = Progress::of("new", &answers).message().unwrap();
        assert!(message.ends_with("; 4 more"), "{message}");
    }

    fn delivered(before: Option<State>, revision: &str, changed: &[&str], second: i64) -> State {
        let changed = changed.iter().map(|name| (*name).to_owned()).collect();
        let now = Timestamp::from_second(second).unwrap();
        next(before, revision, changed, Moment::now(), now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_that_is_overtaken_is_part_of_the_next() {
        let first = delivered(None, "v1", &[], 100);
        let second = delivered(Some(first), "v2", &["crm"], 200);
        let third = delivered(Some(second), "v3", &["openai"], 300);
        assert_eq!(third.rotation.credentials, ["crm", "openai"]);
        assert_eq!(third.rotation.started_at.0.as_second(), 200);

        let mut complete = third;
        complete.rotation.completed_at = Some(complete.rotation.started_at.clone());
        let fourth = delivered(Some(complete), "v4", &[], 400);
        assert_eq!(fourth.rotation.credentials, [] as [&str; 0]);
        assert_eq!(fourth.rotation.started_at.0.as_second(), 400);
    }

    #[tokio::test(start_paused = true)]
    async fn other_pods_leave_a_rotation_what_it_is() {
        let mut state = delivered(None, "v1", &["openai"], 100);
        state.rotation.completed_at = Some(state.rotation.started_at.clone());
        // The status that was read may be older than what is known here.
        let again = delivered(Some(state.clone()), "v1", &["openai"], 900);
        assert_eq!(again.rotation, state.rotation);
    }
}

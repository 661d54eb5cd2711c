//! A lease of a credential that a store made for one identity: how long it lasts, and what is to be done about it when.

use std::{fmt, time::Duration};

use k8s_openapi::jiff::Timestamp;
use postern_crds::Bundle;
use serde::{Deserialize, Serialize};

/// How long a credential that was replaced is left alone before it is revoked: until the kubelet has brought the new one to every sidecar (90 s), and
/// calls that began with the old one had time to end.
const GRACE: Duration = Duration::from_secs(150);

/// What a store said of a lease.
#[derive(Clone)]
pub(super) struct Granted {
    /// The store's name of it. Empty in the answer to a renewal is the same as before.
    pub(super) id: String,
    /// How long it lasts from now on, in seconds.
    pub(super) seconds: u64,
    pub(super) renewable: bool,
    /// When the login ends that it was made with, and it with that; `None` if nobody knows.
    pub(super) login_ends: Option<Timestamp>,
}

/// A lease. It stands in the Secret of the bundle, so that another leader goes on with it.
#[derive(Serialize, Deserialize, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lease {
    /// The store's name.
    pub(super) store: String,
    /// The server and the engine: a store of the same name may lead elsewhere by now.
    pub(super) origin: String,
    pub(super) path: String,
    /// What the version of a secret is called that was read with it.
    version: String,
    /// The server's name of it, which is shown nowhere: it lets whoever may revoke leases there end it.
    pub(super) id: String,
    renewable: bool,
    /// How long it was to last when it was made, in seconds.
    term: u64,
    /// When it was made or renewed last.
    since: Timestamp,
    ends: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login_ends: Option<Timestamp>,
    /// It was replaced, or nobody wants it any longer: it is revoked then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoke_at: Option<Timestamp>,
}

/// What is to be done about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, as long as it is there.
    Keep,
    Renew,
    /// It cannot be renewed: another one takes its place.
    Replace,
}

impl Lease {
    pub(super) fn new(
        store: &str,
        origin: &str,
        path: &str,
        version: &str,
        granted: &Granted,
        now: Timestamp,
    ) -> Self {
        Self {
            store: store.to_owned(),
            origin: origin.to_owned(),
            path: path.to_owned(),
            version: version.to_owned(),
            id: granted.id.clone(),
            renewable: granted.renewable,
            term: granted.seconds,
            since: now,
            ends: after(now, granted.seconds),
            login_ends: granted.login_ends,
            revoke_at: None,
        }
    }

    /// What is to be done now.
    pub(super) fn step(&self, now: Timestamp) -> Step {
        if now < self.due() {
            Step::Keep
        } else if self.renewable && now < self.end() {
            Step::Renew
        } else {
            Step::Replace
        }
    }

    /// It lasts as long as `granted` from now on. Whether that is worth it: one that has reached its longest time is replaced while there is enough left of it for
    /// the sidecars to hear of the next one.
    pub(super) fn renewed(&mut self, granted: &Granted, now: Timestamp) -> bool {
        self.renewable = granted.renewable;
        self.since = now;
        self.ends = after(now, granted.seconds);
        u128::from(seconds(now, self.end())) * 10 >= u128::from(self.term) * 9
    }

    /// It is not used from now on, and revoked after a while.
    pub(super) fn retire(&mut self, now: Timestamp) {
        let revoke_at = after(now, GRACE.as_secs()).min(self.ends);
        self.revoke_at.get_or_insert(revoke_at);
    }

    /// No sidecar has it: it is revoked at once.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        self.revoke_at = Some(now);
    }

    /// Whether `bundle` has a secret of it. One member of a reading may have been alike before and be called as it was then; not all are.
    pub(super) fn is_in(&self, bundle: &Bundle) -> bool {
        bundle.secrets.values().any(|secret| {
            let version = secret.version.strip_prefix(&self.origin);
            version == Some(self.version.as_str())
        })
    }

    /// Whether it is the same lease, however long it lasts.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.origin == other.origin && self.id == other.id
    }

    pub(super) fn is_retired(&self) -> bool {
        self.revoke_at.is_some()
    }

    /// When something is to be done about it.
    pub(super) fn due(&self) -> Timestamp {
        self.revoke_at
            .unwrap_or_else(|| after(self.since, seconds(self.since, self.end()) * 2 / 3))
    }

    /// Whether it has ended by itself.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ends <= now
    }

    /// As if that much more time had passed.
    #[cfg(test)]
    pub(super) fn age(&mut self, time: Duration) {
        let times = [
            Some(&mut self.since),
            Some(&mut self.ends),
            self.login_ends.as_mut(),
            self.revoke_at.as_mut(),
        ];
        for at in times.into_iter().flatten() {
            *at = at.checked_sub(time).unwrap();
        }
    }

    fn end(&self) -> Timestamp {
        self.login_ends
            .map_or(self.ends, |login| login.min(self.ends))
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("origin", &self.origin)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// `seconds` after `time`; the end of all times, if there is no such time.
pub(super) fn after(time: Timestamp, seconds: u64) -> Timestamp {
    time.checked_add(Duration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn granted(seconds: u64) -> Granted {
        Granted {
            id: "database/creds/r/1".to_owned(),
            seconds,
            renewable: true,
            login_ends: None,
        }
    }

    fn lease(granted: &Granted) -> Lease {
        Lease::new("corp", "store/corp/1/", "creds/r", "v", granted, at(0))
    }

    #[test]
    fn a_lease_is_renewed_at_two_thirds_and_replaced_when_that_gives_less_than_before() {
        let mut lease = lease(&granted(900));
        assert_eq!(lease.step(at(599)), Step::Keep);
        assert_eq!(lease.step(at(600)), Step::Renew);
        assert!(lease.renewed(&granted(900), at(600)));
        assert_eq!(lease.step(at(1199)), Step::Keep);
        assert_eq!(lease.step(at(1200)), Step::Renew);
        // Its longest time is near.
        assert!(!lease.renewed(&granted(700), at(1200)));
        lease.retire(at(1200));
        assert_eq!(lease.due(), at(1350));
        assert!(!lease.is_over(at(1350)));
    }

    #[test]
    fn a_lease_that_cannot_be_renewed_is_replaced_in_time() {
        let lease = lease(&Granted {
            renewable: false,
            ..granted(900)
        });
        assert_eq!(lease.step(at(599)), Step::Keep);
        assert_eq!(lease.step(at(600)), Step::Replace);
        // Nobody was there to renew it.
        assert_eq!(
            super::tests::lease(&granted(900)).step(at(900)),
            Step::Replace
        );
    }

    #[test]
    fn a_lease_ends_with_the_login_that_made_it() {
        let mut lease = lease(&Granted {
            login_ends: Some(at(300)),
            ..granted(900)
        });
        assert_eq!(lease.step(at(200)), Step::Renew);
        assert!(!lease.renewed(&granted(900), at(200)));
    }

    #[test]
    fn what_is_given_up_is_revoked_once_and_nothing_later_than_it_ends() {
        let retired = |now| {
            let mut lease = lease(&granted(900));
            lease.retire(at(now));
            lease.retire(at(now + 60));
            lease
        };
        assert_eq!(retired(10).due(), at(160));
        assert_eq!(retired(800).due(), at(900));
        let mut of_nobody = retired(10);
        of_nobody.give_up(at(20));
        assert_eq!(of_nobody.due(), at(20));
    }

    #[test]
    fn a_lease_comes_back_as_it_was_and_is_shown_without_its_name() {
        let lease = lease(&granted(900));
        let text = serde_json::to_string(&lease).unwrap();
        assert_eq!(serde_json::from_str::<Lease>(&text).unwrap(), lease);
        assert!(!format!("{lease:?}").contains("r/1"));
    }
}

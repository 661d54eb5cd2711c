//! Asks the policy for its decision.

use std::{
    borrow::Cow,
    time::{SystemTime, UNIX_EPOCH},
};

use http::{HeaderMap, Method, request::Parts};
use postern_crds::{
    Decision, Facts,
    facts::{Content, Moment, READABLE_HEADERS},
    policy::{Explanation, METHODS, RuleId, Verdict},
};

use super::facts::{Extent, Known};
use crate::{
    access::Observed,
    error::Error,
    snapshot::{Binding, Snapshot},
};

/// Refuses methods that no rule can name: CONNECT would open a tunnel, TRACE would echo the credential.
///
/// # Errors
/// [`Error::MethodRefused`].
pub(crate) fn check_method(method: &Method) -> Result<(), Error> {
    if METHODS.contains(&method.as_str()) {
        Ok(())
    } else {
        Err(Error::MethodRefused)
    }
}

/// What is decided about.
pub(crate) struct Subject<'a> {
    /// The credential that it goes to.
    pub(crate) binding: &'a Binding,
    /// Its head.
    pub(crate) parts: &'a Parts,
    /// Its path, as it will be sent.
    pub(crate) path: &'a str,
    /// What is known of it.
    pub(crate) known: &'a Known,
    /// The pod's name.
    pub(crate) pod: &'a str,
    /// When it came.
    pub(crate) now: SystemTime,
}

/// The rule that allows the call, if one has to. What policies that only observe would have done is told to `observe`.
///
/// # Errors
/// Why it may not be made.
pub(crate) fn decide(
    snapshot: &Snapshot,
    subject: &Subject<'_>,
    observe: impl FnOnce(Observed),
) -> Result<Option<RuleId>, Error> {
    let Verdict { decision, observed } = snapshot.policy.decide(&facts(snapshot, subject));
    let limit = snapshot.policy.max_inspected_bytes();
    if let Some(observed) = observed {
        observe(Observed {
            rule: observed.rule().cloned(),
            reason: enforce(observed, limit)
                .err()
                .map_or("allowed", |error| error.reason()),
        });
    }
    enforce(decision, limit)
}

/// What each rule makes of the call, for a person who asks.
pub(crate) fn explain(snapshot: &Snapshot, subject: &Subject<'_>) -> Vec<Explanation> {
    snapshot.policy.explain(&facts(snapshot, subject))
}

/// What the rules may know.
fn facts<'a>(snapshot: &'a Snapshot, subject: &'a Subject<'_>) -> Facts<'a> {
    let call = Cow::Borrowed(&*subject.known.call);
    let content = match subject.known.extent {
        Extent::Head => Content::NotRead,
        Extent::Whole => Content::Read(call),
        Extent::TooLong => Content::Uninspected(call),
    };
    let headers = if snapshot.policy.reads_headers() {
        readable(&subject.parts.headers)
    } else {
        Vec::new()
    };
    let route = &subject.binding.route;
    Facts {
        credential: &route.credential,
        method: subject.parts.method.as_str(),
        path: subject.path,
        host: route.authority.host(),
        headers,
        identity: snapshot.identity_parts(),
        pod: subject.pod,
        now: moment(subject.now),
        content,
    }
}

/// The headers that rules may read, each as often as it is there.
fn readable(headers: &HeaderMap) -> Vec<(&'static str, Cow<'_, str>)> {
    READABLE_HEADERS
        .iter()
        .flat_map(|name| {
            headers
                .get_all(*name)
                .iter()
                .map(move |value| (*name, value))
        })
        .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

/// Hour and weekday of `now` in UTC. The first of January 1970 was a Thursday.
fn moment(now: SystemTime) -> Moment {
    let hours = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 3600);
    let small =
        |number: u64| u8::try_from(number).expect("the remainder of a division by 24 or less");
    Moment {
        hour: small(hours % 24),
        weekday: small((hours / 24 + 4) % 7),
    }
}

/// The rule that allows, if one has to. `limit` is how much of a body is read.
///
/// # Errors
/// What the caller is told.
fn enforce(decision: Decision, limit: usize) -> Result<Option<RuleId>, Error> {
    match decision {
        Decision::Allow(rule) => Ok(Some(rule)),
        Decision::Unenforced => Ok(None),
        Decision::Deny(rule) => Err(Error::DeniedByRule(rule)),
        Decision::NoRule => Err(Error::NoRule),
        Decision::Failed { rule, error } => Err(Error::PolicyFailed { rule, error }),
        Decision::Uninspected(rule) => Err(Error::BodyTooLarge { rule, limit }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn hours_and_weekdays_are_those_of_the_calendar_in_utc() {
        let at = |seconds| moment(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(
            at(0),
            Moment {
                hour: 0,
                weekday: 4
            }
        );
        // 2026-11-25T01:30:00Z, a Wednesday.
        assert_eq!(
            at(1_795_570_200),
            Moment {
                hour: 1,
                weekday: 3
            }
        );
        // 2024-02-29T23:59:59Z, a Thursday.
        assert_eq!(
            at(1_709_251_199),
            Moment {
                hour: 23,
                weekday: 4
            }
        );
    }
}

//! From findings to the `conditions` of a status.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// The longest message that a condition may carry (its type's documentation: 32768). Ours stay readable in `kubectl describe`.
const MAX_MESSAGE: usize = 4096;

/// What a reconcile found about one side of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The condition's type.
    pub(crate) kind: &'static str,
    /// Whether it holds; `None` if that cannot be known.
    pub(crate) holds: Option<bool>,
    /// A stable token.
    pub(crate) reason: &'static str,
    /// For a person.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn holds(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(kind, Some(true), reason, message)
    }

    pub(crate) fn fails(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(kind, Some(false), reason, message)
    }

    pub(crate) fn unknown(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(kind, None, reason, message)
    }

    fn new(
        kind: &'static str,
        holds: Option<bool>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let message = shorten(message.into(), MAX_MESSAGE);
        Self {
            kind,
            holds,
            reason,
            message,
        }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }

    /// Whether `before` already says the same.
    pub(crate) fn is_told_by(&self, before: &[Condition]) -> bool {
        find(before, self.kind).is_some_and(|old| {
            old.status == self.status() && old.reason == self.reason && old.message == self.message
        })
    }
}

/// The condition called `kind`.
pub(crate) fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// The conditions that follow from `findings`, after they were `before`. The time of a transition moves only when the status does, so
/// that equal findings give equal conditions. Conditions that were not looked into stay.
pub(crate) fn merge(
    before: &[Condition],
    findings: &[Finding],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = findings
        .iter()
        .map(|finding| {
            let same = find(before, finding.kind).filter(|old| old.status == finding.status());
            Condition {
                type_: finding.kind.to_owned(),
                status: finding.status().to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message.clone(),
                observed_generation: generation,
                last_transition_time: same.map_or_else(
                    || whole_seconds(now),
                    |old| old.last_transition_time.clone(),
                ),
            }
        })
        .collect();
    let kept = before
        .iter()
        .filter(|old| !findings.iter().any(|finding| finding.kind == old.type_));
    conditions.extend(kept.cloned());
    conditions
}

/// Kubernetes writes times without fractions.
pub(crate) fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// `text`, cut to at most `bytes` at a character's end.
pub(crate) fn shorten(mut text: String, bytes: usize) -> String {
    const ELLIPSIS: &str = " ...";
    if text.len() > bytes {
        let end = text.floor_char_boundary(bytes.saturating_sub(ELLIPSIS.len()));
        text.truncate(end);
        text.push_str(ELLIPSIS);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 5).unwrap()
    }

    #[test]
    fn equal_findings_at_another_time_give_equal_conditions() {
        let findings = [
            Finding::fails("Ready", "SecretNotFound", "x"),
            Finding::holds("PoliciesAccepted", "Accepted", "y"),
        ];
        let first = merge(&[], &findings, Some(1), at(100));
        assert_eq!(merge(&first, &findings, Some(1), at(200)), first);
    }

    #[test]
    fn the_time_moves_with_the_status_and_not_with_the_message() {
        let first = merge(&[], &[Finding::fails("Ready", "A", "x")], Some(1), at(100));
        let second = merge(
            &first,
            &[Finding::fails("Ready", "B", "y")],
            Some(2),
            at(200),
        );
        assert_eq!(second[0].last_transition_time.0.as_second(), 100);
        assert_eq!(
            (second[0].reason.as_str(), second[0].observed_generation),
            ("B", Some(2))
        );
        let third = merge(
            &second,
            &[Finding::holds("Ready", "Ready", "z")],
            Some(2),
            at(300),
        );
        assert_eq!(
            third[0].last_transition_time,
            Time(Timestamp::from_second(300).unwrap())
        );
    }

    #[test]
    fn conditions_that_were_not_looked_into_stay() {
        let first = merge(
            &[],
            &[Finding::holds("CredentialsResolved", "Resolved", "")],
            Some(1),
            at(1),
        );
        let second = merge(
            &first,
            &[Finding::fails("Ready", "BundleUnreadable", "")],
            Some(1),
            at(2),
        );
        assert_eq!(
            second.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(),
            ["Ready", "CredentialsResolved"]
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("äöü".repeat(10), 11), "äöü ...");
        assert_eq!(shorten("short".to_owned(), 5), "short");
    }
}

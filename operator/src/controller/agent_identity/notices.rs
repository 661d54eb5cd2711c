//! What the Events of an identity say: transitions, never states.

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};

use super::plan::{CREDENTIALS_RESOLVED, POLICIES_ACCEPTED, Plan, READY};
use crate::{
    controller::{
        conditions::{self, Finding},
        events::Notice,
    },
    stores::Place,
};

/// The Events that follow from a `plan` that was carried out when the conditions were `before`.
pub(super) fn notices(before: &[Condition], plan: &Plan) -> Vec<Notice> {
    let mut notices = Vec::new();
    if let Some(bundle) = &plan.write {
        let note = format!(
            "revision {}, credentials: {} of {}, policies: {}",
            bundle.revision(),
            bundle.secrets.len(),
            bundle.spec.credentials.len(),
            bundle.policies.len()
        );
        notices.push(Notice::normal("BundleWritten", "WriteBundle", note));
    }
    for finding in &plan.findings {
        match finding.kind {
            CREDENTIALS_RESOLVED => notices.extend(credentials(before, plan, finding)),
            POLICIES_ACCEPTED => notices.extend(policies(before, finding)),
            READY => notices.extend(ready(before, plan, finding)),
            _ => {}
        }
    }
    notices
}

fn credentials(before: &[Condition], plan: &Plan, finding: &Finding) -> Vec<Notice> {
    let old = conditions::find(before, CREDENTIALS_RESOLVED);
    if finding.holds == Some(true) {
        let recovered = old.is_some_and(|old| old.status == "False");
        return recovered
            .then(|| {
                Notice::normal(
                    finding.reason,
                    "ResolveCredentials",
                    finding.message.clone(),
                )
            })
            .into_iter()
            .collect();
    }
    let told = |message: &str| old.is_some_and(|old| old.message.contains(message));
    let news = plan.failures.iter().filter(|failed| !told(&failed.message));
    news.map(|failed| {
        let notice = Notice::warning(
            failed.reason(),
            "ResolveCredentials",
            failed.message.clone(),
        );
        // The reference also keeps apart the Events of several Secrets, which would be counted as one otherwise.
        notice.about(failed.failure.place().map(reference))
    })
    .collect()
}

fn policies(before: &[Condition], finding: &Finding) -> Option<Notice> {
    let news = finding.holds == Some(false) && !finding.is_told_by(before);
    news.then(|| Notice::warning(finding.reason, "CompilePolicies", finding.message.clone()))
}

/// What the other conditions do not say already.
fn ready(before: &[Condition], plan: &Plan, finding: &Finding) -> Option<Notice> {
    let own = !plan
        .findings
        .iter()
        .any(|other| other.kind != READY && other.message == finding.message);
    let news = finding.holds == Some(false) && own && !finding.is_told_by(before);
    news.then(|| Notice::warning(finding.reason, "WriteBundle", finding.message.clone()))
}

fn reference(place: &Place) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(place.kind.to_string()),
        namespace: Some(place.namespace.clone()),
        name: Some(place.name.clone()),
        ..ObjectReference::default()
    }
}

#[cfg(test)]
mod tests;

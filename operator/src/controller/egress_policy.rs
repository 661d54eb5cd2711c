//! Keeps the status of one `EgressPolicy`: whether it has a meaning, and whether it is in force on its targets.
//!
//! It writes nothing but that status. Putting policies in force is the identities' reconcile, which reads them all.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, runtime::controller::Action};
use postern_crds::{EgressPolicy, EgressPolicyStatus, names::CONTROLLER_MANAGER};

use super::{
    Context, Error, agent_identity, bundle_secret, conditions, events,
    events::Notice,
    interval,
    object::{Id, PolicyObject},
    status,
};

mod assess;

use assess::{State, Target};

/// The most targets that a status lists; the CRD allows no more.
const MAX_TARGETS: usize = 16;
/// How many bundles are read at the same time.
const CONCURRENT_READS: usize = 4;

/// Reconciles one policy.
///
/// # Errors
/// If its status cannot be written.
pub(super) async fn reconcile(
    object: Arc<PolicyObject>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    let (Some(namespace), Some(name), Some(uid)) = (
        &object.metadata.namespace,
        &object.metadata.name,
        &object.metadata.uid,
    ) else {
        return Ok(Action::await_change());
    };
    let names = object.targets().unwrap_or_default();
    let targets: Vec<Target> = stream::iter(names.into_iter().take(MAX_TARGETS))
        .map(|target| look_at(&ctx, namespace, name, target))
        .buffered(CONCURRENT_READS)
        .collect()
        .await;

    let before = object.status.read().cloned().unwrap_or_default();
    let status = assess::assess(
        namespace,
        &object.spec,
        object.metadata.generation,
        &targets,
        &before,
        Timestamp::now(),
    );
    if !ctx.leadership.is_held() {
        return Err(Error::NotLeading);
    }
    let policies = Api::<EgressPolicy>::namespaced(ctx.client.clone(), namespace);
    let told = status::write(&policies, CONTROLLER_MANAGER, name, uid, &before, &status).await;
    events::publish(&ctx.recorder, &*object, notices(&before, &status)).await;
    told?;
    // Changes of the targets come by themselves. Coming back now and then finds a bundle that was edited by hand.
    Ok(Action::requeue(interval::jitter(interval::refresh(None))))
}

async fn look_at(ctx: &Context, namespace: &str, policy: &str, name: String) -> Target {
    let Some(identity) = ctx.identities.get(&agent_identity::key(namespace, &name)) else {
        return Target {
            name,
            state: State::NotFound,
        };
    };
    let owner = Id {
        namespace,
        name: &name,
        uid: identity.metadata.uid.as_deref().unwrap_or_default(),
    };
    let state = match bundle_secret::read(&ctx.client, owner).await {
        Ok(existing) => State::Found {
            spec: identity.spec.read().cloned(),
            programmed: existing
                .bundle()
                .and_then(|bundle| {
                    bundle
                        .policies
                        .iter()
                        .find(|programmed| programmed.name == policy)
                })
                .map(|programmed| programmed.generation),
        },
        Err(error) => State::Unknown(Error::ReadBundle(error).to_string()),
    };
    Target { name, state }
}

/// The Event that follows when the status was `before`: one when the policy comes into force on all targets, one when it cannot.
fn notices(before: &EgressPolicyStatus, status: &EgressPolicyStatus) -> Vec<Notice> {
    let old = conditions::find(&before.conditions, "Ready");
    let Some(ready) = conditions::find(&status.conditions, "Ready") else {
        return Vec::new();
    };
    let told = old.is_some_and(|old| {
        old.status == ready.status && old.reason == ready.reason && old.message == ready.message
    });
    let notice = match (ready.status.as_str(), ready.reason.as_str()) {
        _ if told => None,
        ("True", _) => Some(Notice::normal(
            "Programmed",
            "AssessPolicy",
            ready.message.clone(),
        )),
        (_, "Invalid") => Some(Notice::warning(
            "Invalid",
            "AssessPolicy",
            ready.message.clone(),
        )),
        (_, "TargetNotFound") => Some(Notice::warning(
            "TargetNotFound",
            "AssessPolicy",
            ready.message.clone(),
        )),
        // On its way, or told by the identity.
        _ => None,
    };
    notice.into_iter().collect()
}

/// Whether `policy` concerns the identity `name`: it targets it, or did when its status was written, or may.
pub(super) fn concerns(policy: &PolicyObject, name: &str) -> bool {
    let targets = policy
        .targets()
        .is_none_or(|targets| targets.iter().any(|target| target == name));
    let did = policy
        .status
        .read()
        .is_some_and(|status| status.targets.iter().any(|target| target.name == name));
    targets || did
}

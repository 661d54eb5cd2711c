//! Keeps the bundle of one `AgentIdentity`: reads the world, plans, writes, sets the status, says when to come back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, ResourceExt as _,
    runtime::{controller::Action, reflector::ObjectRef},
};
use postern_crds::{
    AgentIdentity, AgentIdentityStatus, Bundle,
    agent_identity::CredentialStatus,
    bundle::VersionedSecret,
    names::{CONTROLLER_MANAGER, REFRESH_ANNOTATION},
};

use super::{
    Context, Error, bundle_secret,
    conditions::{self, Finding},
    events,
    freshness::Moment,
    interval,
    object::{Id, IdentityObject},
    pods,
    rollout::Delivery,
    status,
};
use crate::{
    sidecar,
    stores::{self, Held},
};

mod credentials;
mod freshness;
mod notices;
mod offer;
mod plan;
mod policies;

use freshness::Learnt;
use offer::Offer;
use plan::{READY, World};

/// Reconciles one identity.
///
/// # Guarantees
/// What runs is never weakened by what cannot be understood: an invalid spec or policy leaves the last good one in force. A secret whose
/// source has withdrawn it is out of the bundle after the next call. Nothing is written that is there already.
///
/// # Errors
/// If the API server does not do what is asked; the status then says so, if that can be written.
pub(super) async fn reconcile(
    object: Arc<IdentityObject>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    let (Some(namespace), Some(name), Some(uid)) = (
        &object.metadata.namespace,
        &object.metadata.name,
        &object.metadata.uid,
    ) else {
        return Ok(Action::await_change());
    };
    if object.metadata.deletion_timestamp.is_some() {
        // The garbage collector removes the bundle with its owner.
        return Ok(Action::await_change());
    }
    let owner = Id {
        namespace,
        name,
        uid,
    };

    let existing = match bundle_secret::read(&ctx.client, owner).await {
        Ok(existing) => existing,
        Err(error) => return Err(report(&ctx, &object, owner, Error::ReadBundle(error)).await),
    };
    let spec = plan::spec_in_force(namespace, name, &object, existing.bundle());
    let held = Held {
        namespace,
        identity: name,
        bundle: existing.bundle(),
        leases: existing.leases(),
    };
    let (mut sources, routes) = match &spec {
        Ok(spec) => (
            stores::resolve(&ctx.client, &ctx.stores, held, spec.spec).await,
            spec.routes.clone(),
        ),
        Err(_) => (held.as_it_is(), Vec::new()),
    };
    let leases = std::mem::take(&mut sources.leases);
    let due = sources.due;
    let policies = ctx
        .policies
        .state_filter(|policy| policy.metadata.namespace.as_ref() == Some(namespace));
    let period = interval::refresh(
        spec.as_ref()
            .ok()
            .and_then(|spec| spec.spec.refresh_interval.as_deref()),
    );
    let found = Moment::now();
    let now = Timestamp::now();
    let before = own_status(&object);
    let key = key(namespace, name);
    let answered = freshness::answered(&sources);
    let told = &before.credentials;
    let ages = ctx.freshness.heard(&key, uid, &answered, told, now);
    let max_staleness = spec
        .as_ref()
        .ok()
        .and_then(|spec| plan::max_staleness(spec.spec));
    let endpoints = ctx.endpoints.as_ref();
    let offer = endpoints.and_then(|endpoints| Offer::new(endpoints.borrow().clone()));
    let mut plan = plan::plan(World {
        namespace,
        name,
        spec,
        policies: &policies,
        sources,
        ages: &ages,
        existing: &existing,
        offer: offer.as_ref(),
    });

    // Asked again here: reading took a while, and only the leader may write.
    if !ctx.leadership.is_held() {
        let (_, new) = stores::beside(None, leases, existing.leases());
        ctx.stores.give_back(new);
        return Err(Error::NotLeading);
    }
    let mut failed = None;
    let bundle = plan.write.as_ref().or(existing.bundle());
    let (leases, useless) = stores::beside(bundle, leases, existing.leases());
    ctx.stores.give_back(useless);
    let mut held = existing.leases().to_vec();
    let leased = (leases != held).then_some(bundle).flatten();
    if let Some(bundle) = plan.write.as_ref().or(leased) {
        match bundle_secret::write(&ctx.client, owner, bundle, &leases, &existing).await {
            Ok(()) => {
                held.clone_from(&leases);
                if plan.write.is_some() {
                    tracing::info!(
                        namespace,
                        identity = name,
                        revision = bundle.revision(),
                        "wrote the bundle"
                    );
                }
            }
            Err(error) => {
                let error = Error::WriteBundle(error);
                plan.not_written(&error, existing.bundle());
                failed = Some(error);
            }
        }
    }

    // What could not be written down is used by nobody.
    let (_, new) = stores::beside(None, leases, &held);
    ctx.stores.give_back(new);
    ctx.stores.holds(namespace, name, &held);

    let bundle = plan.write.as_ref().or(existing.bundle());
    let pods = ctx.pods_of(namespace, name);
    if let Some(bundle) = bundle {
        ctx.freshness.bundled(&key, bundle);
    }
    if let (Some(revision), Some(pods)) = (&plan.revision, &pods) {
        ctx.rollouts.follow(Delivery {
            object: &object,
            key,
            uid,
            revision,
            changed: rotated(&before.credentials, bundle),
            is_nudged: bundle.is_some_and(|bundle| bundle.fetch.is_some()),
            found,
            told: object
                .status
                .read()
                .and_then(|status| status.rotation.as_ref()),
            pods,
        });
    }
    let template = sidecar::template_digest(&ctx.template, &routes);
    let outdated = |pods: &Vec<_>| pods::outdated(pods.iter().map(Arc::as_ref), &template);
    let status = AgentIdentityStatus {
        observed_generation: object.metadata.generation,
        conditions: conditions::merge(
            &before.conditions,
            &plan.findings,
            object.metadata.generation,
            now,
        ),
        bound_pods: pods.as_ref().map(|pods| number(pods.len())),
        outdated_pods: pods.as_ref().map(|pods| number(outdated(pods))),
        bundle_revision: plan.revision.clone(),
        observed_refresh: object.annotations().get(REFRESH_ANNOTATION).cloned(),
        credentials: freshness::credentials(
            &before.credentials,
            bundle,
            &Learnt {
                answered: &answered,
                ages: &ages,
                failures: &plan.failures,
                period,
                max_staleness,
                now,
            },
        ),
        rotation: None,
    };
    let identities = Api::<AgentIdentity>::namespaced(ctx.client.clone(), namespace);
    let told = status::write(&identities, CONTROLLER_MANAGER, name, uid, &before, &status).await;
    events::publish(
        &ctx.recorder,
        &*object,
        notices::notices(&before.conditions, &plan),
    )
    .await;
    told?;
    match failed {
        Some(error) => Err(error),
        None => {
            let period = interval::jitter(if plan.soon { interval::SOON } else { period });
            let due = due.map(|due| due.max(interval::SOON));
            // What must not be used any longer is taken out at that moment.
            let times = due.into_iter().chain(plan.stale_in);
            Ok(Action::requeue(times.fold(period, Duration::min)))
        }
    }
}

/// The credentials that have another value in `bundle` than the status `told`: an earlier leader may have written the bundle and come no further.
fn rotated(told: &[CredentialStatus], bundle: Option<&Bundle>) -> BTreeSet<String> {
    let secrets = bundle.iter().flat_map(|bundle| &bundle.secrets);
    let is_other = |(name, secret): &(&String, &VersionedSecret)| {
        let told = told.iter().find(|told| told.name == **name);
        let version = told.and_then(|told| told.version.as_ref());
        version.is_some_and(|version| *version != secret.version)
    };
    secrets
        .filter(is_other)
        .map(|(name, _)| name.clone())
        .collect()
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// What the status says, but for what another manager writes: see `rollout`.
fn own_status(object: &IdentityObject) -> AgentIdentityStatus {
    AgentIdentityStatus {
        rotation: None,
        ..object.status.read().cloned().unwrap_or_default()
    }
}

/// Says in the status that the reconcile ended with `error`. What else the status says stays.
async fn report(ctx: &Context, object: &IdentityObject, owner: Id<'_>, error: Error) -> Error {
    let before = own_status(object);
    let finding = Finding::fails(READY, error.reason(), error.to_string());
    let status = AgentIdentityStatus {
        conditions: conditions::merge(
            &before.conditions,
            &[finding],
            object.metadata.generation,
            Timestamp::now(),
        ),
        ..before.clone()
    };
    let identities = Api::<AgentIdentity>::namespaced(ctx.client.clone(), owner.namespace);
    if ctx.leadership.is_held()
        && let Err(unwritten) = status::write(
            &identities,
            CONTROLLER_MANAGER,
            owner.name,
            owner.uid,
            &before,
            &status,
        )
        .await
    {
        tracing::warn!(error = %unwritten, "the error could not be told in the status");
    }
    error
}

/// The identity called `name` in `namespace`, as the queue names it.
pub(super) fn key(namespace: &str, name: &str) -> ObjectRef<IdentityObject> {
    ObjectRef::new(name).within(namespace)
}

/// Whether a credential of `object`, or of the last good spec of it, may come from a path of the store called `name` that `is_meant`.
pub(super) fn reads(object: &IdentityObject, name: &str, is_meant: impl Fn(&str) -> bool) -> bool {
    object.spec.read().is_none_or(|spec| {
        spec.credentials.iter().any(|credential| {
            let store = credential.source.store.as_ref();
            store.is_some_and(|store| store.name == name && is_meant(&store.path))
        })
    })
}

/// Whether the status says `Ready`.
pub(super) fn is_ready(object: &IdentityObject) -> bool {
    let status = object.status.read();
    status
        .and_then(|status| conditions::find(&status.conditions, READY))
        .is_some_and(|ready| ready.status == "True")
}

//! Which change of which object makes which other object be reconciled.

use futures::channel::mpsc::UnboundedSender;
use kube::{
    ResourceExt as _,
    runtime::reflector::{ObjectRef, Store},
};
use postern_crds::{credential_store::StoreRefresh, names::REFRESH_ANNOTATION, policy};

use super::{
    agent_identity, credential_store, egress_policy,
    feed::Change,
    object::{IdentityObject, PolicyObject, StoreObject},
    pods::{Counted, PodMeta},
};

/// What of an identity is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IdentityDigest {
    /// What makes itself be reconciled.
    own: (Option<String>, Option<i64>, Option<String>),
    /// What makes its policies be reconciled: the bundle may have changed.
    bundle: Option<String>,
}

pub(crate) fn identity_digest(object: &IdentityObject) -> IdentityDigest {
    IdentityDigest {
        own: (
            object.uid(),
            object.metadata.generation,
            object.annotations().get(REFRESH_ANNOTATION).cloned(),
        ),
        bundle: object
            .status
            .read()
            .and_then(|status| status.bundle_revision.clone()),
    }
}

/// An identity concerns itself and the policies that target it. `forget` is told of one that is gone.
pub(crate) fn on_identity(
    identities: UnboundedSender<ObjectRef<IdentityObject>>,
    policies: UnboundedSender<ObjectRef<PolicyObject>>,
    known: Store<PolicyObject>,
    forget: impl Fn(&ObjectRef<IdentityObject>),
) -> impl FnMut(&ObjectRef<IdentityObject>, Change<'_, IdentityDigest>) {
    move |key, change| {
        let own = |digest: Option<&IdentityDigest>| digest.map(|digest| digest.own.clone());
        match change.after {
            None => forget(key),
            Some(_) if own(change.before) != own(change.after) => send(&identities, key.clone()),
            Some(_) => {}
        }
        let concerned = known.state_filter(|policy| {
            policy.metadata.namespace == key.namespace && egress_policy::concerns(policy, &key.name)
        });
        for policy in concerned {
            send(&policies, ObjectRef::from_obj(&*policy));
        }
    }
}

/// What of a policy is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PolicyDigest {
    version: (Option<String>, Option<i64>),
    /// The identities that it concerns; `None` if that may be any. An invalid policy stays in force wherever it was, whatever its targets
    /// are now, and it ends there when it is mended.
    targets: Option<Vec<String>>,
}

pub(crate) fn policy_digest(object: &PolicyObject) -> PolicyDigest {
    let valid = object
        .spec
        .read()
        .is_some_and(|spec| policy::check(spec).is_ok());
    PolicyDigest {
        version: (object.uid(), object.metadata.generation),
        targets: object.targets().filter(|_| valid),
    }
}

/// A policy concerns itself, the identities that it targets, and those that it targeted.
pub(crate) fn on_policy(
    policies: UnboundedSender<ObjectRef<PolicyObject>>,
    identities: UnboundedSender<ObjectRef<IdentityObject>>,
    known: Store<IdentityObject>,
) -> impl FnMut(&ObjectRef<PolicyObject>, Change<'_, PolicyDigest>) {
    move |key, change| {
        if change.after.is_some() {
            send(&policies, key.clone());
        }
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let targets: Option<Vec<&Vec<String>>> = [change.before, change.after]
            .into_iter()
            .flatten()
            .map(|digest| digest.targets.as_ref())
            .collect();
        match targets {
            Some(targets) => {
                for name in targets.into_iter().flatten() {
                    send(&identities, agent_identity::key(namespace, name));
                }
            }
            None => {
                for identity in
                    known.state_filter(|identity| identity.metadata.namespace == key.namespace)
                {
                    send(&identities, ObjectRef::from_obj(&*identity));
                }
            }
        }
    }
}

/// A pod concerns the identity that it has, and the one that it had.
pub(crate) fn on_pod(
    identities: UnboundedSender<ObjectRef<IdentityObject>>,
) -> impl FnMut(&ObjectRef<PodMeta>, Change<'_, Counted>) {
    move |key, change| {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        for name in [change.before, change.after]
            .into_iter()
            .flatten()
            .filter_map(|pod| pod.identity.as_deref())
        {
            send(&identities, agent_identity::key(namespace, name));
        }
    }
}

/// What of a store is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoreDigest {
    /// What makes itself be looked at, and whoever reads there.
    own: (Option<String>, Option<i64>, Option<String>),
    /// One that is ready again has answers for those who have none.
    ready: bool,
    /// What was told about it from outside.
    refresh: Option<StoreRefresh>,
}

pub(crate) fn store_digest(object: &StoreObject) -> StoreDigest {
    StoreDigest {
        own: (
            object.uid(),
            object.metadata.generation,
            object.annotations().get(REFRESH_ANNOTATION).cloned(),
        ),
        ready: credential_store::is_ready(object),
        refresh: credential_store::refresh(object).cloned(),
    }
}

/// The identities of one scope, and how they are asked for.
pub(crate) type Readers = (
    UnboundedSender<ObjectRef<IdentityObject>>,
    Store<IdentityObject>,
);

/// A store concerns itself and the identities that read there; what is told about some of its paths, those that read these. `forget` is told of one that is
/// gone.
pub(crate) fn on_store(
    stores: UnboundedSender<ObjectRef<StoreObject>>,
    readers: Vec<Readers>,
    forget: impl Fn(&str),
) -> impl FnMut(&ObjectRef<StoreObject>, Change<'_, StoreDigest>) {
    move |key, change| {
        let own = |digest: Option<&StoreDigest>| digest.map(|digest| digest.own.clone());
        let ready = |digest: Option<&StoreDigest>| digest.is_some_and(|digest| digest.ready);
        let changed = own(change.before) != own(change.after);
        let all = changed || (ready(change.after) && !ready(change.before));
        let told = |digest: Option<&StoreDigest>| digest.and_then(|digest| digest.refresh.clone());
        let told = told(change.after).filter(|now| told(change.before).as_ref() != Some(now));
        match change.after {
            None => forget(&key.name),
            Some(_) if changed || told.is_some() => send(&stores, key.clone()),
            Some(_) => {}
        }
        if all || told.is_some() {
            let is_meant =
                |path: &str| all || told.as_ref().is_some_and(|told| told.is_about(path));
            for (queue, identities) in &readers {
                let concerned = identities
                    .state_filter(|identity| agent_identity::reads(identity, &key.name, is_meant));
                for identity in concerned {
                    send(queue, ObjectRef::from_obj(&*identity));
                }
            }
        }
    }
}

/// A queue whose reader is gone belongs to a replica that has stopped leading.
fn send<K: kube::Resource>(queue: &UnboundedSender<ObjectRef<K>>, key: ObjectRef<K>) {
    let _ = queue.unbounded_send(key);
}

#[cfg(test)]
mod tests;

//! Keeps the status of one `CredentialStore`: whether it answers and lets the operator in. No secret is read for that.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, runtime::controller::Action};
use postern_crds::{
    CredentialStore, CredentialStoreStatus, credential_store::StoreRefresh,
    names::CONTROLLER_MANAGER,
};

use super::{
    Error,
    conditions::{self, Finding},
    interval,
    object::StoreObject,
    status,
};
use crate::{lease::Leadership, stores::Stores};

/// Condition: the store answers, over TLS that is as it should be, and lets the operator in.
const READY: &str = "Ready";
/// How often a store that is as it should be is looked at.
const CHECK: Duration = Duration::from_secs(60);
/// How often one that is not.
const CHECK_AGAIN: Duration = Duration::from_secs(15);

/// What every look at a store works with.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) leadership: Leadership,
    pub(super) stores: Arc<Stores>,
}

/// Looks at one store.
///
/// # Errors
/// If its status cannot be written.
pub(super) async fn reconcile(
    object: Arc<StoreObject>,
    ctx: Arc<Context>,
) -> Result<Action, Error> {
    let (Some(name), Some(uid)) = (&object.metadata.name, &object.metadata.uid) else {
        return Ok(Action::await_change());
    };
    let (finding, next) = match ctx.stores.check(&object).await {
        Ok(seen) => (Finding::holds(READY, "Ready", seen), CHECK),
        Err(problem) => {
            let finding = Finding::fails(READY, problem.reason(), problem.to_string());
            (finding, CHECK_AGAIN)
        }
    };
    // The rest is another manager's.
    let before = CredentialStoreStatus {
        refresh: None,
        ..object.status.read().cloned().unwrap_or_default()
    };
    let status = CredentialStoreStatus {
        observed_generation: object.metadata.generation,
        conditions: conditions::merge(
            &before.conditions,
            &[finding],
            object.metadata.generation,
            Timestamp::now(),
        ),
        refresh: None,
    };
    // Asked here: the look took a while, and only the leader may write.
    if !ctx.leadership.is_held() {
        return Err(Error::NotLeading);
    }
    let stores = Api::<CredentialStore>::all(ctx.client.clone());
    status::write(&stores, CONTROLLER_MANAGER, name, uid, &before, &status).await?;
    Ok(Action::requeue(interval::jitter(next)))
}

/// What was last told about it from outside.
pub(super) fn refresh(object: &StoreObject) -> Option<&StoreRefresh> {
    object.status.read()?.refresh.as_ref()
}

/// Whether the status says `Ready`.
pub(super) fn is_ready(object: &StoreObject) -> bool {
    let status = object.status.read();
    status
        .and_then(|status| conditions::find(&status.conditions, READY))
        .is_some_and(|ready| ready.status == "True")
}

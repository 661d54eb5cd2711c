//! Writing a status.

use std::fmt::Debug;

use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    core::NamespaceResourceScope,
};
use postern_crds::names::CONTROLLER_MANAGER;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Error, object::Id};
use crate::kube_error;

/// Makes `status` the status of the `K` that is `object`, unless it was that `before`.
pub(crate) async fn write<K, S>(
    client: &Client,
    object: Id<'_>,
    before: &S,
    status: &S,
) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + Debug,
    S: Serialize + PartialEq,
{
    if before == status {
        return Ok(());
    }
    let objects = Api::<K>::namespaced(client.clone(), object.namespace);
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // The UID keeps a status that was computed for a deleted object from its successor.
        "metadata": { "name": object.name, "uid": object.uid },
        "status": status,
    });
    let params = PatchParams::apply(CONTROLLER_MANAGER).force();
    match objects
        .patch_status(object.name, &params, &Patch::Apply(patch))
        .await
    {
        Ok(_) => Ok(()),
        // It was deleted meanwhile.
        Err(error) if kube_error::code(&error) == Some(404) => Ok(()),
        Err(error) => Err(Error::WriteStatus(error)),
    }
}

//! Writing a status.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::Error;
use crate::kube_error;

/// Makes `status` what `manager` says in the status of that one of `objects` that has this `name` and `uid`, unless it was that `before`. What other managers
/// say there stays.
pub(crate) async fn write<K, S>(
    objects: &Api<K>,
    manager: &str,
    name: &str,
    uid: &str,
    before: &S,
    status: &S,
) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug,
    S: Serialize + PartialEq,
{
    if before == status {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        // The UID keeps a status that was computed for a deleted object from its successor.
        "metadata": { "name": name, "uid": uid },
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    match objects
        .patch_status(name, &params, &Patch::Apply(patch))
        .await
    {
        Ok(_) => Ok(()),
        // It was deleted meanwhile.
        Err(error) if kube_error::code(&error) == Some(404) => Ok(()),
        Err(error) => Err(Error::WriteStatus(error)),
    }
}

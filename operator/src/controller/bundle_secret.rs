//! The Secret `postern-<identity>` that carries a bundle to the sidecars.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString, api::core::v1::Secret as SecretObject,
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams},
};
use postern_crds::{
    AgentIdentity, Bundle,
    names::{BUNDLE_KEY, BUNDLE_SECRET_TYPE, CONTROLLER_MANAGER, IDENTITY_LABEL, bundle_secret},
};

use super::object::Id;
use crate::stores::Lease;

/// The key beside the bundle's that tells what leases its credentials have. No sidecar reads it.
const LEASES_KEY: &str = "leases.json";

/// The label that says who keeps an object.
const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// What is in the cluster under the bundle's name.
#[derive(Debug)]
pub(crate) enum Existing {
    /// Nothing.
    Absent,
    /// A Secret of this identity.
    Ours(Box<Ours>),
    /// A Secret of somebody else, which is left alone.
    Foreign {
        /// It belonged to an identity of the same name that was deleted: the garbage collector is about to remove it.
        left_over: bool,
    },
}

/// A Secret of this identity.
#[derive(Debug)]
pub(crate) struct Ours {
    /// The bundle in it; `None` if it cannot be read (it was edited, or a newer operator wrote it).
    pub(crate) bundle: Option<Bundle>,
    /// Whether the rest of the object is as we write it.
    pub(crate) intact: bool,
    /// What its credentials are leased by.
    pub(crate) leases: Vec<Lease>,
    bytes: postern_crds::Secret,
}

impl Existing {
    /// The last bundle that was written for this identity.
    pub(crate) fn bundle(&self) -> Option<&Bundle> {
        match self {
            Self::Ours(ours) => ours.bundle.as_ref(),
            Self::Absent | Self::Foreign { .. } => None,
        }
    }

    /// What its credentials are leased by.
    pub(crate) fn leases(&self) -> &[Lease] {
        match self {
            Self::Ours(ours) => &ours.leases,
            Self::Absent | Self::Foreign { .. } => &[],
        }
    }

    /// Whether writing `bundle` would change nothing.
    pub(crate) fn is_already(&self, bundle: &Bundle) -> bool {
        match self {
            Self::Ours(ours) => ours.intact && ours.bytes.expose() == bundle.to_json().as_slice(),
            Self::Absent | Self::Foreign { .. } => false,
        }
    }

    pub(crate) fn of(object: SecretObject, owner: Id<'_>) -> Self {
        let controller = object
            .owner_references()
            .iter()
            .find(|reference| reference.controller == Some(true));
        if controller.is_none_or(|reference| reference.uid != owner.uid)
            || object.type_.as_deref() != Some(BUNDLE_SECRET_TYPE)
        {
            let kind = AgentIdentity::kind(&());
            return Self::Foreign {
                left_over: controller.is_some_and(|reference| {
                    reference.kind == kind
                        && reference.name == owner.name
                        && reference.uid != owner.uid
                }),
            };
        }
        let intact = labels(owner)
            .iter()
            .all(|(key, value)| object.labels().get(key) == Some(value));
        let mut data = object.data.unwrap_or_default();
        let leases = data.remove(LEASES_KEY).unwrap_or_default();
        // Somebody may have edited it. What is forgotten ends by itself.
        let leases = serde_json::from_slice(&leases.0).unwrap_or_default();
        let bytes = data.remove(BUNDLE_KEY).unwrap_or_default();
        let bytes = postern_crds::Secret::new(bytes.0);
        let bundle = Bundle::parse(bytes.expose()).ok();
        // A bundle of another identity has no business here, whoever put it there.
        let bundle = bundle
            .filter(|bundle| bundle.namespace == owner.namespace && bundle.identity == owner.name);
        Self::Ours(Box::new(Ours {
            bundle,
            intact,
            leases,
            bytes,
        }))
    }
}

/// Reads what is there.
pub(crate) async fn read(client: &Client, owner: Id<'_>) -> Result<Existing, kube::Error> {
    let secrets = Api::<SecretObject>::namespaced(client.clone(), owner.namespace);
    let object = secrets.get_opt(&bundle_secret(owner.name)).await?;
    Ok(object.map_or(Existing::Absent, |object| Existing::of(object, owner)))
}

/// Writes `bundle` and what its credentials are leased by. A Secret that is `existing` and ours is taken back from whoever edited it; one that appeared meanwhile is not.
pub(crate) async fn write(
    client: &Client,
    owner: Id<'_>,
    bundle: &Bundle,
    leases: &[Lease],
    existing: &Existing,
) -> Result<(), kube::Error> {
    let secrets = Api::<SecretObject>::namespaced(client.clone(), owner.namespace);
    let params = PatchParams {
        force: matches!(existing, Existing::Ours(_)),
        ..PatchParams::apply(CONTROLLER_MANAGER)
    };
    let object = object(owner, bundle, leases);
    secrets
        .patch_metadata(&bundle_secret(owner.name), &params, &Patch::Apply(&object))
        .await?;
    Ok(())
}

/// The Secret that carries `bundle` and `leases`.
pub(crate) fn object(owner: Id<'_>, bundle: &Bundle, leases: &[Lease]) -> SecretObject {
    let bytes = bundle.to_json().to_vec();
    let mut data = BTreeMap::from([(BUNDLE_KEY.to_owned(), ByteString(bytes))]);
    if !leases.is_empty() {
        let leases = serde_json::to_vec(leases).expect("leases have string keys only");
        data.insert(LEASES_KEY.to_owned(), ByteString(leases));
    }
    SecretObject {
        metadata: ObjectMeta {
            name: Some(bundle_secret(owner.name)),
            namespace: Some(owner.namespace.to_owned()),
            labels: Some(labels(owner).into()),
            owner_references: Some(vec![OwnerReference {
                api_version: AgentIdentity::api_version(&()).into_owned(),
                kind: AgentIdentity::kind(&()).into_owned(),
                name: owner.name.to_owned(),
                uid: owner.uid.to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        type_: Some(BUNDLE_SECRET_TYPE.to_owned()),
        data: Some(data),
        ..SecretObject::default()
    }
}

fn labels(owner: Id<'_>) -> [(String, String); 2] {
    [
        (MANAGED_BY_LABEL.to_owned(), "postern".to_owned()),
        (IDENTITY_LABEL.to_owned(), owner.name.to_owned()),
    ]
}

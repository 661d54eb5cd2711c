//! `CredentialStore`: a place outside the cluster that secrets may come from, and who may have them.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, MicroTime};
use kube::{
    CustomResource, KubeSchema,
    core::{Selector, SelectorExt as _},
};
use serde::{Deserialize, Serialize};

use crate::agent_identity::KeyRef;

mod aws;
mod check;
mod http;
mod vault;

pub use aws::{AssumeRole, AwsAuth, AwsSecretsManagerStore, AwsStoreKeys, WebIdentity};
pub use check::check;
pub use http::{HttpStore, StoreHeader, ValueEncoding};
pub use vault::{
    AppRoleAuth, JwtAuth, KubernetesAuth, KvEngine, KvVersion, LogicalEngine, TokenAuth, VaultAuth,
    VaultEngine, VaultStore,
};

/// A place outside the cluster that secrets may come from, and which namespaces may have them.
///
/// It is cluster-scoped and the platform engineer's. What it names itself (Secrets and ConfigMaps) is in the operator's own namespace, so that
/// whoever may write a store cannot make the operator read Secrets elsewhere.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "CredentialStore",
    plural = "credentialstores",
    doc = "A place outside the cluster that secrets may come from, and which namespaces may have them.",
    shortname = "cst",
    category = "postern",
    status = "CredentialStoreStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    validation = ("size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", "the name stands in sources and versions: use at most 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit")
)]
#[x_kube(validation = ("[has(self.vault), has(self.awsSecretsManager), has(self.http)].exists_one(set, set)", "set exactly one kind of store: vault, awsSecretsManager, http"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialStoreSpec {
    /// HashiCorp Vault or OpenBao.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<VaultStore>,

    /// AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_secrets_manager: Option<AwsSecretsManagerStore>,

    /// Any other that answers with JSON over HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpStore>,

    /// How the store's certificate is verified. Without it, public authorities are trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<StoreTls>,

    /// Namespaces whose identities may have secrets of this store, by their labels; `{}` is all of them. Without it, none may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,
}

impl CredentialStoreSpec {
    /// Whether identities of a namespace with these `labels` may have secrets of this store. A selector that cannot be read selects nothing.
    pub fn allows(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        self.allowed_namespaces.as_ref().is_some_and(|selector| {
            Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
        })
    }

    /// Whether [`allows`](Self::allows) says yes whatever the labels are.
    pub fn allows_all(&self) -> bool {
        self.allowed_namespaces
            .as_ref()
            .is_some_and(|selector| *selector == LabelSelector::default())
    }
}

/// How a store's certificate is verified.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreTls {
    /// Certificate authorities to trust, instead of the public ones.
    pub ca_bundle: StoreCaBundle,
}

/// A PEM bundle of certificate authorities. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("has(self.configMap)", "set exactly one source of the bundle: configMap"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreCaBundle {
    /// A ConfigMap in the operator's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<KeyRef>,
}

/// The longest path in a store, in bytes.
pub const STORE_PATH_LIMIT: usize = 512;

/// What the controller found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStoreStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: the store answers, over TLS that is as it should be, and lets the operator in.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What was last told about it from outside, as by an event of its own. Any change makes the controller read what it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<StoreRefresh>,
}

/// That something changed in a store, as somebody with the operator's token for events says.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StoreRefresh {
    /// When it was said.
    pub requested_at: MicroTime,
    /// The paths that it is about, as sources write them; none if it may be any.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 512)))]
    pub paths: Vec<String>,
}

impl StoreRefresh {
    /// The most paths that one names; more are as good as any.
    pub const MAX_PATHS: usize = 16;

    /// Whether it may be about `path`.
    pub fn is_about(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|one| one == path)
    }
}

//! `vault`: HashiCorp Vault and OpenBao.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::agent_identity::KeyRef;

/// A server of Vault or OpenBao.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultStore {
    /// Where it is, as in `https://vault.corp:8200`.
    #[schemars(schema_with = "address_schema")]
    pub address: String,

    /// Its namespace, as in `team-a/prod`; sent as `X-Vault-Namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "mount_schema")]
    pub namespace: Option<String>,

    /// How the operator logs in.
    pub auth: VaultAuth,

    /// The secrets engine. Without it, KV version 2 at `secret`.
    #[serde(default)]
    pub engine: VaultEngine,
}

pub(super) fn address_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 9, "maxLength": 512, "pattern": ADDRESS })
}

/// An address: https, a host, perhaps a port; no path, user or query.
pub(super) const ADDRESS: &str = r"^https://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$";

pub(super) fn mount_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 253, "pattern": MOUNT })
}

/// Segments of plain characters with a slash between them: a path of mounts, or a namespace.
pub(super) const MOUNT: &str = "^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$";

/// How the operator logs in. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = ("[has(self.kubernetes), has(self.jwt), has(self.appRole), has(self.token)].exists_one(set, set)", "set exactly one way to log in: kubernetes, jwt, appRole, token"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultAuth {
    /// By a token of the operator's service account, which the server has Kubernetes review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesAuth>,
    /// By a JWT, which the server verifies itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtAuth>,
    /// By a role's id and a secret id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_role: Option<AppRoleAuth>,
    /// By a token that somebody made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenAuth>,
}

/// A token of the operator's service account, which the server has Kubernetes review.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesAuth {
    /// The role to log in under.
    #[schemars(schema_with = "role_schema")]
    pub role: String,
    /// Where the auth method is mounted.
    #[serde(default = "kubernetes")]
    #[schemars(schema_with = "mount_schema")]
    pub mount_path: String,
    /// Audience of the token, which the role must name too. Without it, the store's address as it is written, so that no other store can use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "audience_schema")]
    pub audience: Option<String>,
}

/// A JWT, which the server verifies itself.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("!has(self.secret) || !has(self.audience)", "audience is of the service account's token and has no meaning beside secret"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtAuth {
    /// The role to log in under.
    #[schemars(schema_with = "role_schema")]
    pub role: String,
    /// Where the auth method is mounted.
    #[serde(default = "jwt")]
    #[schemars(schema_with = "mount_schema")]
    pub mount_path: String,
    /// A Secret in the operator's namespace with the JWT. Without it, a token of the operator's service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeyRef>,
    /// Audience of the service account's token, which the role must name too. Without it, the store's address as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "audience_schema")]
    pub audience: Option<String>,
}

/// A role's id and a secret id.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppRoleAuth {
    /// The role's id. It is no secret.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[!-~]+$"))]
    pub role_id: String,
    /// A Secret in the operator's namespace with the secret id.
    pub secret_id: KeyRef,
    /// Where the auth method is mounted.
    #[serde(default = "app_role")]
    #[schemars(schema_with = "mount_schema")]
    pub mount_path: String,
}

/// A token that somebody made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenAuth {
    /// A Secret in the operator's namespace with the token. The operator does not renew it.
    pub secret: KeyRef,
}

fn role_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$" })
}

fn audience_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[!-~]+$" })
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn jwt() -> String {
    "jwt".to_owned()
}

fn app_role() -> String {
    "approle".to_owned()
}

fn secret() -> String {
    "secret".to_owned()
}

/// A secrets engine. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("has(self.kv) != has(self.logical)", "set exactly one kind of engine: kv, logical"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultEngine {
    /// Key and value, version 1 or 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvEngine>,
    /// Any other whose reading answers with `data`. What it makes for each reading is kept and renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical: Option<LogicalEngine>,
}

impl Default for VaultEngine {
    fn default() -> Self {
        Self {
            kv: Some(KvEngine::default()),
            logical: None,
        }
    }
}

/// The KV secrets engine.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KvEngine {
    /// Its version, 1 or 2: 2 keeps versions of a secret.
    #[serde(default)]
    #[schemars(schema_with = "kv_version_schema")]
    pub version: KvVersion,
    /// Where it is mounted.
    #[serde(default = "secret")]
    #[schemars(schema_with = "mount_schema")]
    pub mount_path: String,
}

impl Default for KvEngine {
    fn default() -> Self {
        Self {
            version: KvVersion::default(),
            mount_path: secret(),
        }
    }
}

/// Versions of the KV secrets engine.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(try_from = "u8", into = "u8")]
pub enum KvVersion {
    /// Without versions of a secret.
    V1,
    /// With them.
    #[default]
    V2,
}

impl TryFrom<u8> for KvVersion {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            _ => Err("the version of a KV engine is 1 or 2"),
        }
    }
}

impl From<KvVersion> for u8 {
    fn from(version: KvVersion) -> Self {
        match version {
            KvVersion::V1 => 1,
            KvVersion::V2 => 2,
        }
    }
}

fn kv_version_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": 2 })
}

/// Any secrets engine.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogicalEngine {
    /// Where it is mounted. Not one of those that tell of the operator's own login.
    #[schemars(schema_with = "mount_schema")]
    #[x_kube(validation = ("!(self.split('/')[0] in ['sys', 'auth', 'cubbyhole', 'identity'])", "what is below sys, auth, cubbyhole and identity is of the operator's own login and no credential of an agent"))]
    pub mount_path: String,
}

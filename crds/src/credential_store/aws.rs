//! `awsSecretsManager`: AWS Secrets Manager, in one region of one account.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::vault::address_schema;
use crate::agent_identity::KeyRef;

/// AWS Secrets Manager, in one region of one account.
///
/// A source's path is the name or the ARN of a secret, its key a member of the JSON that the secret is (without a key, all of it is the credential), and its
/// version a staging label as in `AWSPENDING`, or a VersionId, which has at least 32 characters. Without a version, `AWSCURRENT`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsSecretsManagerStore {
    /// The region, as in `eu-west-1`.
    #[schemars(schema_with = "region_schema")]
    pub region: String,

    /// Where Secrets Manager is, as for a VPC endpoint without private DNS. Without it, the region's public endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "address_schema")]
    pub endpoint: Option<String>,

    /// Where the Security Token Service is, which gives credentials for roles and tells whose they are. Without it, the region's public endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "address_schema")]
    pub sts_endpoint: Option<String>,

    /// Who the operator is to AWS. Without it, what AWS gives the operator's pod: keys in its environment, a role of its service account (IRSA), or an EKS
    /// Pod Identity, in this order; never the node's own role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AwsAuth>,

    /// A role that is taken on top, as one of another account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
}

fn region_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 32, "pattern": REGION })
}

/// A name of a region. It becomes part of a host's name.
pub(super) const REGION: &str = "^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$";

/// Who the operator is to AWS. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = ("has(self.keys) != has(self.webIdentity)", "set exactly one way to log in: keys, webIdentity"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsAuth {
    /// The keys of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<AwsStoreKeys>,
    /// A role that trusts the cluster's issuer of service accounts' tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_identity: Option<WebIdentity>,
}

/// The keys of a user, in Secrets of the operator's namespace. They are read again when AWS refuses them, and every few minutes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsStoreKeys {
    /// The id of the access key.
    pub access_key_id: KeyRef,
    /// The secret access key.
    pub secret_access_key: KeyRef,
    /// The session's token, where the keys are temporary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<KeyRef>,
}

/// A role that trusts the cluster's issuer of service accounts' tokens: the operator shows a token of its own service account, and needs neither an annotation
/// nor a webhook of EKS.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebIdentity {
    /// The role's ARN.
    #[schemars(schema_with = "role_schema")]
    pub role_arn: String,
    /// Audience of the token, which the identity provider at AWS must name too.
    #[serde(default = "audience")]
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[!-~]+$"))]
    pub audience: String,
    /// What CloudTrail calls the operator.
    #[serde(default = "session_name")]
    #[schemars(schema_with = "session_schema")]
    pub session_name: String,
}

/// A role that is taken with other credentials.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssumeRole {
    /// The role's ARN.
    #[schemars(schema_with = "role_schema")]
    pub role_arn: String,
    /// What the role's owner demands of whoever takes it. It is no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "external_id_schema")]
    pub external_id: Option<String>,
    /// What CloudTrail calls the operator.
    #[serde(default = "session_name")]
    #[schemars(schema_with = "session_schema")]
    pub session_name: String,
}

fn role_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 20, "maxLength": 2048, "pattern": ROLE })
}

fn external_id_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 2, "maxLength": 1224, "pattern": EXTERNAL_ID })
}

fn session_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 2, "maxLength": 64, "pattern": SESSION })
}

/// The ARN of a role.
pub(super) const ROLE: &str = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]+$";
/// What `AssumeRole` takes as an external id (docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html).
pub(super) const EXTERNAL_ID: &str = "^[A-Za-z0-9_+=,.@:/-]+$";
/// And as the name of a session.
pub(super) const SESSION: &str = "^[A-Za-z0-9_+=,.@-]+$";

fn audience() -> String {
    "sts.amazonaws.com".to_owned()
}

fn session_name() -> String {
    "postern".to_owned()
}

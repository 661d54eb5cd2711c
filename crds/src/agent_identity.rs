//! `AgentIdentity`: which credentials a workload may use, and where they come from.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{interval, provider, rules};

mod inject;

pub(crate) use inject::WAYS;
pub use inject::{
    AuthStyle, AwsSigV4Inject, BasicInject, BearerInject, CONNECTION_HEADERS, CookieInject,
    GcpServiceAccountInject, HeaderInject, HmacAlgorithm, HmacEncoding, HmacHeader, HmacInject,
    Inject, KeyEncoding, OAuth2Inject, QueryInject, TimestampFormat,
};

// Nothing in it is immutable. Who may change an identity may as well delete it and create another, so immutability would protect nothing, and
// each member has a good reason to change under a running workload: another service account joins, a service moves, a source is renamed.
/// The credentials a workload may use through its sidecar, and where they come from.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "AgentIdentity",
    plural = "agentidentities",
    namespaced,
    doc = "The credentials a workload may use through its sidecar, and where they come from.",
    shortname = "aid",
    category = "postern",
    status = "AgentIdentityStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Pods","type":"integer","jsonPath":".status.boundPods"}"#,
    printcolumn = r#"{"name":"Outdated","type":"integer","jsonPath":".status.outdatedPods"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Version","type":"string","priority":1,"jsonPath":".status.rotation.currentVersion"}"#,
    printcolumn = r#"{"name":"Sidecars","type":"integer","priority":1,"jsonPath":".status.rotation.sidecars"}"#,
    printcolumn = r#"{"name":"Current","type":"integer","priority":1,"jsonPath":".status.rotation.sidecarsOnCurrent"}"#,
    printcolumn = r#"{"name":"Rotated","type":"date","priority":1,"jsonPath":".status.rotation.completedAt"}"#,
    validation = ("size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", "the name becomes a label value: use at most 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentIdentitySpec {
    /// Service accounts whose pods may take this identity. Pods under any other are refused.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(inner(
        length(min = 1, max = 253),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    ))]
    pub service_account_names: Vec<String>,

    /// The credentials. A credential's name is also its route: `http://127.0.0.1:14080/<name>`.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub credentials: Vec<Credential>,

    /// How often the sources are read again, as in `30s`, `5m` or `1h`. Default `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = "^[1-9][0-9]*[smh]$"))]
    pub refresh_interval: Option<String>,

    /// For how long the last value of a credential stays in use while its source cannot be read, as in `1h`: after that, calls with it are denied until the
    /// source can be read again. By default for ever, so that a store that is down takes no agent with it; a source that answers that a secret is gone
    /// withdraws it at once, whatever is said here. The controller keeps it: while none runs, nothing goes stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = "^[1-9][0-9]*[smh]$"))]
    pub max_staleness: Option<String>,

    /// How a bundle comes to running pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,

    /// What models cost that Postern does not know, or knows wrongly: for rules and limits that speak of money. The first entry that matches a
    /// model counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub prices: Vec<ModelPrice>,
}

impl AgentIdentitySpec {
    /// Whether sidecars are asked to fetch a new bundle at once.
    pub fn is_nudged(&self) -> bool {
        self.delivery
            .as_ref()
            .is_some_and(|delivery| delivery.nudge)
    }
}

/// How a bundle comes to running pods.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// Besides mounting it, which takes the kubelet up to a minute and a half, the operator asks each sidecar to fetch a new bundle at once. A sidecar
    /// shows the token of its pod and something that only a mounted bundle tells, and takes an answer from nobody but the operator. Where that does not
    /// work, the mount comes all the same.
    #[serde(default)]
    pub nudge: bool,
}

/// What some models cost, in US dollars for a million tokens, each as in `"0.15"`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelPrice {
    /// Names of models as calls write them. `*` stands for any run of characters, `?` for one.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 256), regex(pattern = "^[ -~]+$"))
    )]
    pub models: Vec<String>,
    /// Input tokens.
    #[schemars(schema_with = "price_schema")]
    pub input: String,
    /// Input tokens read from a cache; as `input` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cached_input: Option<String>,
    /// Input tokens written into a cache; as `input` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub cache_write: Option<String>,
    /// Output tokens.
    #[schemars(schema_with = "price_schema")]
    pub output: String,
    /// Output tokens of reasoning; as `output` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "price_schema")]
    pub reasoning: Option<String>,
    /// The most output tokens that the model gives in one answer. Limits set that much aside for a call that does not say how many it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_output_tokens: Option<u64>,
}

fn price_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 15, "pattern": "^[0-9]{1,8}([.][0-9]{1,6})?$" })
}

/// One credential: the service it opens, and where its secret comes from.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(
    validation = rules::endpoint_of_one_s_own(),
    validation = rules::name_of_the_gateway(),
    validation = ("has(self.provider) != has(self.http)", "set exactly one of provider (a service that Postern knows) and http (any other)"),
    validation = ("!has(self.http) || !has(self.endpoint)", "endpoint goes with provider; with http, name the hosts there"),
    validation = ("!has(self.deployments) || (has(self.provider) && self.provider == 'azure-openai')", "deployments goes with provider azure-openai only"),
    validation = ("!has(self.http) || !has(self.inject)", "inject goes with provider; with http, say it there"),
    validation = ("!has(self.endpoint) || !self.endpoint.startsWith('http://') || (has(self.allowPlaintext) && self.allowPlaintext)", "an http:// endpoint sends the credential in clear text: set allowPlaintext: true beside it if that is meant"),
    validation = ("!has(self.allowPlaintext) || !self.allowPlaintext || (has(self.endpoint) && self.endpoint.startsWith('http://'))", "allowPlaintext goes with an http:// endpoint only"),
    validation = ("!has(self.tls) || !has(self.endpoint) || self.endpoint.startsWith('https://')", "tls has no meaning for an http:// endpoint")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// Name of the credential: what rules refer to, and the first segment of its route.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// A service that Postern knows: hosts, injection, environment and error shape come from its registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "provider::name_schema")]
    pub provider: Option<String>,

    /// A service that the registry does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpService>,

    /// Another address of the provider, as in `https://vllm.models.svc:8443/v1`. The credential is then bound to that host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 8, max = 512),
        regex(pattern = "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$")
    )]
    pub endpoint: Option<String>,

    /// Allows an `http://` endpoint, over which the credential travels in clear text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_plaintext: bool,

    /// How the secret is put into a request, where that is not the provider's usual way, as of a gateway that wants a token of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject: Option<Inject>,

    /// How the upstream's certificate is verified, beside the public roots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// For `azure-openai`: which model stands behind which deployment, as in `{fast: gpt-4o-mini}`. Rules, prices and metrics speak of the
    /// model then. A deployment that is not here may have any model behind it: an `Allow` may name it, and every `Deny` of a model is about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "deployments_schema")]
    pub deployments: BTreeMap<String, String>,

    /// For how long after a change of the secret its previous value is still looked for in answers, as in `10m`; at most `24h`, by default `10m`. Nothing
    /// new is sent with it, but its provider may take it, and show it, for that long. Each sidecar keeps it in its own memory and wipes it then; one that
    /// starts after the change never had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = "^[1-9][0-9]*[smh]$"))]
    #[x_kube(validation = ("duration(self) <= duration('24h')", "use at most 24h"))]
    pub overlap: Option<String>,

    /// Where the secret comes from.
    pub source: Source,
}

/// `overlap` where a credential says nothing: longer than all sidecars take to get a new value, and than providers mostly leave an old one in force.
const OVERLAP: Duration = Duration::from_secs(10 * 60);
/// The longest `overlap`: a value that was taken out of use has no place in memory for ever.
pub(crate) const MAX_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

impl Credential {
    /// For how long a value of its secret is known after another one took its place.
    pub fn overlap(&self) -> Duration {
        let said = self.overlap.as_deref().and_then(interval::parse);
        said.map_or(OVERLAP, |said| said.min(MAX_OVERLAP))
    }

    /// How its secret is put into a request: as it says itself, or else as its provider wants it. `None` where it has neither.
    pub fn inject(&self) -> Option<&Inject> {
        self.inject
            .as_ref()
            .or(self.http.as_ref().map(|http| &http.inject))
            .or_else(|| Some(&provider::find(self.provider.as_deref()?)?.inject))
    }
}

fn deployments_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 128,
        "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$" },
    })
}

/// A service described in place.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpService {
    /// The one host the credential may be sent to, port 443 unless said (`crm.example.com`, `crm.example.com:8443`).
    #[schemars(length(min = 1, max = 1))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(inner(
        length(min = 1, max = 259),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$")
    ))]
    pub hosts: Vec<String>,

    /// How the secret is put into a request.
    pub inject: Inject,
}

/// How an upstream's certificate is verified.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Certificate authorities to trust for this credential, beside the public ones.
    pub ca_bundle: CaBundle,
}

/// A PEM bundle of certificate authorities. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("has(self.configMap)", "set exactly one source of the bundle: configMap"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaBundle {
    /// A ConfigMap in the identity's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<KeyRef>,
}

/// Where a secret comes from. Exactly one member.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[x_kube(validation = ("has(self.secret) != has(self.store)", "set exactly one source: secret, store"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// A Secret in the identity's namespace whose annotation `postern.dev/allow-identity` names the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeyRef>,
    /// A place in a `CredentialStore` that allows the identity's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreRef>,
}

/// A place in a `CredentialStore`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreRef {
    /// The store's name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The path in it, as in `ai/openai`, below what the store says of itself.
    #[schemars(length(min = 1, max = 512), regex(pattern = STORE_PATH))]
    #[x_kube(validation = ("!self.split('/').exists(segment, segment in ['.', '..'])", "the path must have no '.' and '..' segments"))]
    pub path: String,
    /// The member of what is there. Without it, all of it: a text, or one JSON document as `awsSigV4` and `gcpServiceAccount` take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[!-~]+$"))]
    pub key: Option<String>,
    /// One version, where the store keeps several. Without it, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9._-]+$"))]
    pub version: Option<String>,
}

/// Segments with a slash between them. `?`, `#`, `%` and `\` are not among the characters, so that a path cannot lead out of its place in an address.
pub(crate) const STORE_PATH: &str =
    "^[A-Za-z0-9._~!$&'()*+,;=:@-]+(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*$";

/// One key of a Secret or ConfigMap in the identity's namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRef {
    /// The object's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// What the controller found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentityStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `CredentialsResolved` and `PoliciesAccepted`.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Pods that run with this identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_pods: Option<i32>,
    /// Pods of `boundPods` that were injected from an older template; restarting them brings them up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outdated_pods: Option<i32>,
    /// Revision of the bundle that the pods receive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_revision: Option<String>,
    /// Value of `postern.dev/refresh` that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_refresh: Option<String>,
    /// The credentials of the spec in force.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialStatus>,
    /// How far the bundle has come to the sidecars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<RotationStatus>,
}

/// What is known of one credential. Nothing here tells anything of its value.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// The credential's name.
    pub name: String,
    /// The version of its source that the pods receive; absent while they receive none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When its value last changed in the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,
    /// When its source last gave it. Readings that change nothing are not all written down: while the source answers, it is at most ten minutes (or a quarter of
    /// `maxStaleness`, if that is less) and one `refreshInterval` old; once the source does not, it is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refresh: Option<Time>,
    /// By when `lastRefresh` moves if the source goes on to answer. One that has passed means that it does not, or that nobody asks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_refresh: Option<Time>,
    /// Why its source gave nothing, the last time it was asked; absent if it gave something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How far one version of the bundle has come to the sidecars. They are asked for it at their admin port.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    /// Revision of the bundle that the numbers are about.
    pub current_version: String,
    /// Sidecars that run with this identity.
    pub sidecars: i32,
    /// Those of them that say that they use `currentVersion`.
    pub sidecars_on_current: i32,
    /// The credentials whose values this version changed; none if it changed policies alone, or is the first.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<String>,
    /// When the change was found that made this version. A version that is overtaken on its way leaves its credentials and this time to the next.
    pub started_at: Time,
    /// When all sidecars were on it for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
    /// What is known of those that are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

//! `EgressPolicy`: which calls an identity may make.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::policy::METHODS;

mod limit;
mod mask;

pub use limit::{AssumedPrice, Currency, OnUnknownPrice, PolicyLimit, Scope};
pub use mask::{
    Detector, FieldAction, Mask, MaskDictionary, MaskField, MaskPattern, MaskStyle, Region,
    RequestRules, ResponseRules,
};

// Nothing in it is immutable, for the reason that nothing in an `AgentIdentity` is; a policy may be led to another identity, and the status of
// the old target goes with it.
/// Which calls the targeted identities may make. What no rule allows is denied.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "postern.dev",
    version = "v1alpha1",
    kind = "EgressPolicy",
    plural = "egresspolicies",
    namespaced,
    doc = "Which calls the targeted identities may make. What no rule allows is denied.",
    shortname = "egp",
    category = "postern",
    status = "EgressPolicyStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressPolicySpec {
    /// The identities in this namespace that the policy applies to.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["kind".into(), "name".into()]))]
    pub target_refs: Vec<TargetRef>,

    /// Whether the rules and limits refuse calls, or only say which they would refuse. Absent means `Enforce`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,

    /// How much of a body is read to decide about it, in bytes; of a longer one, rules that need its content know nothing (see `uninspected`).
    /// Absent means 8 MiB, unless another policy of the identity says something; the smallest of all counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 67_108_864))]
    pub max_inspected_bytes: Option<u32>,

    /// The rules. Their order has no meaning: `Deny` wins over `Allow`, and what none allows is denied.
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default)]
    pub rules: Vec<PolicyRule>,

    /// How much calls may use. Limits of all policies of an identity apply together.
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<PolicyLimit>,

    /// What is done to calls that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRules>,

    /// What is done to answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseRules>,
}

/// The object that a policy applies to.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetRef {
    /// Its kind.
    pub kind: TargetKind,
    /// Its name.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// Kinds that a policy can apply to.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// An `AgentIdentity`.
    AgentIdentity,
}

/// One rule. A request matches when it matches every member that is set.
// Not named `Rule`, since kube's derive has one of its own in scope.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRule {
    /// Name of the rule, shown in denials, logs and metrics.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// Where the call goes.
    pub to: To,

    /// HTTP methods; absent means every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(schema_with = "methods_schema")]
    pub methods: Vec<String>,

    /// Paths as the provider sees them, without the query; absent means every path. `*` stands for anything within one segment,
    /// a last segment `**` for any number of segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(max = 64), inner(length(min = 1, max = 512)))]
    pub paths: Vec<String>,

    /// Models that the call names; absent means every model, and none. `*` stands for any run of characters, `?` for one. A rule that allows
    /// wants every model of the call among them, spelled as here; a rule that denies is content with one, in any case and by any known alias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(schema_with = "globs_schema")]
    pub models: Vec<String>,

    /// What the call asks for, as `chat`, `embeddings` or `vector.*`; absent means every operation. A rule that denies matches calls of unknown
    /// operation too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(schema_with = "globs_schema")]
    pub operations: Vec<String>,

    /// Tools that the call offers to the model; absent means any. A rule that allows wants every tool of the call among them; a rule that denies
    /// is content with one, in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(schema_with = "globs_schema")]
    pub tools: Vec<String>,

    /// An expression in CEL that must be true of the call, as `request.maxTokens <= 1000 && !request.stream`; what it may name is listed in the
    /// documentation of policies. Where it has no value, as for a fact that is not known of a call, the call is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = crate::policy::MAX_EXPRESSION_BYTES))]
    pub when: Option<String>,

    /// What to think of a call whose body is too long to be read, where the rule needs its content: `Deny`, the default, thinks the worst of it;
    /// `Allow` lets a rule that allows match by what is known without the body, and keeps a rule that denies from matching.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uninspected: Uninspected,

    /// What happens to a request that matches.
    pub action: Action,
}

/// Left out of what is written where it says nothing, so that a policy without it reads as before it existed.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn globs_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": { "type": "string", "minLength": 1, "maxLength": crate::policy::MAX_GLOB_BYTES, "pattern": "^[ -~]+$" }
    })
}

fn methods_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": METHODS.len(),
        "items": { "type": "string", "enum": METHODS }
    })
}

/// Where a call goes.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct To {
    /// Credentials of the identity, by name. `*` alone means all of them.
    #[schemars(
        length(min = 1, max = 32),
        inner(
            length(min = 1, max = 63),
            regex(pattern = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?|\\*)$")
        )
    )]
    #[x_kube(
        merge_strategy = ListMerge::Set,
        validation = ("size(self) == 1 || !('*' in self)", "\"*\" stands for all credentials and must be alone")
    )]
    pub credentials: Vec<String>,
}

/// What happens to a request. The strongest action among the matching rules wins.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Action {
    /// The request is sent.
    Allow,
    /// The request is refused, whatever other rules say.
    Deny,
}

/// Whether a policy is in force.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What it says is done.
    #[default]
    Enforce,
    /// What it would have done is logged and counted.
    Observe,
}

/// What to think of a call that could not be read.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uninspected {
    /// The worst.
    #[default]
    Deny,
    /// The best.
    Allow,
}

/// What the controller found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EgressPolicyStatus {
    /// The generation that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`: true when the policy is in force on every target.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// One entry a target.
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetStatus>,
}

/// The policy's state for one target.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Name of the `AgentIdentity`.
    pub name: String,
    /// `Accepted` (the policy means something for this target) and `Programmed` (the target's bundle holds this generation).
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

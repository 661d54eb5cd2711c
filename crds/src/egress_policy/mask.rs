//! `spec.request.mask`: what of a call the provider does not get to see. `spec.response.mask`: what of an answer the program does not.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats every struct, `pub` and all, inside a private function"
)]

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;

/// What is done to calls that are allowed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestRules {
    /// What of a call's body the provider does not get to see. Masks of all policies of an identity apply together. The decision is made about the
    /// body as it came; one that cannot be masked is denied. Names of members, models, roles, ids and names of tools stay as they are; path, query
    /// and headers are not masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
}

/// What is done to answers.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = ("!has(self.mask) || !has(self.mask.restore) || !self.mask.restore", "restore belongs to request.mask: what a call had is put back"))]
pub struct ResponseRules {
    /// What of an answer the program does not get to see. Masks of all policies of an identity apply together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
}

/// What is masked in texts, in streams as in whole bodies.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = ("has(self.detectors) || has(self.patterns) || has(self.dictionaries) || has(self.fields)", "name at least one of detectors, patterns, dictionaries and fields"),
    validation = ("!has(self.phoneRegions) || (has(self.detectors) && 'PHONE' in self.detectors)", "phoneRegions belongs to the detector PHONE"),
    validation = ("!has(self.restore) || !self.restore || !has(self.style) || self.style == 'Pseudonym'", "restore puts pseudonyms back and nothing else: leave style out"),
)]
pub struct Mask {
    /// What stands in the place of what is masked. Absent means `Label`, and `Pseudonym` with `restore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<MaskStyle>,

    /// Whether the pseudonyms of what was masked in a call are put back in the texts of its answer, so that the provider never sees a value and
    /// the program does. Of `request.mask` alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub restore: bool,

    /// Kinds of data that Postern knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = 32))]
    pub detectors: Vec<Detector>,

    /// Countries whose national phone numbers `PHONE` finds, beside international ones (`+49 30 …`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = 16))]
    pub phone_regions: Vec<Region>,

    /// Regular expressions of your own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(min = 1, max = 32))]
    pub patterns: Vec<MaskPattern>,

    /// Words of your own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    #[schemars(length(min = 1, max = 16))]
    pub dictionaries: Vec<MaskDictionary>,

    /// Members of JSON bodies that are masked whole, or left out. They are not put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["path".into()]))]
    #[schemars(length(min = 1, max = 32))]
    pub fields: Vec<MaskField>,
}

/// A kind of data.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Detector {
    /// Addresses of mail.
    Email,
    /// Phone numbers, international ones and those of `phoneRegions`.
    Phone,
    /// Numbers of payment cards, by their prefixes and check digit.
    CreditCard,
    /// International bank account numbers, by their check digits.
    Iban,
    /// Social security numbers of the United States.
    UsSsn,
    /// Addresses of IP, versions 4 and 6.
    IpAddress,
    /// Access key IDs of AWS.
    AwsAccessKey,
    /// Tokens of GitHub.
    GithubToken,
    /// JSON Web Tokens.
    Jwt,
    /// Private keys in PEM.
    PrivateKey,
    /// Keys of the model providers that Postern knows.
    ApiKey,
    /// Dates that are said to be somebody's birthday.
    DateOfBirth,
    /// Numbers that are said to be a passport's.
    Passport,
}

impl Detector {
    /// Every one, in the order in which they are documented.
    pub const ALL: [Self; 13] = [
        Self::Email,
        Self::Phone,
        Self::CreditCard,
        Self::Iban,
        Self::UsSsn,
        Self::IpAddress,
        Self::AwsAccessKey,
        Self::GithubToken,
        Self::Jwt,
        Self::PrivateKey,
        Self::ApiKey,
        Self::DateOfBirth,
        Self::Passport,
    ];

    /// Its name in policies, labels and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::CreditCard => "CREDIT_CARD",
            Self::Iban => "IBAN",
            Self::UsSsn => "US_SSN",
            Self::IpAddress => "IP_ADDRESS",
            Self::AwsAccessKey => "AWS_ACCESS_KEY",
            Self::GithubToken => "GITHUB_TOKEN",
            Self::Jwt => "JWT",
            Self::PrivateKey => "PRIVATE_KEY",
            Self::ApiKey => "API_KEY",
            Self::DateOfBirth => "DATE_OF_BIRTH",
            Self::Passport => "PASSPORT",
        }
    }
}

/// A country whose national phone numbers are known, by its ISO 3166 code.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Region {
    /// The United States, and all others of the North American Numbering Plan.
    Us,
    /// The United Kingdom.
    Gb,
    /// Germany.
    De,
    /// France.
    Fr,
    /// Spain.
    Es,
    /// Italy.
    It,
    /// The Netherlands.
    Nl,
    /// Australia.
    Au,
    /// India.
    In,
}

impl Region {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Us,
        Self::Gb,
        Self::De,
        Self::Fr,
        Self::Es,
        Self::It,
        Self::Nl,
        Self::Au,
        Self::In,
    ];
}

/// What stands in the place of what is masked. Of several policies' styles for the same thing the last in this order is taken.
#[derive(
    JsonSchema,
    Serialize,
    Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
)]
pub enum MaskStyle {
    /// Its last four characters, behind stars.
    Partial,
    /// Its name with a short keyed hash, which is the same for the same value as long as the sidecar runs: a model can still tell one from
    /// another.
    Hash,
    /// Its name with eight letters, as in `EMAIL-bdfghjkl`, which are the same for the same value as long as the sidecar runs. Nothing in it has to be
    /// escaped anywhere, so that a model writes it as it is.
    Pseudonym,
    /// Its name, as in `[EMAIL]`.
    #[default]
    Label,
    /// Nothing.
    Remove,
}

/// A regular expression of your own.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskPattern {
    /// Its name, shown in labels and metrics.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[A-Z]([A-Z0-9_]*[A-Z0-9])?$")
    )]
    pub name: String,

    /// The expression, in the syntax of Rust's `regex`. Its matches must have a greatest length of at most 1024 bytes: `[0-9]{1,16}`, not
    /// `[0-9]+`. `\b` is a boundary of ASCII words.
    #[schemars(length(min = 1, max = crate::policy::MAX_PATTERN_BYTES))]
    pub regex: String,

    /// What stands in its place; absent means the mask's style.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<MaskStyle>,
}

/// Words of your own. They are found anywhere, in the middle of other words too.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskDictionary {
    /// Its name, shown in labels and metrics.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[A-Z]([A-Z0-9_]*[A-Z0-9])?$")
    )]
    pub name: String,

    /// The words.
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[schemars(length(min = 1, max = 1024), inner(length(min = 1, max = 256)))]
    pub words: Vec<String>,

    /// Whether `a` to `z` are found in any case.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_case: bool,

    /// What stands in their place; absent means the mask's style.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<MaskStyle>,
}

/// A member of JSON bodies, or of the events of a stream.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaskField {
    /// Which one, as in `$.user.email` or `$.data[*].owner`: a path of JSONPath (RFC 9535) with names and `[*]` alone.
    #[schemars(length(min = 3, max = 256))]
    pub path: String,

    /// What is done to it.
    pub action: FieldAction,
}

/// What is done to a member.
#[derive(
    JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum FieldAction {
    /// Its value becomes the string `[FIELD]`.
    Mask,
    /// It is left out.
    Drop,
}

//! The one document that the operator hands to a sidecar.
//!
//! It carries the specs themselves, not a compiled form: the sidecar compiles them with the same functions as the operator, so there is no
//! second wire format of a policy. It is JSON in the key [`BUNDLE_KEY`](crate::names::BUNDLE_KEY) of the Secret `postern-<identity>`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    agent_identity::{AgentIdentitySpec, Credential, Source},
    egress_policy::{EgressPolicySpec, Mask, MaskStyle, Mode, PolicyRule, Uninspected},
    policy::{self, NamedPolicy, Policy},
    price::{self, Prices},
    route::{self, Route},
    secret::Secret,
    source::Shape,
    violation::Violation,
};

#[cfg(test)]
mod tests;

/// The newest format that this version reads and writes. 2 added what a reader of 1 does not know: to policies modes, models, operations,
/// tools, expressions and limits; to identities prices and deployments. 3 added masks to policies. 4 added to identities sources in stores. 5
/// added to policies masks of calls and pseudonyms, and to identities `maxStaleness`, `overlap` and `delivery`.
pub const FORMAT: u32 = 5;

/// The oldest format that says all of `identity` and `policies`. A bundle is written in it, so that a sidecar from before an upgrade of the operator goes on
/// with what it knows, is asked to be upgraded as soon as a policy says more, and never reads less than is meant.
pub fn format(identity: &AgentIdentitySpec, policies: &[NamedPolicy]) -> u32 {
    let of_policies = policies
        .iter()
        .map(|policy| format_of_policy(&policy.spec))
        .max();
    format_of_identity(identity).max(of_policies.unwrap_or(1))
}

/// The oldest format that says all of `policy`. Every member is named here, so that a new one is not forgotten.
fn format_of_policy(policy: &EgressPolicySpec) -> u32 {
    let EgressPolicySpec {
        target_refs: _,
        mode,
        max_inspected_bytes,
        rules,
        limits,
        request,
        response,
    } = policy;
    let is_plain = *mode == Mode::default()
        && max_inspected_bytes.is_none()
        && limits.is_empty()
        && rules.iter().all(is_plain_rule);
    let has_pseudonyms = |mask: &Mask| {
        let of_patterns = mask.patterns.iter().map(|pattern| pattern.style);
        let of_words = mask.dictionaries.iter().map(|words| words.style);
        let mut styles = of_patterns.chain(of_words).chain([mask.style]);
        styles.any(|style| style == Some(MaskStyle::Pseudonym))
    };
    let of_response = response.as_ref().and_then(|rules| rules.mask.as_ref());
    if request.is_some() || of_response.is_some_and(has_pseudonyms) {
        5
    } else if response.is_some() {
        3
    } else if is_plain {
        1
    } else {
        2
    }
}

/// The oldest format that says all of `identity`. Every member is named here, so that a new one is not forgotten.
fn format_of_identity(identity: &AgentIdentitySpec) -> u32 {
    let AgentIdentitySpec {
        service_account_names: _,
        credentials,
        refresh_interval: _,
        max_staleness,
        delivery,
        prices,
    } = identity;
    let of_credential = |credential: &Credential| {
        let Credential {
            name: _,
            provider: _,
            http: _,
            endpoint: _,
            allow_plaintext: _,
            inject: _,
            tls: _,
            deployments,
            overlap,
            source: Source { secret: _, store },
        } = credential;
        if overlap.is_some() {
            5
        } else if store.is_some() {
            4
        } else if !deployments.is_empty() {
            2
        } else {
            1
        }
    };
    let of_prices = if prices.is_empty() { 1 } else { 2 };
    let of_credentials = credentials.iter().map(of_credential).max().unwrap_or(1);
    let is_newest = max_staleness.is_some() || delivery.is_some();
    let of_the_rest = if is_newest { 5 } else { 1 };
    of_credentials.max(of_prices).max(of_the_rest)
}

/// Whether a reader of format 1 knows all members of `rule`. Every member is named here, so that a new one is not forgotten.
fn is_plain_rule(rule: &PolicyRule) -> bool {
    let PolicyRule {
        name: _,
        to: _,
        methods: _,
        paths: _,
        models,
        operations,
        tools,
        when,
        uninspected,
        action: _,
    } = rule;
    models.is_empty()
        && operations.is_empty()
        && tools.is_empty()
        && when.is_none()
        && *uninspected == Uninspected::default()
}

/// The largest bundle that is read: a Kubernetes Secret holds at most 1 MiB.
pub const MAX_BYTES: usize = 1024 * 1024;

/// One identity with everything that its sidecars need.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// Format that it was written in.
    pub format: u32,
    /// Oldest format number a reader must know to read it safely. A writer raises it when an older reader would do the wrong thing.
    pub min_reader: u32,
    /// Namespace of the identity.
    pub namespace: String,
    /// Name of the identity.
    pub identity: String,
    /// Spec of the identity.
    pub spec: AgentIdentitySpec,
    /// The policies in force, sorted by name.
    pub policies: Vec<NamedPolicy>,
    /// The resolved credentials, by name. One that is missing here could not be resolved, or its owner's consent is gone: its calls are denied.
    pub secrets: BTreeMap<String, VersionedSecret>,
    /// Credentials whose sources could not be read for longer than `maxStaleness`. None of them is in `secrets`, so that a reader that does not know them
    /// denies their calls all the same.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stale: BTreeSet<String>,
    /// PEM bundles of certificate authorities, by credential.
    #[serde(default)]
    pub authorities: BTreeMap<String, String>,
    /// Where a newer bundle can be fetched, if it can be. A reader that does not know it waits for its mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Fetch>,
}

/// How a sidecar comes by a newer bundle before its mount has it. No part of the revision: it changes nothing of what a call may do.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Fetch {
    /// Grows whenever a bundle of the identity is written: a sidecar goes from a fetched bundle to no older one that its mount still has. It is the time of
    /// the writing in milliseconds since 1970, or one more than before, so that a Secret that was deleted and made again is newer too.
    pub serial: u64,
    /// Scheme, host and port of the operator, as in `https://postern-controller.postern-system.svc`; its path is [`FETCH_PATH`](crate::control::FETCH_PATH).
    pub address: String,
    /// PEM bundle of the authorities that the operator's certificate is verified by, and no others.
    pub authorities: String,
    /// What a sidecar has to show beside its pod's token: only who has a bundle of the identity gets another. Printable text without spaces.
    pub ticket: Secret,
}

/// A secret and which version of its source it is.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct VersionedSecret {
    /// The bytes.
    pub value: Secret,
    /// A name of the version that says nothing of the bytes, as in `secret/81231`.
    pub version: String,
}

/// A bundle's meaning.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The routes, in the order of the credentials.
    pub routes: Vec<Route>,
    /// The policy.
    pub policy: Policy,
    /// What models cost.
    pub prices: Prices,
}

/// Why a document is not a bundle that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too large to be one.
    #[error("the bundle has {0} bytes, more than {MAX_BYTES}")]
    TooLarge(usize),
    /// Not a bundle's JSON. The parser's own words are left out, since they may quote the document.
    #[error("the bundle is not valid: line {line}, column {column}")]
    Malformed {
        /// Line of the first problem.
        line: usize,
        /// Column of the first problem.
        column: usize,
    },
    /// Written by a newer operator.
    #[error(
        "the bundle needs a reader of format {0}, this one knows {FORMAT}: upgrade the sidecar"
    )]
    TooNew(u32),
    /// Well formed, but its specs have no meaning.
    #[error("the bundle has no meaning: {}", crate::violation::summary(.0))]
    Invalid(Vec<Violation>),
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Malformed`] or [`Error::TooNew`]; none of them quotes the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::TooLarge(bytes.len()));
        }
        /// Read first, so that a newer format is reported as such and not as malformed.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Header {
            min_reader: u32,
        }
        let malformed = |error: serde_json::Error| Error::Malformed {
            line: error.line(),
            column: error.column(),
        };
        let header: Header = serde_json::from_slice(bytes).map_err(malformed)?;
        if header.min_reader > FORMAT {
            return Err(Error::TooNew(header.min_reader));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// Writes the bundle. The result holds secrets and is wiped when dropped. It may be larger than [`MAX_BYTES`], and then no sidecar reads it.
    pub fn to_json(&self) -> Zeroizing<Vec<u8>> {
        // Room for all from the start: a vector that grows would leave copies of the secrets behind.
        let mut json = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        serde_json::to_writer(&mut *json, self)
            .expect("a bundle has string keys only, so it always serialises");
        json
    }

    /// What the secret of `credential` must look like.
    pub fn shape_of(&self, credential: &str) -> Shape {
        let mut credentials = self.spec.credentials.iter();
        credentials
            .find(|of_all| of_all.name == credential)
            .map_or(Shape::Text, Shape::of)
    }

    /// The meaning of the bundle.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem.
    pub fn compile(&self) -> Result<Compiled, Error> {
        let routes = route::compile(&self.namespace, &self.identity, &self.spec);
        let policy = policy::compile(&self.policies);
        // Prices that have no meaning are among the violations of the routes.
        let prices = Prices::compile(&self.spec.prices).unwrap_or_default();
        match (routes, policy) {
            (Ok(routes), Ok(policy)) => {
                for provider in routes.iter().filter_map(|route| route.provider) {
                    price::load(&provider.name);
                }
                Ok(Compiled {
                    routes,
                    policy,
                    prices,
                })
            }
            (routes, policy) => {
                let mut violations = routes.err().unwrap_or_default();
                violations.extend(policy.err().unwrap_or_default());
                Err(Error::Invalid(violations))
            }
        }
    }

    /// A short digest of everything but the secret bytes, for which their versions stand: equal bundles have equal revisions, and a
    /// revision tells nothing of a secret.
    pub fn revision(&self) -> String {
        let versions: BTreeMap<&str, &str> = self
            .secrets
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.version.as_str()))
            .collect();
        self.digest(&versions)
    }

    /// The same without the versions: bundles that differ in secrets alone have equal terms.
    pub fn terms(&self) -> String {
        self.digest(&BTreeMap::new())
    }

    fn digest(&self, versions: &BTreeMap<&str, &str>) -> String {
        let mut public = serde_json::to_vec(&(
            self.format,
            &self.namespace,
            &self.identity,
            &self.spec,
            &self.policies,
            versions,
            &self.authorities,
        ))
        .expect("a bundle has string keys only, so it always serialises");
        // Added where there is something to add: operator and sidecar of different versions must name the same bundle alike.
        for credential in &self.stale {
            public.extend_from_slice(b"\0stale\0");
            public.extend_from_slice(credential.as_bytes());
        }
        Sha256::digest(public)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

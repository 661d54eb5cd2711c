//! The contract between operator and sidecar: the custom resources, what they mean, and the document that one hands to the other.
//!
//! *Architecture invariant: nothing in this crate does I/O, spawns, logs or reads the clock.* Both programs, the command line and the tests
//! compile the same specs with the same functions, so a policy has one meaning wherever it is read.
//!
//! | Question | Module |
//! |---|---|
//! | What may a user write? | [`agent_identity`], [`egress_policy`], [`credential_store`]; [`definition`] is what `kubectl apply -f crds/` installs |
//! | What is known of a vendor? | [`provider`], with a file for each in `crds/providers/` |
//! | Where does a call go, what does an application's environment hold? | [`route`], [`placeholder`] |
//! | May this call be made? | [`policy`], by [`facts`] |
//! | What does a sidecar receive? | [`bundle`], with a [`secret`] in it as [`source`] lets it through |
//! | What else do the two say to each other? | [`control`] |
//! | What is it called? | [`names`] |
//!
//! ```
//! use postern_crds::{Decision, Facts, policy, route, yaml};
//!
//! let identity = yaml::from_str(
//!     "{serviceAccountNames: [bot], credentials: [{name: llm, provider: openai, source: {secret: {name: key, key: api-key}}}]}",
//! )?;
//! let policy = yaml::from_str(
//!     "{name: chat, spec: {targetRefs: [{kind: AgentIdentity, name: bot}], rules: [
//!        {name: chat, to: {credentials: [llm]}, methods: [POST], paths: [/v1/chat/completions], action: Allow}]}}",
//! )?;
//!
//! // The caller wrote http://127.0.0.1:14080/llm/chat/completions.
//! let routes = route::compile("agents", "bot", &identity).expect("the identity is well formed");
//! let path = route::find(&routes, "llm").expect("it has this credential").upstream_path("/chat/completions");
//! assert_eq!(path, "/v1/chat/completions");
//!
//! let policy = policy::compile(&[policy]).expect("the policy is well formed");
//! let decision = policy.decide(&Facts::of_head("llm", "POST", &path)).decision;
//! assert!(matches!(decision, Decision::Allow(rule) if rule.to_string() == "chat/chat"));
//! # Ok::<(), yaml::Error>(())
//! ```

pub mod agent_identity;
pub mod bundle;
pub mod control;
pub mod credential_store;
pub mod definition;
pub mod egress_policy;
pub mod facts;
pub mod interval;
pub mod money;
pub mod names;
pub mod placeholder;
pub mod policy;
pub mod price;
pub mod provider;
pub mod route;
mod rules;
pub mod secret;
pub mod source;
pub mod usage;
pub mod violation;
pub mod yaml;

pub use agent_identity::{AgentIdentity, AgentIdentitySpec, AgentIdentityStatus};
pub use bundle::Bundle;
pub use credential_store::{CredentialStore, CredentialStoreSpec, CredentialStoreStatus};
pub use egress_policy::{EgressPolicy, EgressPolicySpec, EgressPolicyStatus};
pub use facts::Facts;
pub use policy::{Decision, Policy, Verdict};
pub use route::Route;
pub use secret::Secret;
pub use violation::Violation;

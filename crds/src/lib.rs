//! The contract between operator and sidecar: the custom resources, what they mean, and the document that one hands to the other.
//!
//! *Architecture invariant: nothing in this crate does I/O, spawns, logs or reads the clock.* Both programs, the command line and the tests
//! compile the same specs with the same functions, so a policy has one meaning wherever it is read.

pub mod agent_identity;
pub mod bundle;
pub mod definition;
pub mod egress_policy;
pub mod interval;
pub mod names;
pub mod placeholder;
pub mod policy;
pub mod provider;
pub mod route;
mod rules;
pub mod secret;
pub mod source;
pub mod violation;
pub mod yaml;

pub use agent_identity::{AgentIdentity, AgentIdentitySpec, AgentIdentityStatus};
pub use bundle::Bundle;
pub use egress_policy::{EgressPolicy, EgressPolicySpec, EgressPolicyStatus};
pub use policy::{Decision, Facts, Policy};
pub use route::Route;
pub use secret::Secret;
pub use violation::Violation;

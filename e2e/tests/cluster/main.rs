//! Questions to a real cluster: a real API server and kubelet, Postern installed by Helm, LangChain, and a provider that we did not write.
//!
//! Each test has a namespace of its own, which it keeps only if it fails. `cargo test -p postern-e2e --test cluster` sets up what it needs.

mod admission;
mod admit;
mod chart;
mod demo;
mod down;
mod inject;
mod leak;
mod neighbours;
mod rbac;
mod refuse;
mod rotate;
mod store;
mod support;
mod tell;
mod traffic;

//! The operator: the `controller` that turns identities into bundles, and the `webhook` that puts the sidecar into pods.

pub mod config;
pub mod sidecar;
pub mod webhook;

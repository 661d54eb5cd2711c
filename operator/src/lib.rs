//! The operator: the `controller` that turns identities into bundles, and the `webhook` that puts the sidecar into pods.

pub mod admin;
pub mod app;
pub mod check;
pub mod config;
mod constant_time;
pub mod controller;
#[cfg(test)]
mod fuzz;
mod kube_error;
pub mod lease;
pub mod metrics;
pub mod sidecar;
pub mod stores;
pub mod telemetry;
mod tls;
pub mod webhook;

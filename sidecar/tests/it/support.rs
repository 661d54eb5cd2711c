//! What the tests are written in: an upstream that remembers what it saw, a sidecar, and callers.

mod client;
mod log;
mod program;
mod sidecar;
mod upstream;

pub(crate) use client::{Answer, Client, raw};
pub(crate) use log::{line_of, whole_log};
pub(crate) use program::program_in;
pub(crate) use sidecar::{Identity, Sidecar};
pub(crate) use upstream::{Authority, Body, Protocol, Seen, Upstream, full, stream};

use std::{future::Future, time::Duration};

/// How long anything in a test may take before it counts as never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives a value.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "it never happened that {what}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("it never happened that {what}"),
    }
}

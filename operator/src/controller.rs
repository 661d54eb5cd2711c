//! The controller: turns identities and policies into the bundles that sidecars read.

use kube::Client;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::{admin::Readiness, config::ControllerArgs};

/// What the controller counts.
#[derive(Debug)]
pub struct Metrics {}

impl Metrics {
    /// Adds the metrics to `registry`.
    pub fn register(_registry: &mut Registry) -> Self {
        Self {}
    }
}

/// Works until `shutdown`.
///
/// # Errors
/// If it cannot.
pub async fn run(
    _args: ControllerArgs,
    _client: Client,
    _metrics: Metrics,
    _readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    shutdown.cancelled().await;
    Ok(())
}

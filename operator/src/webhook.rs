//! The admission webhook.

pub mod inject;
pub mod snapshot;

use kube::Client;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::{admin::Readiness, config::WebhookArgs};

/// What the webhook counts.
#[derive(Debug)]
pub struct Metrics {}

impl Metrics {
    /// Adds the metrics to `registry`, under the prefix `postern_operator_webhook_`.
    pub fn register(_registry: &mut Registry) -> Self {
        Self {}
    }
}

/// Serves until `shutdown`, then drains.
///
/// # Errors
/// If it cannot bind, or serving fails.
pub async fn run(
    _args: WebhookArgs,
    _client: Client,
    _metrics: Metrics,
    _readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    shutdown.cancelled().await;
    Ok(())
}

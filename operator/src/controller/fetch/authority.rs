//! The certificate that sidecars know the operator by. Its authority has no other purpose, and only bundles name it: whoever forges an answer to a sidecar
//! would have to write the Secret that the sidecar mounts anyway.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::Endpoint;
use crate::tls::{
    ca::{self, Ca},
    ca_secret,
    serving::Serving,
};

/// How often everything is looked at.
const PERIOD: Duration = Duration::from_secs(60);
/// How soon after a failure.
const RETRY: Duration = Duration::from_secs(5);
/// How long one round may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One replica's view of the authority.
pub(super) struct Authority {
    secrets: Api<Secret>,
    secret: String,
    host: String,
    serving: Arc<Serving>,
    endpoint: watch::Sender<Option<Arc<Endpoint>>>,
}

impl Authority {
    /// Will serve in `serving` what the authority in `secret` signs for `host`, and tell `endpoint` where that is.
    pub(super) fn new(
        secrets: Api<Secret>,
        secret: String,
        host: String,
        serving: Arc<Serving>,
        endpoint: watch::Sender<Option<Arc<Endpoint>>>,
    ) -> Self {
        Self {
            secrets,
            secret,
            host,
            serving,
            endpoint,
        }
    }

    /// Looks after the certificate until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        loop {
            let round = timeout(TIMEOUT, self.round(Timestamp::now()));
            let result = tokio::select! {
                result = round => result,
                () = shutdown.cancelled() => return,
            };
            let problem = match result {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the API server did not answer in time".to_owned()),
            };
            if let Some(error) = &problem {
                tracing::warn!(
                    error,
                    "looking after the certificate for sidecars failed: they wait for their mounts"
                );
            }
            let pause = if problem.is_some() { RETRY } else { PERIOD };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn round(&self, now: Timestamp) -> Result<(), ca_secret::Error> {
        let ca = ca_secret::current(&self.secrets, &self.secret, now).await?;
        if self.should_sign(&ca, now) {
            let leaf = ca.sign(std::slice::from_ref(&self.host), now)?;
            tracing::info!(not_after = %leaf.validity().not_after, "serving sidecars a new certificate");
            self.serving.swap(leaf);
        }
        let endpoint = Endpoint {
            address: format!("https://{}", self.host),
            authorities: ca::to_pem(&ca.trusted(now)),
        };
        self.endpoint.send_if_modified(|told| {
            let is_new = told.as_deref() != Some(&endpoint);
            if is_new {
                *told = Some(Arc::new(endpoint));
            }
            is_new
        });
        Ok(())
    }

    /// Whether a new certificate should be served now. Not at once when there is a new authority: bundles take a while to bring it to the sidecars, and
    /// name the one before as well.
    fn should_sign(&self, ca: &Ca, now: Timestamp) -> bool {
        let Some(leaf) = self.serving.leaf() else {
            return true;
        };
        let trusted = ca.trusted(now);
        let is_trusted = trusted.iter().any(|ca| leaf.chain().last() == Some(ca));
        !is_trusted || leaf.validity().is_due(now)
    }
}

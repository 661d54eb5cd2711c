//! Our own certificate authority, after cert-manager's `DynamicAuthority`: no replica leads, no file is read, nothing restarts.
//!
//! One Secret holds the authority's key pair. Each replica reads it every few seconds, makes or renews it when it must (the resource
//! version decides who was first), sees to it that the API server trusts it, and signs a short-lived certificate of its own with it,
//! which never leaves its memory.

mod trust;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use self::trust::Trust;
use super::metrics::Metrics;
use crate::{
    kube_error,
    tls::{
        ca::{self, Ca},
        ca_secret,
        serving::Serving,
    },
};

/// How often everything is looked at. It bounds how long a replica serves a certificate of an authority that is gone.
const PERIOD: Duration = Duration::from_secs(10);
/// How soon after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// How long one round may take; an API server that does not answer must not keep the clock from being looked at.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One replica's view of the authority.
pub(super) struct Authority {
    secrets: Api<Secret>,
    secret: String,
    configurations: Api<MutatingWebhookConfiguration>,
    configuration: String,
    names: Vec<String>,
    serving: Arc<Serving>,
    metrics: Metrics,
}

/// Where the authority lives and whom it serves.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The release namespace.
    pub(super) namespace: String,
    /// The Secret with the authority, in it.
    pub(super) secret: String,
    /// The `MutatingWebhookConfiguration` that gets our `caBundle`.
    pub(super) configuration: String,
    /// The Service by which the API server reaches us, in the release namespace.
    pub(super) service: String,
}

/// Why the certificate could not be looked after. All of these are tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Authority(#[from] ca_secret::Error),
    #[error("making a certificate: {0}")]
    Certificate(#[from] ca::Error),
    #[error("reading the webhook configuration: {}", kube_error::describe(.0))]
    ReadConfiguration(kube::Error),
    #[error("MutatingWebhookConfiguration {0} does not exist")]
    NoConfiguration(String),
    #[error("MutatingWebhookConfiguration {0} has no webhook inject.postern.dev")]
    NoWebhook(String),
    #[error("setting the caBundle: {}", kube_error::describe(.0))]
    WriteConfiguration(kube::Error),
    #[error("the API server did not answer in time")]
    TimedOut,
}

impl Authority {
    /// Will look after `serving`.
    pub(super) fn new(
        client: Client,
        settings: Settings,
        serving: Arc<Serving>,
        metrics: Metrics,
    ) -> Self {
        let Settings {
            namespace,
            secret,
            configuration,
            service,
        } = settings;
        Self {
            secrets: Api::namespaced(client.clone(), &namespace),
            secret,
            configurations: Api::all(client),
            configuration,
            names: vec![
                format!("{service}.{namespace}.svc"),
                format!("{service}.{namespace}.svc.cluster.local"),
            ],
            serving,
            metrics,
        }
    }

    /// Looks after the certificate until `shutdown`. What fails is logged and tried again; the certificate at hand is served meanwhile.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        loop {
            let round = tokio::time::timeout(TIMEOUT, self.round(Timestamp::now()));
            let result = tokio::select! {
                result = round => result.unwrap_or(Err(Error::TimedOut)),
                () = shutdown.cancelled() => return,
            };
            let pause = match result {
                Ok(()) => PERIOD,
                Err(error) => {
                    self.metrics.certificate_failed();
                    tracing::warn!(error = %error, "looking after the serving certificate failed");
                    RETRY
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Looks at everything once.
    async fn round(&self, now: Timestamp) -> Result<(), Error> {
        let ca = ca_secret::current(&self.secrets, &self.secret, now).await?;
        let trust = trust::establish(&self.configurations, &self.configuration, &ca, now).await?;
        if self.should_sign(&ca, trust, now) {
            let leaf = ca.sign(&self.names, now)?;
            self.metrics.certificate_served(leaf.validity());
            tracing::info!(not_after = %leaf.validity().not_after, "serving a new certificate");
            self.serving.swap(leaf);
        }
        self.serving.set_trusted(true);
        Ok(())
    }

    /// Whether a new certificate should be served now.
    ///
    /// A new authority's only when the API server has had time to notice it: until then it accepts what the earlier one signed.
    fn should_sign(&self, ca: &Ca, trust: Trust, now: Timestamp) -> bool {
        let Some(leaf) = self.serving.leaf() else {
            return true;
        };
        let accepted = leaf.validity().holds(now)
            && ca
                .trusted(now)
                .iter()
                .any(|ca| leaf.chain().last() == Some(ca));
        let fresh = ca.signed(&leaf) && !leaf.validity().is_due(now);
        !accepted || !fresh && trust == Trust::Established
    }
}

#[cfg(test)]
mod tests;

//! The Secret with the authority: any replica may create or renew it; who comes second takes what the first wrote.

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, api::PostParams};

use super::ca::{self, Ca};
use crate::kube_error;

/// How often a replica that came second reads again before it gives up until the next round.
const ATTEMPTS: usize = 5;

/// Why there is no authority. All of these may be tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("reading the authority's Secret: {}", kube_error::describe(.0))]
    ReadSecret(kube::Error),
    #[error("writing the authority's Secret: {}", kube_error::describe(.0))]
    WriteSecret(kube::Error),
    #[error("other replicas kept changing the authority's Secret")]
    Contended,
    #[error("making a certificate: {0}")]
    Certificate(#[from] ca::Error),
}

/// The current authority, made or renewed if it has to be.
pub(crate) async fn current(
    secrets: &Api<Secret>,
    name: &str,
    now: Timestamp,
) -> Result<Ca, Error> {
    for _ in 0..ATTEMPTS {
        let Some(found) = secrets.get_opt(name).await.map_err(Error::ReadSecret)? else {
            if let Some(ca) = create(secrets, name, now).await? {
                return Ok(ca);
            }
            continue;
        };
        let earlier = match Ca::read(&found) {
            Ok(ca) if !ca.validity().is_due(now) => return Ok(ca),
            Ok(ca) => ca.trusted(now),
            // The chart creates it empty, so that it goes when the release goes.
            Err(ca::Error::Missing(_)) => Vec::new(),
            Err(error) => {
                tracing::warn!(secret = name, error = %error, "the Secret holds no usable certificate authority: making another");
                Vec::new()
            }
        };
        let ca = Ca::generate(now, &earlier)?;
        // It carries the resource version that was read: a replica that was faster makes this a conflict.
        let renewed = Secret {
            data: Some(ca.data()),
            ..found
        };
        match secrets
            .replace(name, &PostParams::default(), &renewed)
            .await
        {
            Ok(_) => {
                tracing::info!(secret = name, not_after = %ca.validity().not_after, "wrote a new certificate authority");
                return Ok(ca);
            }
            Err(error) if kube_error::code(&error) == Some(409) => {}
            Err(error) => return Err(Error::WriteSecret(error)),
        }
    }
    Err(Error::Contended)
}

/// `None` if another replica was faster.
async fn create(secrets: &Api<Secret>, name: &str, now: Timestamp) -> Result<Option<Ca>, Error> {
    let ca = Ca::generate(now, &[])?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(ca.data()),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(_) => {
            tracing::info!(secret = name, not_after = %ca.validity().not_after, "wrote a new certificate authority");
            Ok(Some(ca))
        }
        Err(error) if kube_error::code(&error) == Some(409) => Ok(None),
        Err(error) => Err(Error::WriteSecret(error)),
    }
}

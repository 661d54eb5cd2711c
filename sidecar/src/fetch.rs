//! Fetches a newer bundle from the operator when somebody says that there may be one, before the kubelet mounts it.
//!
//! It is a shortcut: whatever goes wrong here, the mount comes all the same. The bundle in use says whom to ask and how to know him, and a fetched one goes
//! through what a mounted one goes through.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use postern_crds::{
    Bundle,
    bundle::{Error as BundleError, Fetch},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use crate::{
    bundle::Publisher,
    metrics::{FetchLabel, Metrics},
    snapshot::Snapshot,
    upstream::tls::TrustError,
};

mod exchange;

/// How long all of it may take. The operator gives up after five seconds.
const PATIENCE: Duration = Duration::from_secs(6);
/// How soon it is done again at the earliest, however often somebody says that it should be: anybody may.
const PAUSE: Duration = Duration::from_secs(1);

/// Fetches bundles, one at a time.
pub(crate) struct Fetcher {
    /// The file with the token that the operator is shown.
    pub(crate) token: PathBuf,
    /// Is rung when there may be a newer bundle.
    pub(crate) bell: Arc<Notify>,
    /// Is given what is newer.
    pub(crate) publisher: Arc<Publisher>,
    /// The bundle in use.
    pub(crate) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// Count what came of it.
    pub(crate) metrics: Arc<Metrics>,
}

/// Why no bundle was fetched. None of them quotes what was sent or received.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the pod's token cannot be read")]
    Token(#[source] io::Error),
    #[error("the token or the ticket cannot stand in a header")]
    Header,
    #[error("the address in the bundle is not https with a name")]
    Address,
    #[error("the authority in the bundle {0}")]
    Trust(TrustError),
    #[error("the operator cannot be reached")]
    Unreachable(#[source] io::Error),
    #[error("who answered is not known to be the operator")]
    Tls(#[source] io::Error),
    #[error("the answer broke off")]
    Broken(#[source] hyper::Error),
    #[error("the operator did not answer in time")]
    TimedOut,
    #[error("the operator refused with status {0}")]
    Refused(u16),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("the bundle is another identity's")]
    Foreign,
    #[error("the bundle could not be looked at")]
    Panicked,
}

impl Error {
    /// For the metric.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(401 | 403) => "denied",
            Self::Token(_)
            | Self::Unreachable(_)
            | Self::Broken(_)
            | Self::TimedOut
            | Self::Refused(_)
            | Self::Panicked => "unavailable",
            Self::Trust(_) | Self::Tls(_) => "untrusted",
            Self::Header | Self::Address | Self::Bundle(_) | Self::Foreign => "invalid",
        }
    }
}

impl Fetcher {
    /// Fetches whenever the bell is rung, for ever. Ringing that comes in between is answered once.
    pub(crate) async fn follow(self) {
        loop {
            self.bell.notified().await;
            let snapshot = self.snapshots.borrow().clone();
            let Some(snapshot) = snapshot else { continue };
            let Some(fetch) = snapshot.fetch() else {
                tracing::debug!("the bundle in use does not say where a newer one can be fetched");
                continue;
            };
            let fetched = timeout(PATIENCE, self.fetch(&snapshot, fetch)).await;
            let outcome = match fetched.unwrap_or(Err(Error::TimedOut)) {
                Ok(true) => "taken",
                Ok(false) => "current",
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "no newer bundle was fetched: the mount will bring it");
                    error.outcome()
                }
            };
            let label = FetchLabel { outcome };
            self.metrics.bundle_fetches.get_or_create(&label).inc();
            sleep(PAUSE).await;
        }
    }

    /// Whether a bundle was fetched that is newer than `snapshot`, and is in use now.
    async fn fetch(&self, snapshot: &Snapshot, fetch: &Fetch) -> Result<bool, Error> {
        let token = tokio::fs::read(&self.token).await.map_err(Error::Token)?;
        let bytes = exchange::get(fetch, &Zeroizing::new(token)).await?;
        let bundle = Bundle::parse(&bytes)?;
        if snapshot.identity_parts() != (&bundle.namespace, &bundle.identity) {
            return Err(Error::Foreign);
        }
        // As with a mounted one: it takes a while, in which calls go on.
        let publisher = Arc::clone(&self.publisher);
        let published = tokio::task::spawn_blocking(move || publisher.publish_newer(bundle));
        Ok(published.await.map_err(|_| Error::Panicked)??)
    }
}

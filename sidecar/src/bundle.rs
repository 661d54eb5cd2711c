//! Where bundles come from: a directory that the kubelet mounts and swaps, the operator in between, or one given in memory.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use postern_crds::{
    Bundle,
    bundle::{Error as BundleError, MAX_BYTES},
    names::BUNDLE_KEY,
    provider::Dialect,
};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use crate::{metrics::Metrics, snapshot::Snapshot, token, upstream::Upstreams};

/// How often the directory is looked at. The kubelet itself takes up to a minute to write a change there, so a second adds nothing, and
/// polling sees every way in which a mount can change.
const POLL: Duration = Duration::from_secs(1);

/// Why a bundle cannot be used. None of them quotes the document.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("the bundle cannot be read")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Has the bundle looked at before its time. Who asks waits for nothing, and many who ask at a time have one look.
#[derive(Default)]
pub(crate) struct Wanted {
    mount: Notify,
    operator: Arc<Notify>,
}

impl Wanted {
    /// A newer bundle is wanted, since what the one in use says was not taken somewhere.
    pub(crate) fn ask(&self) {
        self.mount.notify_one();
        self.operator.notify_one();
    }

    /// Is rung when the operator should be asked for a newer one, where it can be.
    pub(crate) fn bell(&self) -> &Arc<Notify> {
        &self.operator
    }
}

/// Publishes snapshots. The last good one stays whatever happens.
pub(crate) struct Publisher {
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    upstreams: Arc<Upstreams>,
    tokens: token::Sources,
    metrics: Arc<Metrics>,
    /// The serial of the fetched bundle that is in use, until the mount has it too. Held while a bundle is taken, so that one comes after the other.
    fetched: Mutex<Option<u64>>,
}

/// Follows the bundle in a directory.
pub(crate) struct Watcher {
    file: PathBuf,
    /// The file that was read last, good or bad.
    seen: Option<Stamp>,
    publisher: Arc<Publisher>,
    wanted: Arc<Wanted>,
}

/// What changes when a file does, or when another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Publisher {
    /// Publishes to `snapshots`.
    pub(crate) fn new(
        snapshots: watch::Sender<Option<Arc<Snapshot>>>,
        upstreams: Arc<Upstreams>,
        tokens: token::Sources,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            snapshots,
            upstreams,
            tokens,
            metrics,
            fetched: Mutex::new(None),
        }
    }

    /// Takes `bundle` into use, which is mounted or was given. What is mounted is right, however old it is, unless a newer one was fetched meanwhile: then
    /// the mount comes to it later.
    ///
    /// # Errors
    /// [`BundleError`] when its specs have no meaning; the one in use stays.
    pub(crate) fn publish(&self, bundle: Bundle) -> Result<(), BundleError> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = bundle.fetch.as_ref().map(|fetch| fetch.serial);
        match (*fetched, serial) {
            (Some(fetched), Some(serial)) if serial < fetched => {
                tracing::info!("the mount has an older bundle than was fetched, which stays");
                return Ok(());
            }
            (Some(fetched), Some(serial)) if serial == fetched => {}
            _ => self.take(bundle)?,
        }
        *fetched = None;
        Ok(())
    }

    /// Takes `bundle` into use, which was fetched, if it is newer than the one in use, and says whether it was.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub(crate) fn publish_newer(&self, bundle: Bundle) -> Result<bool, BundleError> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use = {
            let snapshot = self.snapshots.borrow();
            let fetch = snapshot.as_ref().and_then(|snapshot| snapshot.fetch());
            fetch.map(|fetch| fetch.serial)
        };
        let serial = bundle.fetch.as_ref().map(|fetch| fetch.serial);
        // Without numbers nobody knows which of both is newer.
        let is_newer = in_use
            .zip(serial)
            .is_some_and(|(in_use, serial)| serial > in_use);
        if is_newer {
            self.take(bundle)?;
            *fetched = serial;
        }
        Ok(is_newer)
    }

    fn take(&self, bundle: Bundle) -> Result<(), BundleError> {
        let before = self.snapshots.borrow().clone();
        let snapshot = Snapshot::compile(
            bundle,
            &self.upstreams,
            &self.tokens,
            before.as_deref(),
            Instant::now(),
        )?;
        self.metrics
            .bundle_loaded(&snapshot.identity, &snapshot.revision);
        for binding in snapshot.bindings() {
            let credential = binding.route.credential.as_str();
            self.metrics.watch_for_misuse(credential);
            // What has no tokens has no cost either.
            if binding.route.dialect != Dialect::Plain {
                let models = snapshot.policy.model_labels();
                self.metrics.watch_spending(credential, models);
            }
            if binding.secret.is_none() {
                tracing::warn!(
                    credential,
                    "the credential has no secret: calls with it are denied"
                );
            }
            if let Err(error) = &binding.origin {
                tracing::warn!(credential, %error, "the credential's caBundle cannot be used: calls with it are denied");
            }
        }
        tracing::info!(
            identity = snapshot.identity,
            revision = snapshot.revision,
            credentials = snapshot.bindings().len(),
            rules = snapshot.policy.rule_count(),
            "a bundle is in use"
        );
        self.snapshots.send_replace(Some(Arc::new(snapshot)));
        Ok(())
    }

    /// Wipes what was secret before the bundle in use and is not looked for any longer at `now`.
    fn forget(&self, now: Instant) {
        if let Some(snapshot) = &*self.snapshots.borrow() {
            for binding in snapshot.bindings() {
                if let Some(overlap) = &binding.overlap {
                    overlap.forget(now);
                }
            }
        }
    }
}

impl Watcher {
    /// Watches `directory`, and looks there at once when that is `wanted`.
    pub(crate) fn new(directory: &Path, publisher: Arc<Publisher>, wanted: Arc<Wanted>) -> Self {
        Self {
            file: directory.join(BUNDLE_KEY),
            seen: None,
            publisher,
            wanted,
        }
    }

    /// Looks for ever.
    pub(crate) async fn follow(mut self) {
        let mut ticks = tokio::time::interval(POLL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // One more look between two ticks: a provider that takes no call makes everybody ask.
        let mut may_hurry = true;
        loop {
            tokio::select! {
                _ = ticks.tick() => may_hurry = true,
                () = self.wanted.mount.notified(), if may_hurry => may_hurry = false,
            }
            self.publisher.forget(Instant::now());
            // One stat of a file in memory; only a change is worth another thread.
            if self.has_changed() {
                self = match tokio::task::spawn_blocking(move || {
                    self.look();
                    self
                })
                .await
                {
                    Ok(watcher) => watcher,
                    Err(error) => {
                        tracing::error!(%error, "reading a bundle failed for good: the last good one stays");
                        return;
                    }
                };
            }
        }
    }

    fn has_changed(&self) -> bool {
        std::fs::metadata(&self.file)
            .ok()
            .map(|metadata| Stamp::of(&metadata))
            != self.seen
    }

    /// Reads the bundle if it changed, and publishes it if it is good.
    pub(crate) fn look(&mut self) {
        let (stamp, loaded) = read(&self.file);
        if stamp == self.seen && self.seen.is_some() {
            return;
        }
        let is_first = self.seen.is_none();
        self.seen = stamp;
        let published =
            loaded.and_then(|bytes| Ok(self.publisher.publish(Bundle::parse(&bytes)?)?));
        if let Err(error) = published {
            self.publisher.metrics.bundle_errors.inc();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let keeps = if self.publisher.snapshots.borrow().is_some() {
                "the last good bundle stays in use"
            } else {
                "there is no bundle yet: every call is denied"
            };
            tracing::error!(file = %self.file.display(), %error, cause, is_first, "{keeps}");
        }
    }
}

/// The file's bytes, at most one more than a bundle may have, and which file they are from.
fn read(path: &Path) -> (Option<Stamp>, Result<Zeroizing<Vec<u8>>, LoadError>) {
    let opened = File::open(path).and_then(|file| Ok((Stamp::of(&file.metadata()?), file)));
    let (stamp, file) = match opened {
        Ok(opened) => opened,
        Err(error) => return (None, Err(error.into())),
    };
    let limit = MAX_BYTES as u64 + 1;
    // Large enough from the start: growing would leave copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(stamp.length.min(limit)).unwrap_or(MAX_BYTES) + 1,
    ));
    let read = file.take(limit).read_to_end(&mut bytes);
    (Some(stamp), read.map(|_| bytes).map_err(LoadError::from))
}

#[cfg(test)]
mod tests;

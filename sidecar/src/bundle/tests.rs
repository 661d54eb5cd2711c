//! When the mount is looked at, by a clock that stands still while there is anything to do.

use std::fs;

use serde_json::json;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant as Clock};
use tokio_util::task::TaskTracker;

use super::*;

/// A watcher that runs, and what it publishes.
struct Watched {
    directory: TempDir,
    wanted: Arc<Wanted>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    _running: JoinHandle<()>,
}

impl Watched {
    /// One that has just looked for the first time.
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (metrics, tasks) = (Arc::new(Metrics::new()), TaskTracker::new());
        let upstreams = Arc::new(Upstreams::new(
            Vec::new(),
            Duration::ZERO,
            Arc::clone(&metrics),
            tasks.clone(),
        ));
        let tokens = token::Sources::new(Arc::clone(&metrics), tasks);
        let (sender, snapshots) = watch::channel(None);
        let publisher = Arc::new(Publisher::new(sender, upstreams, tokens, metrics));
        let wanted = Arc::new(Wanted::default());
        let watcher = Watcher::new(directory.path(), publisher, Arc::clone(&wanted));
        let mut watched = Self {
            directory,
            wanted,
            snapshots,
            _running: tokio::spawn(watcher.follow()),
        };
        watched.put("1");
        watched.published().await;
        watched
    }

    /// Another bundle, which differs in its version.
    fn put(&self, version: &str) {
        let bundle = json!({
            "format": 1, "minReader": 1, "namespace": "agents", "identity": "bot",
            "spec": {"serviceAccountNames": ["bot"], "credentials": [
                {"name": "openai", "provider": "openai", "source": {"secret": {"name": "key", "key": "api-key"}}}]},
            "policies": [],
            "secrets": {"openai": {"value": "c2VjcmV0", "version": version}},
        });
        // By a rename, so that none is read in half.
        let file = self.directory.path().join(BUNDLE_KEY);
        let new = self.directory.path().join("new");
        fs::write(&new, bundle.to_string()).unwrap();
        fs::rename(new, file).unwrap();
    }

    /// How long it takes until a bundle is published.
    async fn published(&mut self) -> Duration {
        let from = Clock::now();
        self.snapshots.changed().await.unwrap();
        from.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_wanted_is_looked_for_at_once() {
    let mut watched = Watched::start().await;
    watched.put("2");
    watched.wanted.ask();
    assert_eq!(watched.published().await, Duration::ZERO);
    // Without being asked, in its time.
    watched.put("3");
    let took = watched.published().await;
    assert!(took > Duration::ZERO && took <= POLL, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn asking_over_and_over_has_one_more_look_in_a_second() {
    let mut watched = Watched::start().await;
    for _ in 0..100 {
        watched.wanted.ask();
    }
    watched.put("2");
    assert_eq!(watched.published().await, Duration::ZERO);
    for _ in 0..100 {
        watched.wanted.ask();
    }
    watched.put("3");
    let took = watched.published().await;
    assert!(took > Duration::ZERO && took <= POLL, "{took:?}");
}

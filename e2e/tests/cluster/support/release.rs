//! The release that all tests share, and putting it back.

use anyhow::Result;
use postern_e2e::{
    Cluster, House,
    house::{NAMESPACE, RELEASE},
};

/// Whatever a test does to the release, afterwards it is as all others expect it.
pub(crate) struct Restored<'a> {
    house: &'a House,
    done: bool,
}

impl<'a> Restored<'a> {
    /// Will put back the release of `house`.
    pub(crate) fn later(house: &'a House) -> Self {
        Self { house, done: false }
    }

    /// Puts the release back, and waits for it.
    pub(crate) fn now(mut self) -> Result<()> {
        self.done = true;
        self.restore()
    }

    fn restore(&self) -> Result<()> {
        House::install(self.house.cluster.clone(), self.house.images.clone()).map(drop)
    }
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        if !self.done {
            let restored = self.restore();
            assert!(std::thread::panicking() || restored.is_ok(), "{restored:?}");
        }
    }
}

/// Runs `helm` on the release that all tests share.
pub(crate) fn helm(cluster: &Cluster, command: &str, arguments: &[&str]) -> Result<String> {
    let common = [command, RELEASE, "--namespace", NAMESPACE];
    cluster.helm(common.iter().chain(arguments))
}

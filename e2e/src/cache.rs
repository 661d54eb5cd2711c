//! The directory that keeps what is slow to make (programs, image archives) and the cluster's state between runs.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};

/// `$POSTERN_CACHE`, or `~/.cache/postern`.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Held while one process makes something; given back when dropped, or by the kernel when the process dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Cache {
    /// Opens the cache of this user and makes its directory.
    pub fn open() -> Result<Self> {
        let root = match env::var_os("POSTERN_CACHE") {
            Some(dir) => PathBuf::from(dir),
            None => env::home_dir()
                .context("finding the home directory; set POSTERN_CACHE")?
                .join(".cache/postern"),
        };
        Self::at(&root)
    }

    /// Opens a cache in `root`, which need not exist.
    pub fn at(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("making the cache {}", root.display()))?;
        Ok(Self {
            root: root.canonicalize()?,
        })
    }

    /// A path below the cache.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Waits until no other process holds the lock `name`.
    ///
    /// `on_wait` is called once if somebody else has it, so that a person learns why nothing happens.
    pub fn lock(&self, name: &str, on_wait: impl FnOnce()) -> Result<Lock> {
        let path = self.path(format!("{name}.lock"));
        let file =
            File::create(&path).with_context(|| format!("opening the lock {}", path.display()))?;
        if file.try_lock().is_err() {
            on_wait();
            file.lock()
                .with_context(|| format!("taking the lock {}", path.display()))?;
        }
        Ok(Lock { _file: file })
    }

    /// Returns the file or directory `relative`, calling `make` with a path to write to when it is not there yet.
    ///
    /// It appears under its name only when complete: an interrupted run leaves nothing that looks finished.
    pub fn entry(&self, relative: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.path(relative);
        if path.exists() {
            return Ok(path);
        }
        let parent = path.parent().context("a cache entry below the cache")?;
        fs::create_dir_all(parent)?;
        let unfinished = self.path(format!("{relative}.{}.new", process::id()));
        discard(&unfinished)?;
        if let Err(error) = make(&unfinished) {
            discard(&unfinished)?;
            return Err(error);
        }
        fs::rename(&unfinished, &path)
            .with_context(|| format!("putting {} in its place", path.display()))?;
        Ok(path)
    }
}

/// Removes a file or a whole directory; its absence is fine.
pub(crate) fn discard(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::bail;

    use super::Cache;

    #[test]
    fn entry_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        let made = cache
            .entry("bin/tool", |path| Ok(fs::write(path, "one")?))
            .unwrap();
        let again = cache
            .entry("bin/tool", |_| panic!("it is there already"))
            .unwrap();
        assert_eq!(made, again);
        assert_eq!(fs::read_to_string(again).unwrap(), "one");
    }

    #[test]
    fn failed_entry_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        let failed = cache.entry("bin/tool", |path| {
            fs::write(path, "half")?;
            bail!("the disk is full")
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(dir.path().join("bin")).unwrap().count(), 0);
    }

    #[test]
    fn second_taker_of_a_lock_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        let first = cache.lock("cluster", || panic!("nobody holds it")).unwrap();
        let waiter = std::thread::spawn({
            let cache = cache.clone();
            move || {
                let mut waited = false;
                let _lock = cache.lock("cluster", || waited = true).unwrap();
                waited
            }
        });
        while !waiter.is_finished()
            && fs::read_to_string("/proc/locks").is_ok_and(|all| !all.contains("->"))
        {
            std::thread::yield_now();
        }
        drop(first);
        assert!(waiter.join().unwrap());
    }
}

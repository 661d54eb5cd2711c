//! The directory that keeps what is slow to make (programs, image archives) and the cluster's state between runs.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

use crate::progress::say;

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
        let path = self.path(format!("locks/{name}"));
        fs::create_dir_all(path.parent().context("a directory of the lock")?)?;
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
    /// It appears under its name only when complete: an interrupted run leaves nothing that looks finished. Processes
    /// that need it at the same time make it once.
    pub fn entry(&self, relative: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let path = self.path(relative);
        if path.exists() {
            return Ok(path);
        }
        let _lock = self.lock(&relative.replace('/', "_"), || {
            say(&format!(
                "… waiting for another process that makes {relative}"
            ));
        })?;
        if path.exists() {
            return Ok(path);
        }
        fs::create_dir_all(path.parent().context("a cache entry below the cache")?)?;
        let unfinished = self.path(format!("{relative}.new"));
        discard(&unfinished)?;
        if let Err(error) = make(&unfinished) {
            discard(&unfinished)?;
            return Err(error);
        }
        fs::rename(&unfinished, &path)
            .with_context(|| format!("putting {} in its place", path.display()))?;
        Ok(path)
    }

    /// The entry `NAME-KEY` and `suffix`, where `key` is a digest of what it is made from.
    ///
    /// A new one replaces those of the same name with other keys.
    pub(crate) fn current(
        &self,
        name: &str,
        key: &str,
        suffix: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let mut made = false;
        let path = self.entry(&format!("{name}-{key}{suffix}"), |path| {
            made = true;
            make(path)
        })?;
        if made {
            self.discard_others(name, key, suffix)?;
        }
        Ok(path)
    }

    /// Removes entries that were made from something else.
    fn discard_others(&self, name: &str, key: &str, suffix: &str) -> Result<()> {
        let path = self.path(name);
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let prefix = format!("{}-", name.to_string_lossy());
        for entry in fs::read_dir(directory)? {
            let file = entry?.file_name();
            let file = file.to_string_lossy();
            let other = file
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(suffix))
                .is_some_and(|other| is_key(other) && other != key);
            if other {
                discard(&directory.join(file.as_ref()))?;
            }
        }
        Ok(())
    }
}

/// Whether this is a digest, perhaps behind a version, and not more of a name.
fn is_key(text: &str) -> bool {
    let digest = text.rsplit('-').next().unwrap_or_default();
    let version =
        text.len() == digest.len() || text.starts_with(|first: char| first.is_ascii_digit());
    version && digest.len() == 12 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Threads that remove files: where a file system passes each removal on to the disk, most of the time is waiting.
const REMOVERS: usize = 16;

/// Removes a file or a whole directory; its absence is fine.
pub(crate) fn discard(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        discard_files(path)?;
    }
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

/// Removes everything below `directory` but the directories.
fn discard_files(directory: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => pending.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    let share = files.len().div_ceil(REMOVERS).max(1);
    thread::scope(|scope| {
        let removers: Vec<_> = files
            .chunks(share)
            .map(|share| scope.spawn(|| share.iter().try_for_each(fs::remove_file)))
            .collect();
        removers.into_iter().try_for_each(|remover| {
            remover
                .join()
                .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        })
    })
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
    fn current_entry_replaces_the_older_one_of_its_name_only() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path()).unwrap();
        let (one, other, versioned) = ("0123456789ab", "ba9876543210", "0.1.0-ba9876543210");
        for (name, key) in [
            ("x/tool", one),
            ("x/tool-box", one),
            ("x/tool", versioned),
            ("x/tool", other),
        ] {
            cache
                .current(name, key, ".tar", |path| Ok(fs::write(path, key)?))
                .unwrap();
        }
        let mut left: Vec<_> = fs::read_dir(dir.path().join("x"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["tool-ba9876543210.tar", "tool-box-0123456789ab.tar"]);
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

//! Names what a build was made from, so that a change of any input makes another name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest as _, Sha256};

/// A SHA-256 over labelled inputs, each with its length, so that no two lists of inputs run together.
#[derive(Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds every file below `dir`: its path, whether it may be executed, and its content.
    pub(crate) fn tree(mut self, dir: &Path) -> Result<Self> {
        for file in files(dir)? {
            let relative = file
                .strip_prefix(dir)
                .context("a file below its directory")?;
            let executable = fs::metadata(&file)?.permissions().mode() & 0o100;
            let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            self = self
                .text(&relative.to_string_lossy())
                .bytes(&[u8::from(executable != 0)])
                .bytes(&content);
        }
        Ok(self)
    }

    /// The first twelve hexadecimal digits: enough to tell builds apart, short enough for a tag.
    pub(crate) fn short(self) -> String {
        let hash = self.0.finalize();
        hash.iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(dir) = pending.pop() {
        let entries = fs::read_dir(&dir).with_context(|| format!("listing {}", dir.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Digest;

    fn of(dir: &Path) -> String {
        Digest::new().tree(dir).unwrap().short()
    }

    #[test]
    fn tree_digest_changes_with_name_content_and_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let file = dir.path().join("sub/a");
        fs::write(&file, "one").unwrap();
        let first = of(dir.path());
        assert_eq!(first, of(dir.path()));
        assert_eq!(first.len(), 12);

        fs::write(&file, "two").unwrap();
        let changed = of(dir.path());
        assert_ne!(first, changed);

        let renamed = dir.path().join("sub/b");
        fs::rename(&file, &renamed).unwrap();
        assert_ne!(changed, of(dir.path()));

        let before = of(dir.path());
        let mut mode = fs::metadata(&renamed).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
        fs::set_permissions(&renamed, mode).unwrap();
        assert_ne!(before, of(dir.path()));
    }

    #[test]
    fn inputs_do_not_run_together() {
        let one = Digest::new().text("ab").text("c").short();
        let other = Digest::new().text("a").text("bc").short();
        assert_ne!(one, other);
    }
}

//! What the programs are written with, from the registries, as pinned beside this file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use postern_e2e::{Cache, run, step};
use sha2::{Digest, Sha256};

/// Where the programs are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sign")
}

/// A directory for `PYTHONPATH`.
pub(crate) fn python(cache: &Cache) -> Result<PathBuf> {
    let requirements = folder().join("requirements.txt");
    let entry = format!("parts/sign-python-{}", key(&[&requirements])?);
    cache.entry(&entry, |path| {
        step(
            "Python packages of the signers",
            "botocore, moto and google-auth",
            || {
                let mut pip = Command::new("python3");
                pip.args([
                    "-m",
                    "pip",
                    "install",
                    "--disable-pip-version-check",
                    "--root-user-action=ignore",
                ]);
                pip.args(["--only-binary=:all:", "--require-hashes", "--no-compile"]);
                pip.arg("--target")
                    .arg(path)
                    .arg("--requirement")
                    .arg(&requirements);
                run::logged(&mut pip, &cache.path("log/sign-pip.log"))
            },
        )
    })
}

/// A directory with `node_modules`.
pub(crate) fn node(cache: &Cache) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json"].map(|name| folder().join("node").join(name));
    let entry = format!("parts/sign-node-{}", key(&[&files[0], &files[1]])?);
    cache.entry(&entry, |path| {
        step(
            "npm packages of the tokens",
            "a certified OAuth 2.0 server",
            || {
                fs::create_dir_all(path)?;
                for file in &files {
                    fs::copy(file, path.join(file.file_name().unwrap_or_default()))?;
                }
                let mut npm = Command::new("npm");
                // No package gets to run its scripts as root on this machine.
                npm.args(["ci", "--omit=dev", "--ignore-scripts"])
                    .current_dir(path);
                run::logged(&mut npm, &cache.path("log/sign-npm.log"))
            },
        )
    })
}

/// A short digest of `files`.
fn key(files: &[&Path]) -> Result<String> {
    let mut digest = Sha256::new();
    for file in files {
        digest.update(fs::read(file)?);
    }
    let digest = digest.finalize();
    Ok(digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

//! What do the official SDKs of OpenAI and Anthropic make of what Postern does to answers?
//!
//! An upstream says the same in each API, whole and in streams that are written in unkind ways (`answers.json`). One program a language calls it
//! with the SDKs alone. No cluster is needed.

mod limits;
mod masks;
mod sidecar;
mod upstream;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use postern_e2e::{Cache, image::parts};

/// What the packages are there for, as people read it while they are fetched.
const WHY: &str = "the official SDKs of OpenAI and Anthropic";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// What the upstream says, and what of it is to be read.
fn answers() -> PathBuf {
    folder().join("answers.json")
}

/// A Python that has the SDKs, and one of the programs for it.
fn python(program: &str) -> Result<Command> {
    let requirements = folder().join("requirements.txt");
    let packages = parts::python(&Cache::open()?, "clients", WHY, &requirements)?;
    let mut python = Command::new("python3");
    python
        .arg(folder().join(program))
        .env("PYTHONPATH", packages.path)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(python)
}

/// Node.js and one of the programs for it, whose first argument is where the SDKs are.
fn node(program: &str) -> Result<Command> {
    let packages = parts::node_modules(&Cache::open()?, "clients", WHY, &folder().join("node"))?;
    let mut node = Command::new("node");
    node.arg(folder().join(program)).arg(packages.path);
    Ok(node)
}

/// Runs a program, whose last word is that all its answers were read.
fn all_read(program: &mut Command) -> Result<()> {
    let out = program.output().context("starting the program")?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(
        out.status.success() && said.trim_end().ends_with("answers read"),
        "{said}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

//! What do the official SDKs of OpenAI and Anthropic read of masked answers?
//!
//! An upstream says the same in each API, whole and in streams that are written in unkind ways (`answers.json`). One program a language calls it
//! straight and through the sidecar, with the SDKs alone: it must read what masking the whole text gives, and apart from that the same
//! events with the same ids and counts. No cluster is needed.

mod sidecar;
mod upstream;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use postern_e2e::{Cache, image::parts};
use tokio::runtime::Runtime;

use self::upstream::Upstream;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Lets `program` read what the upstream says, straight and through the sidecar.
fn reads(program: &mut Command) -> Result<()> {
    let runtime = Runtime::new()?;
    let upstream = runtime.block_on(Upstream::start(&folder().join("answers.json")))?;
    let sidecar = runtime.block_on(sidecar::start(upstream.port))?;
    let out = program
        .arg(folder().join("answers.json"))
        .arg(format!("http://127.0.0.1:{}", upstream.port))
        .arg(format!("http://127.0.0.1:{sidecar}"))
        .output()
        .context("starting the program")?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(
        out.status.success() && said.trim_end().ends_with("answers read"),
        "{said}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

#[test]
fn the_sdks_for_python_read_what_masking_the_whole_gives() -> Result<()> {
    let why = "the official SDKs of OpenAI and Anthropic";
    let requirements = folder().join("requirements.txt");
    let packages = parts::python(&Cache::open()?, "clients", why, &requirements)?;
    reads(
        Command::new("python3")
            .arg(folder().join("reads.py"))
            .env("PYTHONPATH", packages.path)
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}

#[test]
fn the_sdks_for_javascript_read_what_masking_the_whole_gives() -> Result<()> {
    let why = "the official SDKs of OpenAI and Anthropic";
    let packages = parts::node_modules(&Cache::open()?, "clients", why, &folder().join("node"))?;
    reads(
        Command::new("node")
            .arg(folder().join("reads.mjs"))
            .arg(packages.path),
    )
}

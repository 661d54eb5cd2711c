//! Straight and through the sidecar: what is read must be what masking the whole text gives, and apart from that the same events with the same ids and
//! counts.

use std::process::Command;

use anyhow::Result;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{all_read, answers, node, python, sidecar::Sidecar, upstream::Upstream};

/// Lets `program` read what the upstream says, straight and through the sidecar.
fn reads(program: &mut Command) -> Result<()> {
    let runtime = Runtime::new()?;
    let upstream = runtime.block_on(Upstream::start(&answers()))?;
    let policy = json!({"response": {"mask": {
        "detectors": ["EMAIL", "CREDIT_CARD", "IBAN", "PHONE", "US_SSN", "JWT", "PRIVATE_KEY"],
        "patterns": [{"name": "CASE_ID", "regex": "CASE-[0-9]{4,8}"}],
    }}});
    let credentials = [("openai", "openai"), ("anthropic", "anthropic")];
    let sidecar = runtime.block_on(Sidecar::start(upstream.port, &credentials, &policy))?;
    all_read(
        program
            .arg(answers())
            .arg(format!("http://127.0.0.1:{}", upstream.port))
            .arg(format!("http://127.0.0.1:{}", sidecar.port)),
    )
}

#[test]
fn the_sdks_for_python_read_what_masking_the_whole_gives() -> Result<()> {
    reads(&mut python("masks.py")?)
}

#[test]
fn the_sdks_for_javascript_read_what_masking_the_whole_gives() -> Result<()> {
    reads(&mut node("masks.mjs")?)
}

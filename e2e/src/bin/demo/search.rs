//! Looks for a text in an application's container: the environment and memory of its processes, and its files.

use anyhow::{Context, Result};
use postern_e2e::{Cluster, run};
use serde::Deserialize;

use crate::NAMESPACE;

/// What a search read, and where it found the text.
#[derive(Debug, Deserialize)]
pub(crate) struct Search {
    pub(crate) processes: u64,
    /// Bytes.
    pub(crate) memory: u64,
    pub(crate) files: u64,
    pub(crate) found: Vec<String>,
}

/// Searches the agent's container of `pod` for `text`, from within, as the program's own user.
pub(crate) fn search(cluster: &Cluster, pod: &str, text: &str) -> Result<Search> {
    // Inverted, so that the search does not find its own question.
    let inverted: String = text
        .bytes()
        .map(|byte| format!("{:02x}", byte ^ 255))
        .collect();
    let mut command = cluster.kubectl_command();
    command.args([
        "exec",
        pod,
        "--namespace",
        NAMESPACE,
        "--container",
        "agent",
        "--stdin",
        "--",
        "python3",
        "-c",
    ]);
    command.arg(include_str!("../../../demo/search.py"));
    let line = run::output_with(&inverted, &mut command)?;
    serde_json::from_str(&line).with_context(|| format!("reading what the search printed: {line}"))
}

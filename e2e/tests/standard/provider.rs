//! aimock on this machine: it answers as every vendor does, and refuses whoever does not have the key.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};
use postern_e2e::{Cache, image};

/// A running aimock, which ends when dropped.
pub(crate) struct Aimock {
    /// As in `http://127.0.0.1:4010`.
    pub(crate) address: String,
    process: Child,
    /// Kept open: a server that cannot write its log would end.
    _log: BufReader<ChildStdout>,
}

impl Aimock {
    /// Starts one that knows `fixtures` and accepts `key` alone.
    pub(crate) fn start(cache: &Cache, fixtures: &Path, key: &str) -> Result<Self> {
        let program = image::aimock(cache)?
            .path
            .join("@copilotkit/aimock/dist/cli.js");
        let mut process = Command::new("node")
            .arg(program)
            .args(["--port", "0", "--fixtures"])
            .arg(fixtures)
            .env("AIMOCK_API_KEYS", key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("starting aimock")?;
        let mut log = BufReader::new(process.stdout.take().context("a piped output")?);
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            if log.read_line(&mut line)? == 0 {
                let _ = process.wait();
                anyhow::bail!("aimock ended, having said {said}");
            }
            if let Some((_, address)) = line.trim().split_once("listening on ") {
                break address.to_owned();
            }
            said += &line;
        };
        Ok(Self {
            address,
            process,
            _log: log,
        })
    }
}

impl Drop for Aimock {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

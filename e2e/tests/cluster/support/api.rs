//! What the API server says of an object that somebody wants to create.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use postern_e2e::Namespace;
use serde_json::Value;

/// An object that the API server admitted.
pub(crate) struct Admitted {
    /// As it is stored, or would be.
    pub(crate) object: Value,
    /// What it warns of, one a line.
    pub(crate) warnings: Vec<String>,
}

/// Creates `object`.
///
/// # Errors
/// In the API server's words, if it refuses.
pub(crate) fn create(namespace: &Namespace, object: &Value) -> Result<Admitted> {
    submit(namespace, object, &[])
}

/// As [`create`], but nothing is stored.
pub(crate) fn admit(namespace: &Namespace, object: &Value) -> Result<Admitted> {
    submit(namespace, object, &["--dry-run=server"])
}

fn submit(namespace: &Namespace, object: &Value, arguments: &[&str]) -> Result<Admitted> {
    let mut command = namespace.kubectl_command();
    command
        .args(["create", "--filename", "-", "--output", "json"])
        .args(arguments);
    let said = talk(&mut command, &object.to_string())?;
    ensure!(said.success, "{}", said.stderr);
    Ok(Admitted {
        object: serde_json::from_str(&said.stdout).context("reading the created object")?,
        warnings: said
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("Warning: "))
            .map(str::to_owned)
            .collect(),
    })
}

/// What a program said, on both of its channels.
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `command` with `input` to its end, whatever that is.
pub(crate) fn talk(command: &mut Command, input: &str) -> Result<Said> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting a program")?;
    // All of it before any output is read: kubectl decodes its input before it says a word of note.
    child
        .stdin
        .take()
        .context("a piped standard input")?
        .write_all(input.as_bytes())?;
    let out = child.wait_with_output()?;
    Ok(Said {
        success: out.status.success(),
        stdout: String::from_utf8(out.stdout)?,
        stderr: String::from_utf8(out.stderr)?,
    })
}

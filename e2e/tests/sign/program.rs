//! A program that is upstream and caller at once: it says where it listens, is told where the sidecar does, and ends.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use postern_e2e::{
    Cache, image,
    pki::{Authority, Subject},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::sidecar::Sidecar;

/// Where the programs are, and what pins the packages that they are written with.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sign")
}

/// A program that waits to be told.
pub(crate) struct Program {
    child: Child,
    /// What it said of itself.
    pub(crate) said: Value,
    /// Whom to trust for its certificate.
    pub(crate) authority: String,
    _certificate: TempDir,
}

impl Program {
    /// Starts `file`, in Python.
    pub(crate) fn python(cache: &Cache, file: &str) -> Result<Self> {
        let why = "botocore, moto and google-auth";
        let requirements = folder().join("requirements.txt");
        let packages = image::parts::python(cache, "signers", why, &requirements)?;
        let mut command = Command::new("python3");
        command
            .arg(folder().join(file))
            .env("PYTHONPATH", packages.path)
            // botocore and moto look here for what a person has set up.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/nowhere")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
        Self::start(command)
    }

    /// Starts `file`, in JavaScript.
    pub(crate) fn node(cache: &Cache, file: &str) -> Result<Self> {
        let why = "a certified OAuth 2.0 server";
        let packages = image::parts::node_modules(cache, "signers", why, &folder().join("node"))?;
        let mut command = Command::new("node");
        command.arg(folder().join(file)).arg(packages.path);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let authority = Authority::new("signers")?;
        let identity = authority.issue(&Subject {
            name: "signers",
            group: None,
            hosts: &["127.0.0.1"],
        })?;
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| -> Result<std::path::PathBuf> {
            let path: &Path = folder.path();
            std::fs::write(path.join(name), text)?;
            Ok(path.join(name))
        };
        command.arg(write("tls.crt", &identity.certificate)?);
        command.arg(write("tls.key", &identity.key)?);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting a program")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a piped output")?).read_line(&mut line)?;
        let Ok(said) = serde_json::from_str(&line) else {
            anyhow::bail!("it did not start: {line}{}", complaint(&mut child)?);
        };
        Ok(Self {
            child,
            said,
            authority: authority.certificate(),
            _certificate: folder,
        })
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> Result<u64> {
        self.said["port"].as_u64().context("a port")
    }

    /// Tells it where the sidecar is, and waits for its verdict.
    pub(crate) fn go(mut self, sidecar: &Sidecar) -> Result<()> {
        let mut input = self.child.stdin.take().context("a piped input")?;
        writeln!(input, "{{\"port\": {}}}", sidecar.port())?;
        let complaint = complaint(&mut self.child)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}: {complaint}");
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All that it says of what went wrong, to its end.
fn complaint(child: &mut Child) -> Result<String> {
    let mut text = String::new();
    child
        .stderr
        .take()
        .context("a piped output")?
        .read_to_string(&mut text)?;
    Ok(text)
}

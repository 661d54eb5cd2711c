//! A real OpenBao on this machine's loopback, in memory, with a certificate of an authority of its own.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use postern_e2e::{
    Cache, image,
    pki::{Authority, Subject},
    run,
};
use serde_json::Value;
use tempfile::TempDir;

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// A running server, unsealed, with a KV engine of version 2 at `secret` and one of version 1 at `kv1`. It ends when dropped.
pub(crate) struct Bao {
    child: Mutex<Child>,
    program: PathBuf,
    folder: TempDir,
    port: u16,
    /// Whom to trust for its certificate.
    pub(crate) authority: String,
    root: String,
    key: String,
}

impl Bao {
    pub(crate) fn start() -> Result<Self> {
        let program = image::openbao_program(&Cache::open()?)?.path;

        let authority = Authority::new("openbao")?;
        let identity = authority.issue(&Subject {
            name: "openbao",
            group: None,
            hosts: &["127.0.0.1"],
        })?;
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("ca.crt", &authority.certificate())?;
        write("tls.crt", &identity.certificate)?;
        write("tls.key", &identity.key)?;
        // It is free once this listener is gone, and nobody else is given it so soon.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let path = folder.path().display();
        write(
            "bao.hcl",
            &format!(
                "storage \"inmem\" {{}}\n\
                 listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{path}/tls.crt\"\n  tls_key_file = \"{path}/tls.key\"\n}}\n\
                 api_addr = \"https://127.0.0.1:{port}\"\n"
            ),
        )?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child = Command::new(&program)
            .arg("server")
            .arg("-config")
            .arg(folder.path().join("bao.hcl"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut bao = Self {
            child: Mutex::new(child),
            program,
            folder,
            port,
            authority: authority.certificate(),
            root: String::new(),
            key: String::new(),
        };
        bao.prepare()?;
        Ok(bao)
    }

    fn prepare(&mut self) -> Result<()> {
        let made = postern_e2e::until("OpenBao", START, || {
            if let Some(status) = self.child.lock().unwrap().try_wait()? {
                let log = fs::read_to_string(self.folder.path().join("log"))?;
                bail!("it ended with {status}: {log}");
            }
            self.run("operator init -key-shares=1 -key-threshold=1 -format=json")
        })?;
        let made: Value = serde_json::from_str(&made)?;
        let text = |pointer| -> Result<String> {
            let text = made.pointer(pointer).and_then(Value::as_str);
            Ok(text.context("what init prints")?.to_owned())
        };
        self.root = text("/root_token")?;
        self.key = text("/unseal_keys_b64/0")?;
        self.unseal()?;
        self.run("secrets enable -path=secret -version=2 kv")?;
        self.run("secrets enable -path=kv1 -version=1 kv")?;
        Ok(())
    }

    /// Opens it after [`Bao::seal`].
    pub(crate) fn unseal(&self) -> Result<()> {
        self.run(&format!("operator unseal {}", self.key)).map(drop)
    }

    pub(crate) fn seal(&self) -> Result<()> {
        self.run("operator seal").map(drop)
    }

    /// Runs `bao` with these words as its administrator, and returns what it prints.
    pub(crate) fn run(&self, words: &str) -> Result<String> {
        run::output(self.command().args(words.split(' ')))
    }

    /// Writes values that have spaces or line ends in them.
    pub(crate) fn write(&self, path: &str, values: &[&str]) -> Result<()> {
        let mut command = self.command();
        command.args(["write", path]).args(values);
        run::output(&mut command).map(drop)
    }

    /// Makes `text` the policy called `name`.
    pub(crate) fn policy(&self, name: &str, text: &str) -> Result<()> {
        run::output_with(text, self.command().args(["policy", "write", name, "-"])).map(drop)
    }

    /// Ends it.
    pub(crate) fn stop(&self) {
        let mut child = self.child.lock().unwrap();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("BAO_ADDR", self.address())
            .env("BAO_CACERT", self.folder.path().join("ca.crt"))
            .env("BAO_TOKEN", &self.root)
            // It keeps a token there.
            .env("HOME", self.folder.path());
        command
    }

    pub(crate) fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        self.stop();
    }
}

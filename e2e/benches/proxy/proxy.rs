//! One run of a proxy: started on its core, watched until it is ready, stopped by its process number.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::machine::{self, Cores};

/// How often a starting proxy is asked whether it is ready: the resolution of that measurement.
const LOOK: Duration = Duration::from_micros(200);
/// The longest that a proxy may take to stop or to answer a question about itself.
const LIMIT: Duration = Duration::from_secs(10);

/// A proxy that can be started.
pub(crate) struct Proxy {
    /// Its program.
    pub(crate) program: PathBuf,
    /// The program's arguments.
    pub(crate) args: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    /// Where callers connect to.
    pub(crate) address: SocketAddr,
    /// Where a `GET` is answered 200 once it can serve.
    pub(crate) ready: (SocketAddr, &'static str),
    /// The longest that it may take to start.
    pub(crate) patience: Duration,
    /// The file for what it prints.
    pub(crate) log: PathBuf,
}

/// A proxy that runs. It is stopped when dropped.
pub(crate) struct Running {
    child: Child,
    /// From just before the program was started to its first answer that it is ready.
    pub(crate) start_to_ready: Duration,
    /// Its processes.
    pub(crate) family: Vec<u32>,
}

impl Proxy {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(&self, cores: &Cores) -> Result<Running> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let start = Instant::now();
        let mut running = Running {
            child: cores.start(&mut command)?,
            start_to_ready: Duration::ZERO,
            family: Vec::new(),
        };
        while !is_ready(self.ready.0, self.ready.1) {
            if let Some(status) = running.child.try_wait()? {
                bail!(
                    "{} ended ({status}); it said: {}",
                    self.program.display(),
                    self.last_words()
                );
            }
            if start.elapsed() > self.patience {
                bail!(
                    "{} is not ready after {:?}; it said: {}",
                    self.program.display(),
                    self.patience,
                    self.last_words()
                );
            }
            thread::sleep(LOOK);
        }
        running.start_to_ready = start.elapsed();
        running.family = machine::family_of(running.child.id())?;
        Ok(running)
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Running {
    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.family.iter().map(|&pid| machine::cpu_of(pid)).sum()
    }

    /// Memory now, in bytes; pages that its processes share count once for each.
    pub(crate) fn rss(&self) -> Result<u64> {
        self.family.iter().map(|&pid| machine::rss_of(pid)).sum()
    }

    /// The most memory so far, in bytes.
    pub(crate) fn peak_rss(&self) -> Result<u64> {
        self.family
            .iter()
            .map(|&pid| machine::peak_rss_of(pid))
            .sum()
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the proxy ended while it was measured: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // First politely; who does not leave in time is ended with its children. None of it can be reported from here.
        signal(self.child.id(), Signal::TERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(2));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.family
                .iter()
                .for_each(|&pid| signal(pid, Signal::KILL));
            let _ = self.child.wait();
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

fn is_ready(address: SocketAddr, path: &str) -> bool {
    get(address, path).is_ok()
}

/// What a plain `GET` is answered.
///
/// # Errors
/// When nobody listens there, and for every status but 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer)
}

//! A container as the node sees it: the test cluster's node is this machine.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A process of a container.
pub(crate) struct Process(Pid);

impl Process {
    /// The process that is number 1 in the container with this id.
    pub(crate) fn first_of(container: &str) -> Result<Self> {
        let entries = fs::read_dir("/proc").context("reading /proc")?;
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Pid::from_raw)
            .map(Self)
            // One that ends meanwhile is none that is looked for.
            .find(|process| process.is_in(container) && process.is_first())
            .with_context(|| format!("no process of container {container} runs on this machine"))
    }

    fn is_in(&self, container: &str) -> bool {
        fs::read_to_string(self.path("cgroup")).is_ok_and(|groups| groups.contains(container))
    }

    fn is_first(&self) -> bool {
        self.status("NSpid").is_ok_and(|pids| pids.ends_with("\t1"))
    }

    /// A file of `/proc/PID`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0.as_raw_nonzero()))
    }

    /// A line of `/proc/PID/status`, without its name.
    pub(crate) fn status(&self, name: &str) -> Result<String> {
        let status = fs::read_to_string(self.path("status")).context("reading a process")?;
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"))
            .map(str::to_owned)
            .with_context(|| format!("{name} is not in the status of a process"))
    }

    /// Sends it a signal.
    pub(crate) fn send(&self, signal: Signal) -> Result<()> {
        kill_process(self.0, signal).context("sending a signal to a process")
    }
}

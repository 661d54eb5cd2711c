//! Programs that outlive the one that starts them, and are stopped only when they are really ours.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::run;
use crate::wait::until;

/// One process, told apart from a later one with the same number by its start time and the machine's boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    /// Clock ticks from boot to start: proc_pid_stat(5), field 22.
    started: u64,
    boot: String,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn current(pid: i32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("reading about process {pid}"))?;
        let stat = Stat::parse(&stat)?;
        if stat.state == 'Z' {
            bail!("process {pid} has ended");
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .context("reading the boot's name")?;
        Ok(Self {
            pid,
            started: stat.started,
            boot: boot.trim().to_owned(),
        })
    }

    pub(crate) fn is_alive(&self) -> bool {
        Self::current(self.pid).is_ok_and(|now| now == *self)
    }

    /// Ends it at once and waits until it is gone. A process that is not ours any more is left alone.
    pub(crate) fn kill(&self) -> Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            bail!("{} is no process number", self.pid)
        };
        // The descriptor goes on naming the same process while we look whether it is ours.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
            return Ok(());
        };
        if !self.is_alive() {
            return Ok(());
        }
        pidfd_send_signal(&handle, Signal::KILL)
            .with_context(|| format!("ending process {}", self.pid))?;
        until(
            "a killed process to end",
            Duration::from_secs(10),
            || match self.is_alive() {
                true => Err(anyhow!("process {} is there", self.pid)),
                false => Ok(()),
            },
        )
    }
}

impl Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.started, self.boot)
    }
}

impl FromStr for Process {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let mut next = |what| words.next().with_context(|| format!("{what} in {line:?}"));
        let process = Self {
            pid: next("process number")?.parse()?,
            started: next("start time")?.parse()?,
            boot: next("boot")?.to_owned(),
        };
        match words.next() {
            None => Ok(process),
            Some(_) => bail!("too many words in {line:?}"),
        }
    }
}

/// What we use of /proc/PID/stat.
struct Stat {
    state: char,
    started: u64,
}

impl Stat {
    fn parse(text: &str) -> Result<Self> {
        // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
        let (_, fields) = text
            .rsplit_once(')')
            .context("finding the name's end in /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let state = fields.first().and_then(|word| word.chars().next());
        let started = fields.get(19).and_then(|word| word.parse().ok());
        Ok(Self {
            state: state.context("the state in /proc/PID/stat")?,
            started: started.context("the start time in /proc/PID/stat")?,
        })
    }
}

/// The background programs of one directory: `DIR/NAME.pid` says which process, `LOG/NAME.log` holds what it says.
#[derive(Debug, Clone)]
pub(crate) struct Daemons {
    dir: PathBuf,
    log: PathBuf,
}

impl Daemons {
    pub(crate) fn new(dir: PathBuf, log: PathBuf) -> Self {
        Self { dir, log }
    }

    /// Starts `command` in a session of its own, so that the end of ours, or of its terminal, is not the end of it.
    pub(crate) fn start(&self, name: &str, command: &Command) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::create_dir_all(&self.log)?;
        let log = File::create(self.log_of(name))?;
        // setsid(1) replaces itself with the program when it does not lead a process group, as here: the process
        // that we start and the program are the same process.
        let mut detached = Command::new("setsid");
        detached
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => detached.env(name, value),
                None => detached.env_remove(name),
            };
        }
        let child = detached
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let process = Process::current(i32::try_from(child.id())?).with_context(|| {
            format!("{name} ended at once; see {}", self.log_of(name).display())
        })?;
        fs::write(self.dir.join(format!("{name}.pid")), process.to_string())?;
        Ok(())
    }

    /// The background programs that were started, with their processes.
    pub(crate) fn list(&self) -> Result<Vec<(String, Process)>> {
        let mut found = Vec::new();
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Ok(found);
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let process = fs::read_to_string(&path)?
                .parse()
                .with_context(|| format!("reading {}", path.display()))?;
            found.push((name.into_owned(), process));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Fails if one of them has ended, with the end of what it said.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, process) in self.list()? {
            if !process.is_alive() {
                let log = self.log_of(&name);
                let said = fs::read_to_string(&log).unwrap_or_default();
                bail!(
                    "{name} has ended; its log {} ends:\n{}",
                    log.display(),
                    run::end_of(&said)
                );
            }
        }
        Ok(())
    }

    /// Ends all of them.
    pub(crate) fn kill(&self) -> Result<()> {
        for (name, process) in self.list()? {
            process.kill().with_context(|| format!("ending {name}"))?;
            fs::remove_file(self.dir.join(format!("{name}.pid")))?;
        }
        Ok(())
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.log.join(format!("{name}.log"))
    }
}

/// Every process number on the machine.
pub(crate) fn all() -> Result<Vec<i32>> {
    let entries = fs::read_dir("/proc").context("listing processes")?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// The words of a process's command line; empty when it has ended.
pub(crate) fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    bytes
        .unwrap_or_default()
        .split(|&byte| byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Daemons, Process, Stat};

    #[test]
    fn stat_is_read_behind_a_hostile_program_name() {
        let text = "7 (a) S 1 (b) R 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 4242 100 200";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(('R', 4242), (stat.state, stat.started));
        assert!(Stat::parse("7 (a").is_err());
        assert!(Stat::parse("7 (a) R 1").is_err());
    }

    #[test]
    fn process_file_reads_back_and_refuses_other_text() {
        let me = Process::current(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(me, me.to_string().parse().unwrap());
        for text in ["", "1", "1 2", "x 2 boot", "1 2 boot more"] {
            assert!(text.parse::<Process>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn process_of_another_start_or_boot_is_not_ours() {
        let me = Process::current(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(me.is_alive());
        let earlier = Process {
            started: me.started - 1,
            ..me.clone()
        };
        let before_reboot = Process {
            boot: "another".to_owned(),
            ..me
        };
        for other in [earlier, before_reboot] {
            assert!(!other.is_alive());
            other.kill().unwrap(); // and we are still here
        }
    }

    #[test]
    fn daemon_leads_its_own_session_and_ends_when_killed() {
        let dir = tempfile::tempdir().unwrap();
        let daemons = Daemons::new(dir.path().join("run"), dir.path().join("log"));
        daemons
            .start("sleeper", Command::new("sleep").arg("1000"))
            .unwrap();
        daemons.check().unwrap();
        let (_, process) = daemons.list().unwrap().remove(0);
        crate::wait::until("its own session", std::time::Duration::from_secs(5), || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid))?;
            let session = stat.split_whitespace().nth(5).map(str::to_owned);
            anyhow::ensure!(
                session == Some(process.pid.to_string()),
                "session {session:?}"
            );
            Ok(())
        })
        .unwrap();
        process.kill().unwrap();
        assert!(daemons.check().is_err());
        daemons.kill().unwrap();
        assert!(!process.is_alive());
        assert!(daemons.list().unwrap().is_empty());
    }
}

//! Who runs on which core, and what the kernel says that each has used.

use std::fs;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result};
use postern_e2e::run;
use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One core for the proxy, and one for the upstream and the callers. In a direct call, which has no proxy, the callers take its core.
#[derive(Clone)]
pub(crate) struct Cores {
    proxy: CpuSet,
    upstream: CpuSet,
    /// What a person reads about it.
    pub(crate) note: String,
}

impl Cores {
    /// The first two cores that this process may use. On a single core, everything shares it.
    pub(crate) fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("asking which cores may be used")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let first = cores.next().context("finding a core")?;
        let second = cores.next().unwrap_or(first);
        let only = |core| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        Ok(Self {
            proxy: only(first),
            upstream: only(second),
            note: format!(
                "proxy on core {first}, upstream and callers on core {second}; in a direct call the callers take core {first}"
            ),
        })
    }

    /// Puts the calling thread on the upstream's core.
    pub(crate) fn stay_beside_the_upstream(&self) -> Result<()> {
        sched_setaffinity(None, &self.upstream).context("choosing the upstream's core")
    }

    /// Puts the calling thread on the proxy's core.
    pub(crate) fn take_the_proxys(&self) -> Result<()> {
        sched_setaffinity(None, &self.proxy).context("choosing the proxy's core")
    }

    /// Starts `command` on the proxy's core.
    pub(crate) fn start(&self, command: &mut Command) -> Result<Child> {
        // A process starts on the cores of the thread that starts it.
        self.take_the_proxys()?;
        let child = command.spawn();
        self.stay_beside_the_upstream()?;
        child.with_context(|| format!("starting {}", command.get_program().display()))
    }
}

/// Lets this program and all that it starts from now on go before other programs (sched(7), `SCHED_RR`), if that is permitted: on a machine
/// that others use too, the time they keep a core would be most of what is measured. Returns what a person reads about it.
pub(crate) fn go_first() -> &'static str {
    let pid = std::process::id().to_string();
    let asked =
        run::output(Command::new("chrt").args(["--rr", "--all-tasks", "--pid", "10", &pid]));
    match asked {
        Ok(_) => "all of them go before other programs (SCHED_RR)",
        Err(_) => "other programs may go before them (real-time scheduling is not permitted)",
    }
}

/// Processor time that `pid` has used: proc_pid_stat(5), fields 14 and 15.
pub(crate) fn cpu_of(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    // The second field is the program's name in parentheses and may hold spaces itself.
    let (_, fields) = text
        .rsplit_once(')')
        .with_context(|| format!("the name in {path}"))?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<u64, _>>()
        .with_context(|| format!("the times in {path}"))?;
    Ok(ticks_to_time(ticks))
}

/// Processor time that all programs and the kernel have used: proc_stat(5), first line, without idle and waiting for disks. Time that
/// the hypervisor gave to others counts as used.
pub(crate) fn cpu_of_all() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(str::parse::<u64>)
        .collect::<Result<_, _>>()
        .context("the times in /proc/stat")?;
    // user, nice, system, (idle, iowait,) irq, softirq, steal; guest times are within user and nice.
    let busy = fields
        .iter()
        .take(8)
        .enumerate()
        .filter(|(index, _)| !matches!(index, 3 | 4));
    Ok(ticks_to_time(busy.map(|(_, ticks)| ticks).sum()))
}

fn ticks_to_time(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * (1_000_000_000 / clock_ticks_per_second()))
}

/// Memory of `pid` in bytes, counted page by page: proc_pid_smaps_rollup(5), `Rss`. The cheaper counters of proc_pid_status(5) lag by
/// some hundred KiB.
pub(crate) fn rss_of(pid: u32) -> Result<u64> {
    field_in_kib(&format!("/proc/{pid}/smaps_rollup"), "Rss:")
}

/// The most memory that `pid` ever had, in bytes.
pub(crate) fn peak_rss_of(pid: u32) -> Result<u64> {
    field_in_kib(&format!("/proc/{pid}/status"), "VmHWM:")
}

fn field_in_kib(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .with_context(|| format!("{name} in {path}"))?;
    Ok(value.parse::<u64>()? * 1024)
}

/// `pid`, its children, theirs, and so on.
pub(crate) fn family_of(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("listing processes")? {
        let Some(other) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // A process that has ended meanwhile is none of the family.
        let text = fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
        let parent = text
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (other, parent)));
    }
    let mut family = vec![pid];
    let mut known = 0;
    while let Some(&member) = family.get(known) {
        let children = parents.iter().filter(|(_, parent)| *parent == member);
        family.extend(children.map(|(child, _)| *child));
        known += 1;
    }
    Ok(family)
}

/// Now, for a person.
pub(crate) fn date() -> Result<String> {
    let said = run::output(Command::new("date").args(["--utc", "+%Y-%m-%d %H:%M UTC"]))?;
    Ok(said.trim().to_owned())
}

/// The processor's and the kernel's names.
pub(crate) fn description() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    let models: Vec<&str> = cpu
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| Some(line.split_once(':')?.1.trim()))
        .collect();
    let kernel =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's version")?;
    Ok(format!(
        "{} × {}, Linux {}",
        models.len(),
        models.first().unwrap_or(&"unknown processor"),
        kernel.trim()
    ))
}

//! What a person reads and what a program reads.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use crate::measure::{Life, Round, Run, Stage};
use crate::statistics::Spread;

/// Goal: the sidecar's added p99 is at most this many times nginx's.
const ADDED_P99_FACTOR: f64 = 1.5;
/// Goals for one sidecar.
const RSS_IDLE_MIB: f64 = 12.0;
const IMAGE_MIB: f64 = 12.0;
const START_TO_READY_MS: f64 = 50.0;
/// Delayed acknowledgements that meet Nagle's algorithm show as latencies of about 40 ms.
const NAGLE_US: std::ops::Range<f64> = 35_000.0..45_000.0;

/// Everything that was found.
pub(crate) struct Report<'a> {
    /// Names of the entrants, in the order of the table; the first is the direct call.
    pub(crate) entrants: &'a [&'static str],
    pub(crate) stages: &'a [Stage],
    /// The rounds that count.
    pub(crate) rounds: &'a [Round],
    /// How the measurement was made, a line each.
    pub(crate) notes: Vec<String>,
    pub(crate) image_mib: f64,
}

/// One goal and whether it was met.
#[derive(Serialize)]
struct Goal {
    goal: String,
    measured: String,
    met: bool,
}

impl Report<'_> {
    /// The tables.
    pub(crate) fn text(&self) -> Result<String> {
        let mut text = String::new();
        for note in &self.notes {
            writeln!(text, "{note}")?;
        }
        for stage in self.stages {
            self.latencies(&mut text, stage.connections)?;
        }
        self.processes(&mut text)?;
        writeln!(text, "\nGoals")?;
        for Goal {
            goal,
            measured,
            met,
        } in self.goals()
        {
            let met = if met { "met    " } else { "NOT MET" };
            writeln!(text, "  {met}  {goal}: {measured}")?;
        }
        Ok(text)
    }

    /// Writes one JSON document a line.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = File::create(path).with_context(|| format!("making {}", path.display()))?;
        writeln!(
            file,
            "{}",
            json!({"kind": "notes", "notes": self.notes, "image_mib": self.image_mib})
        )?;
        for round in self.rounds {
            for run in &round.runs {
                writeln!(file, "{}", tagged("run", run)?)?;
            }
            for life in &round.lives {
                writeln!(file, "{}", tagged("process", life)?)?;
            }
        }
        for goal in self.goals() {
            writeln!(file, "{}", tagged("goal", &goal)?)?;
        }
        Ok(())
    }

    fn latencies(&self, text: &mut String, connections: usize) -> Result<()> {
        let plural = if connections == 1 { "" } else { "s" };
        writeln!(
            text,
            "\n{connections} connection{plural}: latency in µs, median of the rounds (least to most)"
        )?;
        writeln!(
            text,
            "  {:<24}{:>24}{:>24}{:>12}{:>14}{:>12}",
            "", "p50", "p99", "calls/s", "CPU µs/call", "handshakes"
        )?;
        for (index, &name) in self.entrants.iter().enumerate() {
            let (label, p50, p99) = match index {
                0 => (
                    name.to_owned(),
                    self.runs(name, connections, |run| run.latency_us.p50),
                    self.runs(name, connections, |run| run.latency_us.p99),
                ),
                _ => (
                    format!("{name} adds"),
                    self.added(name, connections, |run| run.latency_us.p50),
                    self.added(name, connections, |run| run.latency_us.p99),
                ),
            };
            let rate = self
                .runs(name, connections, |run| run.calls_per_second)
                .median;
            let cpu = match index {
                0 => "-".to_owned(),
                _ => format!(
                    "{:.1}",
                    self.runs(name, connections, |run| run.cpu_us_per_call)
                        .median
                ),
            };
            let handshakes: f64 = self
                .runs(name, connections, |run| run.handshakes as f64)
                .most;
            writeln!(
                text,
                "  {label:<24}{p50:>24.0}{p99:>24.0}{rate:>12.0}{cpu:>14}{handshakes:>12.0}"
            )?;
        }
        let busiest = self
            .entrants
            .iter()
            .skip(1)
            .map(|name| self.runs(name, connections, |run| run.harness_share).median);
        writeln!(
            text,
            "  load and upstream kept their core {:.0} % busy at most",
            busiest.fold(0.0, f64::max) * 100.0
        )?;
        Ok(())
    }

    fn processes(&self, text: &mut String) -> Result<()> {
        writeln!(text, "\nProcesses")?;
        writeln!(
            text,
            "  {:<24}{:>24}{:>20}{:>20}{:>20}",
            "", "start to ready, ms", "RSS idle, MiB", "after, MiB", "peak, MiB"
        )?;
        for &name in &self.entrants[1..] {
            let ready = self.lives(name, |life| life.start_to_ready_ms);
            let idle = self.lives(name, |life| life.rss_idle_mib);
            let after = self.lives(name, |life| life.rss_after_mib);
            let peak = self.lives(name, |life| life.rss_peak_mib);
            writeln!(
                text,
                "  {name:<24}{ready:>24.1}{:>20.1}{:>20.1}{:>20.1}",
                idle.median, after.median, peak.most
            )?;
        }
        Ok(())
    }

    fn goals(&self) -> Vec<Goal> {
        let [direct, nginx, sidecar, ..] = self.entrants else {
            return Vec::new();
        };
        let mut goals = Vec::new();
        for Stage { connections, .. } in self.stages {
            let theirs = self
                .added(nginx, *connections, |run| run.latency_us.p99)
                .median;
            let ours = self
                .added(sidecar, *connections, |run| run.latency_us.p99)
                .median;
            goals.push(Goal {
                goal: format!(
                    "added p99 with {connections} connection(s) at most nginx × {ADDED_P99_FACTOR}"
                ),
                measured: format!(
                    "{ours:.0} µs against {theirs:.0} µs, × {:.2}",
                    ours / theirs
                ),
                met: ours <= theirs * ADDED_P99_FACTOR,
            });
        }
        let idle = self.lives(sidecar, |life| life.rss_idle_mib);
        let ready = self.lives(sidecar, |life| life.start_to_ready_ms);
        goals.push(at_most("RSS idle", RSS_IDLE_MIB, "MiB", idle.median));
        goals.push(at_most("image", IMAGE_MIB, "MiB", self.image_mib));
        goals.push(at_most(
            "start to ready",
            START_TO_READY_MS,
            "ms",
            ready.median,
        ));
        let waits = self
            .rounds
            .iter()
            .flat_map(|round| &round.runs)
            .filter(|run| run.entrant != *direct && run.entrant != *nginx && run.connections == 1)
            .filter(|run| {
                NAGLE_US.contains(&run.latency_us.p99) || NAGLE_US.contains(&run.latency_us.p999)
            })
            .count();
        goals.push(Goal {
            goal: "no call waits for a delayed acknowledgement (35 to 45 ms)".to_owned(),
            measured: format!("{waits} runs with such a p99 or p99.9"),
            met: waits == 0,
        });
        goals
    }

    fn runs(&self, entrant: &str, connections: usize, value: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(
            self.rounds
                .iter()
                .filter_map(|round| round.run(entrant, connections))
                .map(value),
        )
    }

    /// Difference to the direct call of the same round.
    fn added(&self, entrant: &str, connections: usize, value: impl Fn(&Run) -> f64) -> Spread {
        let differences = self.rounds.iter().filter_map(|round| {
            let direct = round.run(self.entrants[0], connections)?;
            Some(value(round.run(entrant, connections)?) - value(direct))
        });
        Spread::of(differences)
    }

    fn lives(&self, entrant: &str, value: impl Fn(&Life) -> f64) -> Spread {
        let lives = self.rounds.iter().flat_map(|round| &round.lives);
        Spread::of(lives.filter(|life| life.entrant == entrant).map(value))
    }
}

fn at_most(what: &str, limit: f64, unit: &str, measured: f64) -> Goal {
    Goal {
        goal: format!("{what} at most {limit} {unit}"),
        measured: format!("{measured:.1} {unit}"),
        met: measured <= limit,
    }
}

fn tagged(kind: &str, value: &impl Serialize) -> Result<serde_json::Value> {
    let mut document = serde_json::to_value(value)?;
    document["kind"] = kind.into();
    Ok(document)
}

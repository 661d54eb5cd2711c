//! The report for a terminal, with the table for a README.

use std::fmt::Write as _;

use anyhow::Result;

use super::Report;
use super::goals::Goal;
use crate::fixture::Kind;
use crate::measure::{Run, Stage};
use crate::names::DIRECT;
use crate::statistics::Spread;

impl Report<'_> {
    /// The tables.
    pub(crate) fn text(&self) -> Result<String> {
        let mut text = String::new();
        for remark in self.remarks() {
            writeln!(text, "{remark}")?;
        }
        text.push_str(&self.tables()?);
        writeln!(text, "\nFor a README:\n\n{}", self.markdown()?)?;
        writeln!(text, "Goals")?;
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

    /// Every stage, with the extremes of the rounds.
    pub(super) fn tables(&self) -> Result<String> {
        let mut text = String::new();
        for stage in self.stages {
            self.latencies(&mut text, stage)?;
        }
        self.processes(&mut text)?;
        Ok(text)
    }

    /// The figures alone, a figure a row.
    fn markdown(&self) -> Result<String> {
        let entrants = &self.entrants[1..];
        let mut text = format!("| | {} |\n|---|", entrants.join(" | "));
        writeln!(text, "{}", "---|".repeat(entrants.len()))?;
        for figure in self.figures() {
            write!(text, "| {} |", figure.heading())?;
            for (_, cell) in &figure.rows {
                write!(text, " {} |", cell.text())?;
            }
            writeln!(text)?;
        }
        Ok(text)
    }

    fn latencies(&self, text: &mut String, stage: &Stage) -> Result<()> {
        let Stage {
            kind, connections, ..
        } = *stage;
        let (until, call) = match kind {
            Kind::Json | Kind::Large => ("until the answer is read", "call"),
            Kind::Sse => ("until the first byte of the first event", "stream"),
        };
        let rate = stage
            .rate
            .map(|rate| format!(", {rate} calls a second"))
            .unwrap_or_default();
        let plural = if connections == 1 { "" } else { "s" };
        writeln!(
            text,
            "\n{}, {until}, {connections} connection{plural}{rate}: µs, median of the rounds (least to most)",
            kind.name()
        )?;
        writeln!(
            text,
            "  {:<20} {:>26} {:>26} {:>26} {:>10} {:>26} {:>11}",
            "",
            "p50",
            "p99",
            "p99.9",
            format!("{call}s/s"),
            format!("CPU µs/{call}"),
            "handshakes"
        )?;
        for &name in self.entrants {
            self.line(text, name, stage)?;
        }
        let busiest = self
            .entrants
            .iter()
            .skip(1)
            .filter_map(|name| self.runs(name, stage, |run| run.harness_share))
            .map(|share| share.median)
            .fold(0.0, f64::max);
        writeln!(
            text,
            "  load and upstream kept their core {:.0} % busy at most",
            busiest * 100.0
        )?;
        Ok(())
    }

    fn line(&self, text: &mut String, name: &str, stage: &Stage) -> Result<()> {
        let is_floor = name == DIRECT;
        let percentile = |value: fn(&Run) -> f64| {
            let found = match is_floor {
                true => self.runs(name, stage, value),
                false => self.added(name, stage, |run| Some(value(run))),
            };
            shown(found, 0)
        };
        let label = match is_floor {
            true => name.to_owned(),
            false => format!("{name} adds"),
        };
        let (p50, p99, p999) = (
            percentile(|run| run.latency_us.p50),
            percentile(|run| run.latency_us.p99),
            percentile(|run| run.latency_us.p999),
        );
        let median = |value: fn(&Run) -> f64| {
            let found = self.runs(name, stage, value);
            found.map_or_else(|| "-".to_owned(), |found| format!("{:.0}", found.median))
        };
        let rate = median(|run| run.calls_per_second);
        let cpu = match is_floor {
            true => "-".to_owned(),
            false => shown(self.runs(name, stage, |run| run.cpu_us_per_call), 1),
        };
        let handshakes = median(|run| run.handshakes as f64);
        writeln!(
            text,
            "  {label:<20} {p50:>26} {p99:>26} {p999:>26} {rate:>10} {cpu:>26} {handshakes:>11}"
        )?;
        Ok(())
    }

    fn processes(&self, text: &mut String) -> Result<()> {
        writeln!(text, "\nProcesses")?;
        writeln!(
            text,
            "  {:<20}{:>26}{:>26}{:>26}{:>26}",
            "", "start to ready, ms", "RSS idle, MiB", "at most, MiB", "after, MiB"
        )?;
        for &name in &self.entrants[1..] {
            let ready = shown(self.lives(name, |life| life.start_to_ready_ms), 1);
            let idle = shown(self.lives(name, |life| life.rss_idle_mib), 1);
            let peak = shown(self.lives(name, |life| life.rss_peak_mib), 1);
            let after = shown(self.lives(name, |life| life.rss_after_mib), 1);
            writeln!(
                text,
                "  {name:<20}{ready:>26}{idle:>26}{peak:>26}{after:>26}"
            )?;
        }
        Ok(())
    }
}

fn shown(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(|| "-".to_owned(), |spread| format!("{spread:.digits$}"))
}

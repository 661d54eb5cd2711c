//! The figures of the report: what every entrant is compared by, in tables and in plots.

use super::Report;
use crate::fixture::Kind;
use crate::measure::{Life, Run, Stage};
use crate::statistics::Latency;

/// An entrant that answers less than this share of the calls of a fixed rate does not hold it: its latencies would grow for as long as one measured.
const HELD: f64 = 0.95;

/// One quantity of all entrants.
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) unit: &'static str,
    /// Names of the values of each entrant.
    pub(super) labels: Vec<&'static str>,
    /// An entrant and its values, in the order of the labels.
    pub(super) rows: Vec<(&'static str, Cell)>,
}

/// What is known of one entrant.
pub(super) enum Cell {
    /// Medians of the rounds.
    Values(Vec<f64>),
    /// Why there are none.
    Words(String),
}

/// A label, and how its value is found.
type Percentile = (&'static str, fn(&Latency) -> f64);

const P50: Percentile = ("p50", |latency| latency.p50);
const P99: Percentile = ("p99", |latency| latency.p99);
const P999: Percentile = ("p99.9", |latency| latency.p999);

impl Cell {
    /// As text, of one table's cell.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Values(values) => {
                let texts: Vec<String> = values.iter().map(|value| number(*value)).collect();
                texts.join(" / ")
            }
            Self::Words(words) => words.clone(),
        }
    }
}

impl Figure {
    /// Its title with the unit and the names of the values.
    pub(super) fn heading(&self) -> String {
        match self.labels.as_slice() {
            [_] => format!("{}, {}", self.title, self.unit),
            labels => format!("{}, {}: {}", self.title, self.unit, labels.join(" / ")),
        }
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        small if small < 9.95 => format!("{value:.2}"),
        medium if medium < 99.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

impl Report<'_> {
    /// All figures of what was measured.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (kind, what) in [
            (Kind::Json, "Processor time of a call of 1 KiB"),
            (Kind::Large, "Processor time of a call of 64 KiB"),
            (Kind::Sse, "Processor time of a stream of 30 events"),
        ] {
            figures.extend(
                self.stage(kind, true)
                    .map(|stage| self.processor_time(what, stage)),
            );
        }
        figures.extend(
            self.stage(Kind::Json, true)
                .map(|stage| self.calls_a_processor_second(stage)),
        );
        let latency: fn(&Run) -> Option<Latency> = |run| Some(run.latency_us);
        if let Some(stage) = self.stage(Kind::Json, false) {
            let what = "Added to a call of 1 KiB, one at a time".to_owned();
            figures.push(self.latency(what, stage, latency, &[P50, P99]));
        }
        for stage in self.stages {
            let Some(rate) = stage.rate else { continue };
            let what = format!("Added to a call of 1 KiB at {rate} calls a second");
            figures.push(self.latency(what, stage, latency, &[P50, P99, P999]));
        }
        if let Some(stage) = self.stage(Kind::Sse, true) {
            let streams = stage.connections;
            let what = format!("Added before the first event, {streams} streams");
            figures.push(self.latency(what, stage, latency, &[P50, P99]));
            let what = format!("Added between two events, {streams} streams");
            figures.push(self.latency(what, stage, |run| run.gap_us, &[P99]));
        }
        figures.push(self.memory());
        figures
    }

    fn figure(
        &self,
        title: String,
        unit: &'static str,
        labels: Vec<&'static str>,
        cell: impl Fn(&'static str) -> Option<Cell>,
    ) -> Figure {
        let rows = self.entrants[1..].iter().map(|&name| {
            let cell = cell(name).unwrap_or_else(|| Cell::Words("fails".to_owned()));
            (name, cell)
        });
        Figure {
            title,
            unit,
            labels,
            rows: rows.collect(),
        }
    }

    fn processor_time(&self, what: &str, stage: &Stage) -> Figure {
        self.figure(what.to_owned(), "µs", vec!["median"], |name| {
            let time = self.runs(name, stage, |run| run.cpu_us_per_call)?;
            Some(Cell::Values(vec![time.median]))
        })
    }

    fn calls_a_processor_second(&self, stage: &Stage) -> Figure {
        let what = "Calls of 1 KiB for a second of a processor".to_owned();
        self.figure(what, "calls", vec!["median"], |name| {
            let time = self.runs(name, stage, |run| run.cpu_us_per_call)?;
            Some(Cell::Values(vec![1e6 / time.median]))
        })
    }

    fn latency(
        &self,
        title: String,
        stage: &Stage,
        of: fn(&Run) -> Option<Latency>,
        percentiles: &[Percentile],
    ) -> Figure {
        let labels = percentiles.iter().map(|(label, _)| *label).collect();
        self.figure(title, "µs", labels, |name| {
            let held = self.runs(name, stage, |run| run.calls_per_second)?;
            if stage
                .rate
                .is_some_and(|rate| held.median < f64::from(rate) * HELD)
            {
                return Some(Cell::Words(format!(
                    "does only {:.0} a second",
                    held.median
                )));
            }
            let values = percentiles.iter().map(|(_, percentile)| {
                let added = self.added(name, stage, |run| of(run).as_ref().map(percentile));
                added.map(|added| added.median)
            });
            values.collect::<Option<_>>().map(Cell::Values)
        })
    }

    fn memory(&self) -> Figure {
        let moments: [fn(&Life) -> f64; 3] = [
            |life| life.rss_idle_mib,
            |life| life.rss_peak_mib,
            |life| life.rss_after_mib,
        ];
        let labels = vec!["idle", "at most", "after"];
        self.figure("Resident memory".to_owned(), "MiB", labels, |name| {
            let values = moments.map(|moment| self.lives(name, moment).map(|rss| rss.median));
            values.into_iter().collect::<Option<_>>().map(Cell::Values)
        })
    }
}

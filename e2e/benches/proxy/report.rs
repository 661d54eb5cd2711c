//! What a person reads and what a program reads.

mod figures;
mod goals;
mod page;
mod plot;
mod text;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use crate::fixture::Kind;
use crate::measure::{Failure, Life, Round, Run, Stage};
use crate::names::DIRECT;
use crate::statistics::Spread;

/// Everything that was found.
pub(crate) struct Report<'a> {
    /// Names of the entrants, in the order of the table; the first is the direct call.
    pub(crate) entrants: &'a [&'static str],
    pub(crate) stages: &'a [Stage],
    /// All rounds.
    pub(crate) rounds: &'a [Round],
    /// What proxies of others could not do.
    pub(crate) failures: &'a [Failure],
    /// How the measurement was made, a line each.
    pub(crate) notes: Vec<String>,
    /// Of the sidecar's program, which is all that its image holds.
    pub(crate) image_mib: f64,
    /// Whether it was a first look only.
    pub(crate) is_quick: bool,
}

impl Report<'_> {
    /// Writes `report.html`, and `proxy.json` with one JSON document a line, into `dir`.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        fs::write(dir.join("report.html"), self.page()?).context("writing the page")?;
        let path = dir.join("proxy.json");
        let mut file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        writeln!(
            file,
            "{}",
            json!({"line": "notes", "notes": self.notes, "image_mib": self.image_mib})
        )?;
        for round in self.rounds {
            for run in &round.runs {
                writeln!(file, "{}", tagged("run", run)?)?;
            }
            for life in &round.lives {
                writeln!(file, "{}", tagged("process", life)?)?;
            }
        }
        for failure in self.failures {
            writeln!(file, "{}", tagged("failure", failure)?)?;
        }
        for goal in self.goals() {
            writeln!(file, "{}", tagged("goal", &goal)?)?;
        }
        Ok(())
    }

    /// Every line of how it was made, and what could not be.
    fn remarks(&self) -> impl Iterator<Item = String> {
        let failures = self.failures.iter().map(|failure| {
            let Failure {
                entrant,
                kind,
                reason,
            } = failure;
            match kind {
                Some(kind) => format!("{entrant} does not carry {}: {reason}", kind.name()),
                None => format!("{entrant} is not measured: {reason}"),
            }
        });
        self.notes.iter().cloned().chain(failures)
    }

    /// The stage without a fixed rate that has one caller or many, if it was measured.
    fn stage(&self, kind: Kind, many: bool) -> Option<&Stage> {
        self.stages.iter().find(|stage| {
            stage.rate.is_none() && (stage.kind, stage.connections > 1) == (kind, many)
        })
    }

    fn runs(&self, entrant: &str, stage: &Stage, value: impl Fn(&Run) -> f64) -> Option<Spread> {
        Spread::of(
            self.rounds
                .iter()
                .filter_map(|round| round.run(entrant, stage))
                .map(value),
        )
    }

    /// Difference to the direct call of the same round.
    fn added(
        &self,
        entrant: &str,
        stage: &Stage,
        value: impl Fn(&Run) -> Option<f64>,
    ) -> Option<Spread> {
        let differences = self.rounds.iter().filter_map(|round| {
            let direct = value(round.run(DIRECT, stage)?)?;
            Some(value(round.run(entrant, stage)?)? - direct)
        });
        Spread::of(differences)
    }

    fn lives(&self, entrant: &str, value: impl Fn(&Life) -> f64) -> Option<Spread> {
        let lives = self.rounds.iter().flat_map(|round| &round.lives);
        Spread::of(lives.filter(|life| life.entrant == entrant).map(value))
    }
}

fn tagged(kind: &str, value: &impl Serialize) -> Result<serde_json::Value> {
    let mut document = serde_json::to_value(value)?;
    document["line"] = kind.into();
    Ok(document)
}

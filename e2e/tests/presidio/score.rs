//! What was found and what was not.

use std::fmt;

use serde::Deserialize;

/// A part of a text, in characters.
#[derive(Deserialize, Debug, Clone, PartialEq)]
#[serde(from = "(String, usize, usize)")]
pub(crate) struct Span {
    /// A detector's name.
    pub(crate) kind: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl From<(String, usize, usize)> for Span {
    fn from((kind, start, end): (String, usize, usize)) -> Self {
        Self { kind, start, end }
    }
}

/// One text of the corpus.
#[derive(Deserialize)]
pub(crate) struct Sample {
    /// Which part of the corpus it belongs to.
    pub(crate) part: String,
    pub(crate) text: String,
    /// What stands in it.
    pub(crate) values: Vec<Span>,
    /// What Presidio found.
    pub(crate) found: Vec<Span>,
}

/// Those of one kind.
pub(crate) fn of_kind(spans: &[Span], kind: &str) -> Vec<Span> {
    spans
        .iter()
        .filter(|span| span.kind == kind)
        .cloned()
        .collect()
}

/// What one engine makes of one kind.
#[derive(Default)]
pub(crate) struct Score {
    hits: u32,
    missed: u32,
    wrong: u32,
}

/// What was wrong with one text.
#[derive(Debug)]
pub(crate) enum Mistake {
    Missed,
    Wrong,
}

impl Score {
    /// Counts the values of one text, and what was found in it. A value is found when all of it is; a find is wrong when it touches no value.
    pub(crate) fn count(&mut self, values: &[Span], found: &[Span]) -> Option<Mistake> {
        let covers = |value: &Span| {
            (value.start..value.end)
                .all(|at| found.iter().any(|one| (one.start..one.end).contains(&at)))
        };
        let hits = values.iter().filter(|value| covers(value)).count();
        let touches = |one: &&Span| {
            let is_beside = |value: &Span| one.end <= value.start || value.end <= one.start;
            values.iter().all(is_beside)
        };
        let wrong = found.iter().filter(touches).count();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        self.hits += number(hits);
        self.missed += number(values.len() - hits);
        self.wrong += number(wrong);
        match (values.len() - hits, wrong) {
            (0, 0) => None,
            (0, _) => Some(Mistake::Wrong),
            _ => Some(Mistake::Missed),
        }
    }

    /// How many values there were.
    pub(crate) fn values(&self) -> u32 {
        self.hits + self.missed
    }

    fn of(part: u32, all: u32) -> f64 {
        if all == 0 {
            return 100.0;
        }
        100.0 * f64::from(part) / f64::from(all)
    }

    fn precision(&self) -> f64 {
        Self::of(self.hits, self.hits + self.wrong)
    }

    fn recall(&self) -> f64 {
        Self::of(self.hits, self.values())
    }

    /// Whether precision and recall are at least these hundredths.
    pub(crate) fn reaches(&self, precision: u32, recall: u32) -> bool {
        self.precision() >= f64::from(precision) && self.recall() >= f64::from(recall)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} / {:.0}", self.precision(), self.recall())
    }
}

//! What the sidecar is held to. A goal whose entrants were not measured is not spoken of.

use serde::Serialize;

use super::Report;
use crate::fixture::Kind;
use crate::measure::{Run, Stage};
use crate::names::{NGINX, T0, T1, T1_HTTP2, T2, T3};

/// The first tier's added p99 is at most this many times nginx's, in calls of one piece.
const ADDED_P99_FACTOR: f64 = 1.2;
/// The second tier's added p99 is at most this much more than the first's.
const MORE_P99_US: f64 = 50.0;
/// The second tier's processor time for a call of one piece, of the whole process.
const T2_CPU_US: f64 = 80.0;
/// The third tier's processor time for a stream is at most this many times the second's.
const MASK_FACTOR: f64 = 1.1;
/// Goals for the process: when nothing was asked of it yet, and whatever is.
const RSS_IDLE_MIB: f64 = 12.0;
const RSS_PEAK_MIB: f64 = 32.0;
const IMAGE_MIB: f64 = 12.0;
const START_TO_READY_MS: f64 = 50.0;
/// Delayed acknowledgements that meet Nagle's algorithm show as latencies of about 40 ms.
const NAGLE_US: std::ops::Range<f64> = 35_000.0..45_000.0;

/// One goal and whether it was met.
#[derive(Serialize)]
pub(super) struct Goal {
    pub(super) goal: String,
    pub(super) measured: String,
    pub(super) met: bool,
}

impl Report<'_> {
    /// All goals that can be spoken of.
    ///
    /// Latencies are not compared where many callers ask as fast as they are answered: what they wait for is the sum of all the others' processor
    /// time, for which there is a goal of its own.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let mut goals = Vec::new();
        let unhurried = self
            .stages
            .iter()
            .filter(|stage| stage.connections == 1 || stage.rate.is_some());
        for stage in unhurried {
            goals.extend(self.beside_nginx(stage));
        }
        for stage in self.stages {
            if stage.connections == 1 || stage.rate.is_some() || stage.kind == Kind::Sse {
                goals.extend(self.beside_the_first_tier(stage));
            }
        }
        if let Some(time) = self
            .stage(Kind::Json, true)
            .and_then(|stage| self.runs(T2, stage, |run| run.cpu_us_per_call))
        {
            let what = "T2's processor time for a call of 1 KiB";
            goals.push(at_most(what, T2_CPU_US, "µs", time.median));
        }
        goals.extend(self.masks_on_streams());
        let limits = [
            ("RSS idle", RSS_IDLE_MIB, "MiB"),
            ("RSS with 128 streams", RSS_PEAK_MIB, "MiB"),
            ("start to ready", START_TO_READY_MS, "ms"),
        ];
        for tier in [T1, T2, T3] {
            let measured = [
                self.lives(tier, |life| life.rss_idle_mib),
                self.lives(tier, |life| life.rss_peak_mib),
                self.lives(tier, |life| life.start_to_ready_ms),
            ];
            for ((what, limit, unit), measured) in limits.into_iter().zip(measured) {
                goals.extend(measured.map(|measured| {
                    at_most(&format!("{tier}: {what}"), limit, unit, measured.median)
                }));
            }
        }
        goals.push(at_most("image", IMAGE_MIB, "MiB", self.image_mib));
        goals.push(self.without_waiting());
        goals
    }

    fn added_p99(&self, entrant: &str, stage: &Stage) -> Option<f64> {
        let added = self.added(entrant, stage, |run| Some(run.latency_us.p99))?;
        Some(added.median)
    }

    fn beside_nginx(&self, stage: &Stage) -> Option<Goal> {
        // Where a direct call was slower than one through nginx, something else was measured.
        let theirs = self.added_p99(NGINX, stage).filter(|added| *added > 0.0)?;
        let ours = self.added_p99(T1, stage)?;
        Some(Goal {
            goal: format!(
                "T1's added p99 at most nginx × {ADDED_P99_FACTOR}, {}",
                named(stage)
            ),
            measured: format!(
                "{ours:.0} µs against {theirs:.0} µs, × {:.2}",
                ours / theirs
            ),
            met: ours <= theirs * ADDED_P99_FACTOR,
        })
    }

    fn beside_the_first_tier(&self, stage: &Stage) -> Option<Goal> {
        let first = self.added_p99(T1, stage)?;
        let second = self.added_p99(T2, stage)?;
        Some(Goal {
            goal: format!(
                "T2's added p99 at most T1's + {MORE_P99_US} µs, {}",
                named(stage)
            ),
            measured: format!(
                "{second:.0} µs against {first:.0} µs, {:+.0}",
                second - first
            ),
            met: second <= first + MORE_P99_US,
        })
    }

    fn masks_on_streams(&self) -> Option<Goal> {
        let stage = self.stage(Kind::Sse, true)?;
        let [second, third] =
            [T2, T3].map(|tier| self.runs(tier, stage, |run| run.cpu_us_per_call));
        let (second, third) = (second?.median, third?.median);
        Some(Goal {
            goal: format!("T3's processor time for a stream at most T2's × {MASK_FACTOR}"),
            measured: format!(
                "{third:.0} µs against {second:.0} µs, × {:.2}",
                third / second
            ),
            met: third <= second * MASK_FACTOR,
        })
    }

    fn without_waiting(&self) -> Goal {
        let waits = self
            .rounds
            .iter()
            .flat_map(|round| &round.runs)
            .filter(|run| [T0, T1, T2, T3, T1_HTTP2].contains(&run.entrant) && run.connections == 1)
            .filter(|run: &&Run| {
                NAGLE_US.contains(&run.latency_us.p99) || NAGLE_US.contains(&run.latency_us.p999)
            })
            .count();
        Goal {
            goal: "no call waits for a delayed acknowledgement (35 to 45 ms)".to_owned(),
            measured: format!("{waits} runs with such a p99 or p99.9"),
            met: waits == 0,
        }
    }
}

/// The stage, in a goal.
fn named(stage: &Stage) -> String {
    let kind = stage.kind.name();
    match (stage.rate, stage.connections) {
        (Some(rate), _) => format!("{kind} at {rate} calls a second"),
        (None, 1) => format!("{kind} one at a time"),
        (None, connections) => format!("{kind}, {connections} at a time"),
    }
}

fn at_most(what: &str, limit: f64, unit: &str, measured: f64) -> Goal {
    Goal {
        goal: format!("{what} at most {limit} {unit}"),
        measured: format!("{measured:.1} {unit}"),
        met: measured <= limit,
    }
}

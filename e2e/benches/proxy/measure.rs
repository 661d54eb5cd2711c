//! One round: every entrant in turn, each proxy as a fresh process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::duty::Duty;
use crate::fixture::{Fixture, Kind, PATH};
use crate::load::{Load, Way};
use crate::machine::{self, Cores};
use crate::proxy::{Proxy, Running};
use crate::statistics::Latency;
use crate::upstream::Upstream;

/// How long a proxy is left alone before its memory is read.
const IDLE: Duration = Duration::from_millis(300);

/// A way to the provider that is measured.
pub(crate) struct Entrant {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Whether it is ours: where it fails, the benchmark does.
    pub(crate) is_ours: bool,
    /// How callers go.
    pub(crate) way: Way,
    /// The proxy on the way.
    pub(crate) proxy: Option<Proxy>,
    /// The provider behind it.
    pub(crate) upstream: Arc<Upstream>,
    /// What it does beside carrying calls.
    pub(crate) duties: Vec<Duty>,
}

/// Which calls, over how many connections, and how many over all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stage {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    /// Calls a second, whatever the answers take (an open loop); absent when each caller asks again as soon as it was answered (a closed one).
    pub(crate) rate: Option<u32>,
    pub(crate) calls: usize,
    /// When it ends, however many calls were made: slow entrants make fewer.
    pub(crate) limit: Duration,
}

/// One stage of one entrant in one round.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) round: usize,
    pub(crate) entrant: &'static str,
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
    pub(crate) rate: Option<u32>,
    pub(crate) calls: usize,
    /// Until an answer in one piece was read, or until the first byte of a stream was.
    pub(crate) latency_us: Latency,
    /// Until the end of the answer.
    pub(crate) whole_us: Latency,
    /// Between two pieces of a stream, if it came in pieces.
    pub(crate) gap_us: Option<Latency>,
    pub(crate) calls_per_second: f64,
    /// The proxy's processor time.
    pub(crate) cpu_us_per_call: f64,
    /// Processor time of upstream and callers, in cores: near 1, they and not the proxy set the pace.
    pub(crate) harness_share: f64,
    /// Cores that programs outside of the benchmark used meanwhile.
    pub(crate) foreign_cores: f64,
    /// TLS handshakes with the provider while it was measured: 0 when every connection was kept.
    pub(crate) handshakes: u64,
}

/// The life of one proxy's process.
#[derive(Serialize)]
pub(crate) struct Life {
    pub(crate) round: usize,
    pub(crate) entrant: &'static str,
    pub(crate) start_to_ready_ms: f64,
    pub(crate) rss_idle_mib: f64,
    pub(crate) rss_after_mib: f64,
    pub(crate) rss_peak_mib: f64,
}

/// What a proxy of others cannot do.
#[derive(Serialize)]
pub(crate) struct Failure {
    pub(crate) entrant: &'static str,
    /// Which calls it does not carry; absent where it is not measured at all.
    pub(crate) kind: Option<Kind>,
    pub(crate) reason: String,
}

impl Failure {
    /// That `entrant` did not do `kind`.
    ///
    /// # Errors
    /// `error`, if the entrant is ours.
    pub(crate) fn of(entrant: &Entrant, kind: Option<Kind>, error: anyhow::Error) -> Result<Self> {
        match entrant.is_ours {
            true => Err(error),
            false => Ok(Self {
                entrant: entrant.name,
                kind,
                reason: format!("{error:#}"),
            }),
        }
    }

    /// Whether it stands against calls of this kind.
    fn concerns(&self, entrant: &Entrant, kind: Kind) -> bool {
        self.entrant == entrant.name && self.kind.is_none_or(|failed| failed == kind)
    }
}

/// What one round found.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) runs: Vec<Run>,
    pub(crate) lives: Vec<Life>,
}

impl Round {
    /// Measures every entrant in all that it has not failed in yet. What a proxy of others fails in is added to `failures`.
    pub(crate) async fn measure(
        round: usize,
        entrants: &[&Entrant],
        stages: &[Stage],
        cores: &Cores,
        fixture: &Arc<Fixture>,
        failures: &mut Vec<Failure>,
    ) -> Result<Self> {
        let mut found = Self::default();
        for entrant in entrants {
            found
                .entrant(round, entrant, stages, cores, fixture, failures)
                .await
                .with_context(|| format!("measuring {}", entrant.name))?;
        }
        Ok(found)
    }

    /// The most that programs outside of the benchmark took in any of its runs, in cores.
    pub(crate) fn disturbance(&self) -> f64 {
        self.runs
            .iter()
            .map(|run| run.foreign_cores)
            .fold(0.0, f64::max)
    }

    /// The run of one entrant in one stage.
    pub(crate) fn run(&self, entrant: &str, stage: &Stage) -> Option<&Run> {
        self.runs.iter().find(|run| {
            let is = (run.entrant, run.kind, run.connections, run.rate);
            is == (entrant, stage.kind, stage.connections, stage.rate)
        })
    }

    async fn entrant(
        &mut self,
        round: usize,
        entrant: &Entrant,
        stages: &[Stage],
        cores: &Cores,
        fixture: &Arc<Fixture>,
        failures: &mut Vec<Failure>,
    ) -> Result<()> {
        let stages: Vec<&Stage> = stages
            .iter()
            .filter(|stage| {
                !failures
                    .iter()
                    .any(|failure| failure.concerns(entrant, stage.kind))
            })
            .collect();
        if stages.is_empty() {
            return Ok(());
        }
        let started = entrant.proxy.as_ref().map(|proxy| proxy.start(cores));
        let mut running = match started.transpose() {
            Ok(running) => running,
            Err(error) => {
                failures.push(Failure::of(entrant, None, error)?);
                return Ok(());
            }
        };
        let mut rss_idle = 0;
        match &running {
            Some(running) => {
                tokio::time::sleep(IDLE).await;
                rss_idle = running.rss()?;
            }
            None => cores.take_the_proxys()?,
        }
        for &&stage in &stages {
            match run(round, entrant, running.as_ref(), stage, fixture).await {
                Ok(run) => self.runs.push(run),
                Err(error) => failures.push(Failure::of(entrant, Some(stage.kind), error)?),
            }
        }
        cores.stay_beside_the_upstream()?;
        if let Some(running) = &mut running {
            running.check()?;
            tokio::time::sleep(IDLE).await;
            self.lives.push(Life {
                round,
                entrant: entrant.name,
                start_to_ready_ms: running.start_to_ready.as_secs_f64() * 1000.0,
                rss_idle_mib: mib(rss_idle),
                rss_after_mib: mib(running.rss()?),
                rss_peak_mib: mib(running.peak_rss()?),
            });
        }
        Ok(())
    }
}

async fn run(
    round: usize,
    entrant: &Entrant,
    running: Option<&Running>,
    stage: Stage,
    fixture: &Arc<Fixture>,
) -> Result<Run> {
    let Stage {
        kind,
        connections,
        rate,
        calls,
        limit,
    } = stage;
    let mut load = Load::open(&entrant.way, PATH, fixture, kind, connections).await?;
    load.run((calls / 5).max(connections), limit / 3, rate)
        .await
        .context("warming up")?;

    let proxy_cpu = || running.map_or(Ok(Duration::ZERO), Running::cpu);
    let before = (entrant.upstream.requests(), entrant.upstream.handshakes());
    let (cpu_before, own_before, all_before) = (proxy_cpu()?, own_cpu()?, machine::cpu_of_all()?);
    let start = Instant::now();
    let times = load.run(calls, limit, rate).await?;
    let wall = start.elapsed();
    let (cpu_after, own_after, all_after) = (proxy_cpu()?, own_cpu()?, machine::cpu_of_all()?);

    let calls = times.calls.len();
    entrant.upstream.check()?;
    let seen = entrant.upstream.requests() - before.0;
    ensure!(
        seen == calls as u64,
        "the provider saw {seen} requests for {calls} calls"
    );
    let (proxy, own, all) = (
        cpu_after - cpu_before,
        own_after - own_before,
        all_after - all_before,
    );
    Ok(Run {
        round,
        entrant: entrant.name,
        kind,
        connections,
        rate,
        calls,
        latency_us: Latency::of(times.calls.iter().map(|time| match kind {
            Kind::Json | Kind::Large => time.whole,
            Kind::Sse => time.first,
        }))
        .context("no call was made")?,
        whole_us: Latency::of(times.calls.iter().map(|time| time.whole))
            .context("no call was made")?,
        gap_us: Latency::of(times.gaps),
        calls_per_second: calls as f64 / wall.as_secs_f64(),
        cpu_us_per_call: proxy.as_secs_f64() * 1e6 / calls as f64,
        harness_share: own.as_secs_f64() / wall.as_secs_f64(),
        foreign_cores: all.saturating_sub(proxy + own).as_secs_f64() / wall.as_secs_f64(),
        handshakes: entrant.upstream.handshakes() - before.1,
    })
}

fn own_cpu() -> Result<Duration> {
    machine::cpu_of(std::process::id())
}

/// `bytes` in MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

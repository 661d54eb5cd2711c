//! One round: every entrant in turn, each proxy as a fresh process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hyper::StatusCode;
use serde::Serialize;

use crate::fixture::{FORBIDDEN_PATH, Fixture, PATH};
use crate::load::{Load, Way};
use crate::machine::{self, Cores};
use crate::proxy::{Proxy, Running};
use crate::statistics::Latency;
use crate::upstream::Upstream;

/// How long a fresh proxy is left alone before its memory is read.
const IDLE: Duration = Duration::from_millis(300);

/// A way to the provider that is measured.
pub(crate) struct Entrant {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// How callers go.
    pub(crate) way: Way,
    /// The proxy on the way.
    pub(crate) proxy: Option<Proxy>,
    /// The provider behind it.
    pub(crate) upstream: Arc<Upstream>,
}

/// How many connections, and how many calls over all of them.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    pub(crate) connections: usize,
    pub(crate) calls: usize,
}

/// One stage of one entrant in one round.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) round: usize,
    pub(crate) entrant: &'static str,
    pub(crate) connections: usize,
    pub(crate) calls: usize,
    pub(crate) latency_us: Latency,
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

/// What one round found.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) runs: Vec<Run>,
    pub(crate) lives: Vec<Life>,
}

impl Round {
    /// Measures every entrant.
    pub(crate) async fn measure(
        round: usize,
        entrants: &[&Entrant],
        stages: &[Stage],
        cores: &Cores,
        fixture: &Arc<Fixture>,
    ) -> Result<Self> {
        let mut found = Self::default();
        for entrant in entrants {
            found
                .entrant(round, entrant, stages, cores, fixture)
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

    /// The run of one entrant with so many connections.
    pub(crate) fn run(&self, entrant: &str, connections: usize) -> Option<&Run> {
        self.runs
            .iter()
            .find(|run| run.entrant == entrant && run.connections == connections)
    }

    async fn entrant(
        &mut self,
        round: usize,
        entrant: &Entrant,
        stages: &[Stage],
        cores: &Cores,
        fixture: &Arc<Fixture>,
    ) -> Result<()> {
        let mut running = entrant
            .proxy
            .as_ref()
            .map(|proxy| proxy.start(cores))
            .transpose()?;
        let mut rss_idle = 0;
        if let Some(running) = &running {
            tokio::time::sleep(IDLE).await;
            rss_idle = running.rss()?;
        }
        if running.is_none() {
            cores.take_the_proxys()?;
        }
        for &stage in stages {
            self.runs
                .push(run(round, entrant, running.as_ref(), stage, fixture).await?);
        }
        cores.stay_beside_the_upstream()?;
        if let Some(running) = &mut running {
            running.check()?;
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
    let Stage { connections, calls } = stage;
    let mut load = Load::open(&entrant.way, PATH, fixture, connections).await?;
    load.run((calls / 5).max(connections * 10))
        .await
        .context("warming up")?;

    let proxy_cpu = || running.map_or(Ok(Duration::ZERO), Running::cpu);
    let before = (entrant.upstream.requests(), entrant.upstream.handshakes());
    let (cpu_before, own_before, all_before) = (proxy_cpu()?, own_cpu()?, machine::cpu_of_all()?);
    let start = Instant::now();
    let times = load.run(calls).await?;
    let wall = start.elapsed();
    let (cpu_after, own_after, all_after) = (proxy_cpu()?, own_cpu()?, machine::cpu_of_all()?);

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
        connections,
        calls,
        latency_us: Latency::of(times),
        calls_per_second: calls as f64 / wall.as_secs_f64(),
        cpu_us_per_call: proxy.as_secs_f64() * 1e6 / calls as f64,
        harness_share: own.as_secs_f64() / wall.as_secs_f64(),
        foreign_cores: all.saturating_sub(proxy + own).as_secs_f64() / wall.as_secs_f64(),
        handshakes: entrant.upstream.handshakes() - before.1,
    })
}

/// Fails unless the entrant's proxy carries the call as it must and lets no other through: a proxy that does less would be faster.
pub(crate) async fn check_duties(
    entrant: &Entrant,
    cores: &Cores,
    fixture: &Arc<Fixture>,
) -> Result<()> {
    let Some(proxy) = &entrant.proxy else {
        return Ok(());
    };
    let _running = proxy.start(cores)?;
    Load::open(&entrant.way, PATH, fixture, 1)
        .await?
        .run(1)
        .await?;
    entrant.upstream.check()?;
    let before = entrant.upstream.requests();
    let mut forbidden = Load::open(&entrant.way, FORBIDDEN_PATH, fixture, 1).await?;
    let status = forbidden.probe().await?;
    ensure!(
        status == StatusCode::FORBIDDEN,
        "a forbidden path is answered with {status}"
    );
    ensure!(
        entrant.upstream.requests() == before,
        "a forbidden path reached the provider"
    );
    Ok(())
}

fn own_cpu() -> Result<Duration> {
    machine::cpu_of(std::process::id())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

//! Whether a sidecar's memory grows with what it has carried: one process, very many calls.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::fixture::{Fixture, Kind, PATH};
use crate::load::Load;
use crate::machine::Cores;
use crate::measure::{Entrant, mib};

/// How often memory is looked at.
const LOOKS: usize = 10;
/// Looks before memory has to stay: pools and buffers are as large as they become by then.
const SETTLED: usize = 2;
/// What it may still differ by: the allocator's grain, not growth.
const GRAIN_MIB: f64 = 1.0;
/// Callers of whole answers, and streams at a time.
const CALLERS: usize = 32;
const STREAMS: usize = 128;
/// No look takes longer than this.
const LIMIT: Duration = Duration::from_secs(600);

/// Memory after each tenth of the calls, in MiB.
pub(crate) struct Soak {
    pub(crate) entrant: &'static str,
    pub(crate) calls: usize,
    pub(crate) rss_mib: Vec<f64>,
}

impl Soak {
    /// Makes `calls` calls of 1 KiB through one process of `entrant`, and after each tenth of them 128 streams at a time, four each. `progress` is
    /// told of each look.
    ///
    /// # Errors
    /// On any answer but the right one.
    pub(crate) async fn of(
        entrant: &mut Entrant,
        cores: &Cores,
        fixture: &Arc<Fixture>,
        calls: usize,
        progress: impl Fn(&str),
    ) -> Result<Self> {
        let proxy = entrant.proxy.as_mut().context("no process to look at")?;
        // A line a call would fill the disk.
        proxy.log = "/dev/null".into();
        let mut running = proxy.start(cores)?;
        let mut rss_mib = Vec::with_capacity(LOOKS);
        for look in 1..=LOOKS {
            for (kind, callers, calls) in [
                (Kind::Json, CALLERS, calls / LOOKS),
                (Kind::Sse, STREAMS, STREAMS * 4),
            ] {
                let mut load = Load::open(&entrant.way, PATH, fixture, kind, callers).await?;
                load.run(calls, LIMIT, None)
                    .await
                    .with_context(|| format!("in tenth {look}"))?;
            }
            entrant.upstream.check()?;
            running.check()?;
            let rss = mib(running.rss()?);
            progress(&format!("{look} of {LOOKS}: {rss:.1} MiB"));
            rss_mib.push(rss);
        }
        Ok(Self {
            entrant: entrant.name,
            calls,
            rss_mib,
        })
    }

    /// How much more memory it had at the end than once it had settled, in MiB.
    pub(crate) fn growth_mib(&self) -> f64 {
        self.rss_mib[LOOKS - 1] - self.rss_mib[SETTLED - 1]
    }

    /// As a line with its verdict.
    pub(crate) fn text(&self) -> String {
        let Self {
            entrant,
            calls,
            rss_mib,
        } = self;
        let looks: Vec<String> = rss_mib.iter().map(|rss| format!("{rss:.1}")).collect();
        let growth = self.growth_mib();
        let met = if growth <= GRAIN_MIB {
            "met    "
        } else {
            "NOT MET"
        };
        format!(
            "{entrant}, {calls} calls: resident memory after each tenth, MiB: {}\n  {met}  no growth after the second tenth: {growth:+.1} MiB, at most {GRAIN_MIB}",
            looks.join(" / ")
        )
    }
}

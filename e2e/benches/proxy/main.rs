//! What the sidecar costs: `cargo bench -p postern-e2e` (`-- --quick` for a first look).
//!
//! The same calls go to the same provider's stand-in directly, through nginx and Envoy, through the sidecar and through two gateways of others, in
//! the same run: each does what it can of the same duties (see `duty.rs`), is a fresh process in every round and has a core to itself. Calls of
//! 1 KiB are made one after the other, by 32 callers as fast as they are answered, and by 32 callers at fixed rates; calls of 64 KiB by 8 callers; 128 streams
//! of 30 events come at a model's pace, an event every 20 ms. A direct call is what the application would make without a proxy: HTTPS. The calls
//! through a proxy are plain HTTP on loopback, and HTTPS from there.
//!
//! What a proxy adds is the difference between percentiles of the same round, then the median of all rounds. Every request and answer is
//! compared with the fixture's, byte by byte where the proxy does not write it anew: a wrong one fails the benchmark, a goal that is missed does
//! not.

mod duty;
mod entrants;
mod fixture;
mod load;
mod machine;
mod measure;
mod names;
mod peers;
mod proxy;
mod report;
mod sidecar;
mod soak;
mod statistics;
mod upstream;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use crate::entrants::Programs;
use crate::fixture::{Fixture, Kind};
use crate::machine::Cores;
use crate::measure::{Entrant, Failure, Round, Stage};
use crate::names::WORDS;
use crate::peers::Peers;
use crate::proxy::Proxy;
use crate::report::Report;
use crate::soak::Soak;
use crate::statistics::Spread;

/// Calls a second in the stages with a fixed rate: a busy agent's, and about a third of what a core carries.
const RATES: [u32; 2] = [1_000, 8_000];

/// Measures the sidecar beside nginx, Envoy, LiteLLM and Portkey.
///
/// T0 allows all and puts the key in; T1 allows a path; T2 also reads the call, decides by what it says, and counts usage, cost and limits; T3 also
/// masks personal data and keys in answers.
#[derive(Parser)]
#[command(
    name = "cargo bench -p postern-e2e --",
    after_help = "Examples:\n  \
        cargo bench -p postern-e2e -- --quick\n  \
        cargo bench -p postern-e2e -- --quick --only sidecar,nginx\n  \
        cargo bench -p postern-e2e -- --only t2 --answers sse --sidecar target/before --against target/after\n  \
        cargo bench -p postern-e2e -- --soak 1000000\n\n\
        The result is a page, target/bench/report.html; every run is also a line of JSON beside it."
)]
struct Args {
    /// Few calls: a first look of less than five minutes, without the time it takes to build and install.
    #[arg(long)]
    quick: bool,
    /// How often everything is measured; 7 times, or 3 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Who is measured beside the direct call; absent means all but `sidecar-h2`, which is T1 with HTTP/2 to its upstream.
    #[arg(long, value_delimiter = ',', value_parser = WORDS)]
    only: Vec<String>,
    /// Which calls; absent means all.
    #[arg(long, value_delimiter = ',')]
    answers: Vec<Kind>,
    /// Measures nothing but whether memory grows over so many calls through one process: of T3, or of the tiers that --only names.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u32).range(1_000..))]
    soak: Option<u32>,
    /// A sidecar that is built already.
    #[arg(long)]
    sidecar: Option<PathBuf>,
    /// Another build of the sidecar, whose T2 is measured beside the first's.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Passed by cargo bench, and by nothing else.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let Args {
        quick,
        rounds,
        only,
        answers,
        soak,
        sidecar,
        against,
        bench,
    } = Args::parse();
    if !bench {
        // `cargo test --all-targets` runs benchmarks too, to see whether they still work; this one takes a quiet machine and minutes.
        return say("Measured by `cargo bench -p postern-e2e` only.");
    }
    let rounds = rounds.unwrap_or(if quick { 3 } else { 7 }).max(1);
    let stages = stages(quick, &answers);
    let target_dir = target_dir()?;
    let sidecar = match sidecar {
        Some(program) => program,
        None => sidecar::build(&target_dir)?,
    };
    if let Some(calls) = soak {
        return soak_all(sidecar, calls as usize, only);
    }
    let peers = Peers::install(&only)?;
    let image_mib = sidecar
        .metadata()
        .with_context(|| format!("looking at {}", sidecar.display()))?
        .len() as f64
        / (1024.0 * 1024.0);
    let programs = Programs {
        sidecar,
        against,
        peers,
    };

    let cores = Cores::choose()?;
    let priority = machine::go_first();
    cores.stay_beside_the_upstream()?;
    let dir = tempfile::tempdir()?;
    let (fixture, entrants) = entrants::prepare(&cores, dir.path(), &programs, &only)?;
    let runtime = runtime()?;
    let mut failures = Vec::new();
    let made = runtime.block_on(make_rounds(
        rounds,
        &entrants,
        &stages,
        &cores,
        &fixture,
        &mut failures,
    ))?;

    let others = Spread::of(made.iter().map(Round::disturbance)).context("no round was made")?;
    let names: Vec<&str> = entrants.iter().map(|entrant| entrant.name).collect();
    let mut notes = vec![
        machine::date()?,
        machine::description()?,
        format!("{}; {priority}", cores.note),
        format!(
            "TLS to the upstream by all of them: {}",
            entrants[0].upstream.suites().join(" or ")
        ),
        format!("{rounds} rounds, while other programs used {others:.1} cores at most"),
    ];
    notes.extend(programs.peers.notes);
    let report = Report {
        entrants: &names,
        stages: &stages,
        rounds: &made,
        failures: &failures,
        notes,
        image_mib,
        is_quick: quick,
    };
    let dir = target_dir.join("bench");
    report.write(&dir)?;
    say(&report.text()?)?;
    say(&format!("As a page: {}", dir.join("report.html").display()))
}

/// Looks whether the memory of the tiers in `only`, or of the third, grows over `calls` calls.
fn soak_all(sidecar: PathBuf, calls: usize, mut only: Vec<String>) -> Result<()> {
    if only.is_empty() {
        only.push("t3".to_owned());
    }
    let programs = Programs {
        sidecar,
        against: None,
        peers: Peers::default(),
    };
    let cores = Cores::choose()?;
    cores.stay_beside_the_upstream()?;
    let dir = tempfile::tempdir()?;
    let (fixture, entrants) = entrants::prepare(&cores, dir.path(), &programs, &only)?;
    let runtime = runtime()?;
    for mut entrant in entrants.into_iter().filter(|entrant| entrant.is_ours) {
        if entrant.proxy.is_some() {
            let soak = Soak::of(&mut entrant, &cores, &fixture, calls, progress);
            say(&runtime.block_on(soak)?.text())?;
        }
    }
    Ok(())
}

/// Callers and upstream share one core.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// What each entrant carries in a round.
fn stages(quick: bool, answers: &[Kind]) -> Vec<Stage> {
    let (times, limit) = if quick { (1, 1_500) } else { (5, 10_000) };
    let stage = |kind, connections, rate, calls| Stage {
        kind,
        connections,
        rate,
        calls: calls * times,
        limit: Duration::from_millis(limit),
    };
    let [calm, busy] = RATES;
    let all = [
        stage(Kind::Json, 1, None, 1_000),
        stage(Kind::Json, 32, None, 10_000),
        stage(Kind::Json, 32, Some(calm), calm as usize * 3 / 2),
        stage(Kind::Json, 32, Some(busy), busy as usize * 3 / 2),
        stage(Kind::Large, 8, None, 4_000),
        stage(Kind::Sse, 128, None, 400),
    ];
    if std::env::var_os("ONE").is_some() {
        return vec![Stage {
            kind: Kind::Json,
            connections: 1,
            rate: None,
            calls: 60000,
            limit: Duration::from_secs(8),
        }];
    }
    all.into_iter()
        .filter(|stage| answers.is_empty() || answers.contains(&stage.kind))
        .collect()
}

/// Checks the proxies, then makes `count` rounds.
async fn make_rounds(
    count: usize,
    entrants: &[Entrant],
    stages: &[Stage],
    cores: &Cores,
    fixture: &Arc<Fixture>,
    failures: &mut Vec<Failure>,
) -> Result<Vec<Round>> {
    for entrant in entrants {
        progress(&format!("does {} do its duty?", entrant.name));
        let checked = duty::check(entrant, cores, fixture).await.with_context(|| {
            let proxy = entrant.proxy.as_ref();
            let said = proxy.map(Proxy::last_words).unwrap_or_default();
            let name = entrant.name;
            format!("looking whether {name} does its duty; it printed: {said}")
        });
        match checked {
            Ok(found) => failures.extend(found),
            Err(error) => failures.push(Failure::of(entrant, None, error)?),
        }
    }
    let mut rounds = Vec::with_capacity(count);
    let mut order: Vec<&Entrant> = entrants.iter().collect();
    for number in 1..=count {
        let round = Round::measure(number, &order, stages, cores, fixture, failures).await?;
        progress(&format!(
            "round {number} of {count}: other programs wanted {:.1} cores",
            round.disturbance()
        ));
        rounds.push(round);
        // Each entrant comes first as often as the others.
        order.rotate_left(1);
    }
    Ok(rounds)
}

/// Cargo's target directory: this program is `TARGET/release/deps/proxy-…`.
fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("finding this program")?;
    let dir = program
        .ancestors()
        .nth(3)
        .context("finding cargo's target directory")?;
    Ok(dir.to_owned())
}

fn say(text: &str) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("writing the report")
}

fn progress(line: &str) {
    // Nobody to read it is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

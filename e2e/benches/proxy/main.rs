//! What the sidecar costs: `cargo bench -p postern-e2e` (`-- --quick` for a first look).
//!
//! The same 1 KiB call goes to the same provider's stand-in directly, through nginx and through the sidecar, in the same run: nginx has
//! the sidecar's duties (see `nginx.rs`), both are fresh processes in every round and have a core to themselves. Callers wait for each
//! answer before they ask again (a closed loop), over 1 and over 32 connections that stay open. A direct call is what the application
//! would make without a proxy: HTTPS. The calls through a proxy are plain HTTP on loopback, and HTTPS from there.
//!
//! What a proxy adds is the difference between percentiles of the same round, then the median of all rounds. Every request and answer is
//! compared byte by byte: a wrong one fails the benchmark, a goal that is missed does not.

mod fixture;
mod ground;
mod load;
mod machine;
mod measure;
mod nginx;
mod proxy;
mod report;
mod sidecar;
mod statistics;
mod upstream;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;

use crate::fixture::Fixture;
use crate::machine::Cores;
use crate::measure::{Entrant, Round, Stage, check_duties};
use crate::report::Report;
use crate::statistics::Spread;

/// Measures the sidecar against nginx.
#[derive(Parser)]
#[command(name = "cargo bench -p postern-e2e --")]
struct Args {
    /// Few calls: a first look, not a result.
    #[arg(long)]
    quick: bool,
    /// Rounds that count; 9, or 3 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// A sidecar that is built already.
    #[arg(long)]
    sidecar: Option<PathBuf>,
    /// Another build of the sidecar, to be measured beside the first.
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
        sidecar,
        against,
        bench,
    } = Args::parse();
    if !bench {
        // `cargo test --all-targets` runs benchmarks too, to see whether they still work; this one takes a quiet machine and a minute.
        return say("Measured by `cargo bench -p postern-e2e` only.");
    }
    let rounds = rounds.unwrap_or(if quick { 3 } else { 9 }).max(1);
    let calls = if quick { 1_000 } else { 5_000 };
    let stages = [
        Stage {
            connections: 1,
            calls,
        },
        Stage {
            connections: 32,
            calls: calls * 4,
        },
    ];
    let target_dir = target_dir()?;
    let program = match sidecar {
        Some(program) => program,
        None => sidecar::build(&target_dir)?,
    };
    nginx::install()?;
    let image_mib = program
        .metadata()
        .with_context(|| format!("looking at {}", program.display()))?
        .len() as f64
        / (1024.0 * 1024.0);

    let cores = Cores::choose()?;
    let priority = machine::go_first();
    cores.stay_beside_the_upstream()?;
    let dir = tempfile::tempdir()?;
    let (fixture, entrants) = ground::prepare(&cores, dir.path(), &program, against.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let made = runtime.block_on(make_rounds(rounds, &entrants, &stages, &cores, &fixture))?;

    let disturbance = Spread::of(made.iter().map(Round::disturbance));
    let names: Vec<&str> = entrants.iter().map(|entrant| entrant.name).collect();
    let report = Report {
        entrants: &names,
        stages: &stages,
        rounds: &made,
        notes: vec![
            format!(
                "The sidecar beside {}, {}",
                nginx::version()?,
                machine::description()?
            ),
            format!("{}; {priority}", cores.note),
            format!(
                "TLS to the upstream by all of them: {}",
                entrants[0].upstream.suites().join(" or ")
            ),
            format!("{rounds} rounds, while other programs used {disturbance:.1} cores"),
        ],
        image_mib,
    };
    let path = target_dir.join("bench/proxy.json");
    report.write(&path)?;
    say(&report.text()?)?;
    say(&format!("Every run as a line of JSON: {}", path.display()))
}

/// Checks the proxies, then makes `count` rounds.
async fn make_rounds(
    count: usize,
    entrants: &[Entrant],
    stages: &[Stage],
    cores: &Cores,
    fixture: &Arc<Fixture>,
) -> Result<Vec<Round>> {
    for entrant in entrants {
        check_duties(entrant, cores, fixture)
            .await
            .with_context(|| format!("looking whether {} does its duty", entrant.name))?;
    }
    let mut rounds = Vec::with_capacity(count);
    let mut order: Vec<&Entrant> = entrants.iter().collect();
    for number in 1..=count {
        let round = Round::measure(number, &order, stages, cores, fixture).await?;
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

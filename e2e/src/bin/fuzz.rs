//! `fuzz`: looks for inputs that break a parser, for so many seconds each.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use postern_e2e::{Cache, packages, run};

/// Feed every parser of the sidecar with what libFuzzer makes of `sidecar/fuzz/corpus`, guided by coverage.
///
/// What must hold of each is in sidecar/src/fuzz. Inputs that reach new code stay in target/fuzz/found for the next run; one of which something
/// does not hold is named: put it into the corpus, where the ordinary tests run it.
#[derive(Parser)]
#[command(name = "fuzz")]
struct Args {
    /// How long each parser is fed
    #[arg(long, default_value_t = 60)]
    seconds: u32,

    /// Instead, feed each parser this often, from one seed and without what was found before
    #[arg(long, conflicts_with = "seconds")]
    runs: Option<u32>,

    /// Only these parsers; all by default
    parsers: Vec<String>,
}

/// What makes rustc count edges and comparisons for libFuzzer: cargo-fuzz's flags, which a stable compiler has too as long as there is no sanitizer.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16";

fn main() -> Result<ExitCode> {
    let Args {
        seconds,
        runs,
        parsers,
    } = Args::parse();
    packages::require(&Cache::open()?, &[("g++", "compiles libFuzzer")])?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sidecar/fuzz");
    let target = target()?;
    let program = build(&folder, &target)?;
    let mut failed = Vec::new();
    for parser in chosen(&folder, &parsers)? {
        let found = target.join("found").join(&parser);
        fs::create_dir_all(&found)?;
        // What earlier runs found would make this one look elsewhere.
        let fresh = tempfile::tempdir()?;
        let (length, found) = match runs {
            Some(runs) => (format!("-runs={runs}"), fresh.path()),
            None => (format!("-max_total_time={seconds}"), found.as_path()),
        };
        let out = Command::new(&program)
            .env("TARGET", &parser)
            .args(runs.map(|_| "-seed=1"))
            .arg(length)
            .arg(format!("-artifact_prefix={}/{parser}-", target.display()))
            .args([
                "-print_final_stats=1",
                "-max_len=4096",
                "-timeout=20",
                "-rss_limit_mb=2048",
            ])
            .arg(found)
            .arg(folder.join("corpus").join(&parser))
            .output()
            .context("starting libFuzzer")?;
        let said = String::from_utf8_lossy(&out.stderr);
        if out.status.success() {
            say(&summary(&parser, &said)?);
        } else {
            say(&format!("{parser}: ✗\n{}", end_of(&said)));
            failed.push(parser);
        }
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        say(&format!("broken: {}", failed.join(", ")));
        ExitCode::FAILURE
    })
}

/// Builds the program, with coverage, apart from all else.
fn build(folder: &Path, target: &Path) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    // Named, so that build scripts and macros are built without coverage, which they could not be linked with.
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--target",
            &triple,
        ])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .env("RUSTFLAGS", COVERAGE);
    ensure!(cargo.status()?.success(), "the parsers were not built");
    Ok(target.join(triple).join("release/parsers"))
}

/// `fuzz` below the target directory of the workspace.
fn target() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let metadata = run::output(
        Command::new("cargo")
            .args(["metadata", "--format-version=1", "--no-deps"])
            .current_dir(root),
    )?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str();
    Ok(Path::new(target.context("a target directory")?).join("fuzz"))
}

/// The parsers that are asked for: each has a folder with inputs.
fn chosen(folder: &Path, parsers: &[String]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder.join("corpus"))? {
        all.push(entry?.file_name().to_string_lossy().into_owned());
    }
    all.sort_unstable();
    for parser in parsers {
        ensure!(all.contains(parser), "{parser} is none of {all:?}");
    }
    if !parsers.is_empty() {
        all.retain(|known| parsers.contains(known));
    }
    Ok(all)
}

/// How often a parser was run, and how much of the program that reached. Without coverage, nothing was looked for.
fn summary(parser: &str, said: &str) -> Result<String> {
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .context("libFuzzer's count")?;
    let last = |name: &str| -> Option<u64> {
        let (_, rest) = said.rsplit_once(name)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let edges = last(" cov: ").with_context(|| format!("{parser} is run without coverage"))?;
    let first = said
        .lines()
        .find(|line| line.contains("INITED"))
        .and_then(|line| {
            line.split(" cov: ")
                .nth(1)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
    Ok(format!(
        "{parser:<12} {:>10} runs, {edges} edges reached, {} by the corpus",
        executions.trim(),
        first.unwrap_or(0_u64)
    ))
}

/// The last lines of what a program said, which tell of its end.
fn end_of(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

fn say(line: &str) {
    // Nobody to read it (a closed pipe) is no reason to stop.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

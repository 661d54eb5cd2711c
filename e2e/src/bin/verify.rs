//! `cargo verify`: every check and test of the project, with one summary at the end.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Parser;
use postern_e2e::{Cache, Cluster, cluster::Status};

/// Runs every check and test: format, lint, dependencies, generated files, unit, golden, in-process, chart and cluster tests, and the demo.
///
/// What it needs (a Kubernetes cluster, Helm, cargo-deny, images) it installs or builds itself on the first run, in ~/.cache/postern or
/// $POSTERN_CACHE. All checks run, whatever fails, and the summary names each.
#[derive(Parser)]
#[command(name = "cargo verify")]
struct Args {
    /// Leave out what needs a cluster (and root).
    #[arg(long)]
    quick: bool,

    /// Run only the checks with these names.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    only: Vec<String>,

    /// Print the names of the checks and stop.
    #[arg(long)]
    list: bool,
}

/// One line of the summary.
struct Check {
    name: &'static str,
    why: &'static str,
    needs_cluster: bool,
    commands: fn(&Cache) -> Result<Vec<Command>>,
}

/// cargo-deny's version; its rules are in `.deny.toml`.
const DENY: &str = "0.20.2";

const CHECKS: &[Check] = &[
    Check {
        name: "format",
        why: "the code is as rustfmt writes it",
        needs_cluster: false,
        commands: |_| Ok(vec![cargo(&["fmt", "--all", "--check"])]),
    },
    Check {
        name: "lint",
        why: "clippy finds nothing, warnings are errors",
        needs_cluster: false,
        commands: |_| {
            Ok(vec![cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "--deny",
                "warnings",
            ])])
        },
    },
    Check {
        name: "dependencies",
        why: "licences, sources and banned crates are as .deny.toml says",
        needs_cluster: false,
        commands: |cache| Ok(vec![deny(cache)?]),
    },
    Check {
        name: "generated",
        why: "crds/*.yaml and the chart's copies are what the types say",
        needs_cluster: false,
        commands: |_| {
            Ok(vec![test(&[
                "--package",
                "postern-crds",
                "--test",
                "generated",
            ])])
        },
    },
    Check {
        name: "tests",
        why: "unit, golden, property and in-process tests",
        needs_cluster: false,
        commands: |_| {
            Ok(vec![
                test(&["--workspace", "--exclude", "postern-e2e"]),
                test(&["--package", "postern-e2e", "--lib", "--test", "bench"]),
            ])
        },
    },
    Check {
        name: "policy",
        why: "the demo's policy means what its table of cases says",
        needs_cluster: false,
        commands: |_| {
            Ok(vec![cargo(&[
                "run",
                "--locked",
                "--quiet",
                "--package",
                "postern-sidecar",
                "--",
                "policy",
                "test",
                "--filename=e2e/demo/identity.yaml",
                "--filename=e2e/demo/policy.yaml",
                "e2e/demo/cases.yaml",
            ])])
        },
    },
    Check {
        name: "chart",
        why: "the chart lints, and renders as its golden files say",
        needs_cluster: false,
        commands: |_| Ok(vec![suite("chart")]),
    },
    Check {
        name: "signers",
        why: "botocore, moto, google-auth and an OAuth 2.0 server agree with what is put into requests",
        needs_cluster: false,
        commands: |_| Ok(vec![suite("sign")]),
    },
    Check {
        name: "stores",
        why: "credentials follow a real OpenBao, and moto as AWS",
        needs_cluster: false,
        commands: |_| Ok(vec![suite("stores")]),
    },
    Check {
        name: "standard",
        why: "LangChain's own tests end alike with the key and through the sidecar",
        needs_cluster: false,
        commands: |_| Ok(vec![suite("standard")]),
    },
    Check {
        name: "clients",
        why: "what the official SDKs of OpenAI and Anthropic read of masked answers, and make of limits",
        needs_cluster: false,
        commands: |_| Ok(vec![suite("clients")]),
    },
    Check {
        name: "fuzz",
        why: "no parser breaks on 25,000 inputs that libFuzzer makes of its corpus",
        needs_cluster: false,
        commands: |_| {
            Ok(vec![cargo(&[
                "run",
                "--locked",
                "--quiet",
                "--package",
                "postern-e2e",
                "--bin",
                "fuzz",
                "--",
                "--runs=25000",
            ])])
        },
    },
    Check {
        name: "presidio",
        why: "masks find what Presidio finds in the same corpus, and more",
        needs_cluster: false,
        commands: |_| {
            Ok(vec![test(&[
                "--package",
                "postern-e2e",
                "--test",
                "presidio",
            ])])
        },
    },
    Check {
        name: "cluster",
        why: "a real API server, kubelet and LangChain",
        needs_cluster: true,
        commands: |_| Ok(vec![suite("ground"), suite("cluster")]),
    },
    Check {
        name: "demo",
        why: "what the README promises a new user",
        needs_cluster: true,
        commands: |_| Ok(vec![cargo(&["demo"])]),
    },
];

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let chosen = choose(&args)?;
    if args.list {
        for check in &chosen {
            say(&format!("{:<13} {}", check.name, check.why));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let cache = Cache::open()?;
    let was_running = matches!(Cluster::status(), Ok(Status::Running));
    let outcomes: Vec<Outcome> = chosen.iter().map(|check| run(check, &cache)).collect();
    if !was_running && chosen.iter().any(|check| check.needs_cluster) {
        // What was started here is stopped here. A cluster that ran before is somebody's.
        Cluster::down()?;
    }
    summarise(&outcomes);
    Ok(if outcomes.iter().all(|outcome| outcome.error.is_none()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn choose(args: &Args) -> Result<Vec<&'static Check>> {
    for name in &args.only {
        anyhow::ensure!(
            CHECKS.iter().any(|check| check.name == name),
            "there is no check {name:?}; --list names them"
        );
    }
    Ok(CHECKS
        .iter()
        .filter(|check| args.only.is_empty() || args.only.iter().any(|name| name == check.name))
        .filter(|check| !(args.quick && check.needs_cluster))
        .collect())
}

struct Outcome {
    name: &'static str,
    took: Duration,
    tests: Tests,
    error: Option<String>,
}

/// Test counts, as cargo's test harness prints them.
#[derive(Default)]
struct Tests {
    passed: usize,
    failed: usize,
    ignored: usize,
}

fn run(check: &Check, cache: &Cache) -> Outcome {
    say(&format!("\n━━ {}: {}", check.name, check.why));
    let start = Instant::now();
    let mut tests = Tests::default();
    let error = (check.commands)(cache)
        .and_then(|commands| {
            commands
                .into_iter()
                .try_for_each(|command| stream(command, &mut tests))
        })
        .err()
        .map(|error| format!("{error:#}"));
    if let Some(error) = &error {
        say(&format!("✗ {}: {error}", check.name));
    }
    Outcome {
        name: check.name,
        took: start.elapsed(),
        tests,
        error,
    }
}

/// Runs a command, passes on what it prints, and counts the tests it reports.
fn stream(mut command: Command, tests: &mut Tests) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    say(&format!("$ {shown}"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {shown}"))?;
    let stdout = child.stdout.take().context("the child's output is piped")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        tests.count(&line);
        say(&line);
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "{shown}: {status}");
    Ok(())
}

impl Tests {
    /// Reads one `test result: ok. 3 passed; 0 failed; 0 ignored; …` line.
    fn count(&mut self, line: &str) {
        let Some((_, counts)) = line
            .split_once("test result: ")
            .and_then(|(_, rest)| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) =
                (words.next().map(str::parse::<usize>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn summarise(outcomes: &[Outcome]) {
    say("\n━━ summary");
    let mut total = Tests::default();
    for outcome in outcomes {
        let Tests {
            passed,
            failed,
            ignored,
        } = outcome.tests;
        total.passed += passed;
        total.failed += failed;
        total.ignored += ignored;
        let mark = if outcome.error.is_none() {
            "✓"
        } else {
            "✗"
        };
        let tests = match passed + failed {
            0 => String::new(),
            _ if failed > 0 => format!("{passed} passed, {failed} failed"),
            _ => format!("{passed} passed"),
        };
        say(&format!(
            "{mark} {:<13} {:>6.1} s  {tests}",
            outcome.name,
            outcome.took.as_secs_f32()
        ));
    }
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            say(&format!("✗ {}: {error}", outcome.name));
        }
    }
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.error.is_some())
        .count();
    say(&format!(
        "{} of {} checks passed; tests: {} passed, {} failed, {} ignored",
        outcomes.len() - failed,
        outcomes.len(),
        total.passed,
        total.failed,
        total.ignored
    ));
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root());
    command
}

fn test(args: &[&str]) -> Command {
    let mut command = cargo(&["test", "--locked"]);
    command.args(args);
    command
}

/// One of this crate's suites of tests.
fn suite(name: &str) -> Command {
    test(&["--package", "postern-e2e", "--test", name])
}

/// `cargo deny`, built on the first run. Advisories are left out: their database is on the open internet.
fn deny(cache: &Cache) -> Result<Command> {
    let home = cache.entry(&format!("cargo-deny-{DENY}"), |path| {
        postern_e2e::step(
            "cargo-deny",
            "checks licences, sources and banned crates; about 3 minutes",
            || {
                postern_e2e::run::logged(
                    cargo(&[
                        "install",
                        "cargo-deny",
                        "--locked",
                        "--debug",
                        "--no-default-features",
                        "--version",
                        DENY,
                    ])
                    .arg("--root")
                    .arg(path)
                    // Its own build must not land in, or wait for, the project's target directory.
                    .env_remove("CARGO_TARGET_DIR"),
                    &cache.path("log/cargo-deny.log"),
                )
            },
        )
    })?;
    let mut command = Command::new(home.join("bin/cargo-deny"));
    command
        .args([
            "--config",
            ".deny.toml",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .current_dir(root());
    Ok(command)
}

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn say(line: &str) {
    // Nobody to read it (a closed pipe) is no reason to stop.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

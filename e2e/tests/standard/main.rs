//! Do LangChain's own standard tests end alike with the key in hand and under `postern run` without one?
//!
//! `langchain-tests` holds every chat model to the same contract: calls, streams, tools, structured output, usage, synchronous and not. Here
//! they run for each vendor against aimock on this machine, once straight with the key and once through the sidecar, with masks in force that
//! find nothing there. What they find is masked for the same clients, whole and in pieces. No cluster is needed.

mod provider;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use postern_e2e::{Cache, image};
use serde::Deserialize;

use self::provider::Aimock;

/// What became of one test.
#[derive(Deserialize, Debug, PartialEq, Clone)]
struct Outcome {
    test: String,
    /// `passed`, `failed` or `skipped`.
    outcome: String,
    /// The first line of what went wrong, or the reason for skipping.
    why: String,
}

/// How many tests pass at least of each vendor. What fails, fails at the mock: it lacks a field, or streams what it should not.
const PASSED: [(&str, usize); 7] = [
    ("TestOpenAI", 38),
    ("TestOpenAIResponses", 36),
    ("TestAnthropic", 38),
    ("TestGemini", 36),
    ("TestMistral", 28),
    ("TestOllama", 38),
    ("TestOpenAIEmbeddings", 4),
];

/// How many tests of masks there are: four a model.
const MASKED: usize = 6 * 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standard")
}

/// pytest with the tests of `file`; what becomes of each goes to `report`.
fn pytest(cache: &Cache, file: &str, report: &Path) -> Result<Command> {
    let why = "hold every chat model to the same contract";
    let requirements = folder().join("requirements.txt");
    let packages = [
        image::langchain_packages(cache)?,
        image::parts::python(cache, "standard-tests", why, &requirements)?,
    ];
    let path = env::join_paths(packages.map(|part| part.path))?;
    let mut python = Command::new("python3");
    python
        .args([
            "-m",
            "pytest",
            "--quiet",
            "-p",
            "no:cacheprovider",
            "--timeout=60",
            file,
        ])
        .current_dir(folder().join("python"))
        // Neither the laptop's proxy nor its keys; every byte that Python would write stays out of the sources.
        .env_clear()
        .envs(["PATH", "HOME"].map(|name| (name, env::var_os(name).unwrap_or_default())))
        .env("PYTHONPATH", path)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("REPORT", report);
    Ok(python)
}

/// Runs the tests, and returns what became of each. That some fail is no error.
fn outcomes(command: &mut Command, report: &Path) -> Result<Vec<Outcome>> {
    let out = command.output().context("starting the tests")?;
    // 1: some tests failed; https://docs.pytest.org/en/stable/reference/exit-codes.html
    ensure!(
        matches!(out.status.code(), Some(0 | 1)) && report.exists(),
        "{}\n{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    let mut outcomes = fs::read_to_string(report)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("reading {line}")))
        .collect::<Result<Vec<Outcome>>>()?;
    outcomes.sort_by(|one, other| one.test.cmp(&other.test));
    Ok(outcomes)
}

/// Runs the tests of `file` under `postern run`, without the key.
fn through(cache: &Cache, file: &str, aimock: &Aimock, key: &str) -> Result<Vec<Outcome>> {
    let work = tempfile::tempdir()?;
    let policy = work.path().join("policy");
    fs::create_dir(&policy)?;
    let identity = fs::read_to_string(folder().join("policy.yaml"))?;
    fs::write(
        policy.join("policy.yaml"),
        identity.replace("PROVIDER", &aimock.address),
    )?;
    let key_file = work.path().join("key");
    fs::write(&key_file, key)?;
    let report = work.path().join("through");
    let tests = pytest(cache, file, &report)?;
    let mut through = Command::new(image::postern()?);
    through
        .args(["run", "--summary", "json", "-f"])
        .arg(&policy);
    for credential in ["openai", "claude", "gemini", "mistral", "ollama"] {
        let source = format!("{credential}=file:{}", key_file.display());
        through.args(["--credential", &source]);
    }
    through
        .arg("--")
        .arg(tests.get_program())
        .args(tests.get_args());
    through.env_clear();
    through.envs(
        tests
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    through.current_dir(folder().join("python"));
    outcomes(&mut through, &report)
}

#[test]
fn what_a_policy_masks_does_not_reach_langchain_whole_in_a_stream_or_as_arguments() -> Result<()> {
    let cache = Cache::open()?;
    let key = format!("sk-live-{}", postern_e2e::random()?);
    let aimock = Aimock::start(&cache, &folder().join("fixtures.json"), &key)?;
    let outcomes = through(&cache, "test_masks.py", &aimock, &key)?;
    let is_right = |outcome: &Outcome| outcome.outcome == "passed";
    assert!(
        outcomes.len() == MASKED && outcomes.iter().all(is_right),
        "{outcomes:#?}"
    );
    Ok(())
}

#[test]
fn standard_tests_of_langchain_end_alike_with_the_key_and_through_the_sidecar() -> Result<()> {
    let cache = Cache::open()?;
    let key = format!("sk-live-{}", postern_e2e::random()?);
    let work = tempfile::tempdir()?;
    let aimock = Aimock::start(&cache, &folder().join("fixtures.json"), &key)?;
    let address = &aimock.address;

    let report = work.path().join("straight");
    let mut straight = pytest(&cache, "test_standard.py", &report)?;
    for (name, address) in [
        ("OPENAI_BASE_URL", format!("{address}/v1")),
        ("ANTHROPIC_BASE_URL", address.clone()),
        ("GOOGLE_GEMINI_BASE_URL", address.clone()),
        ("MISTRAL_BASE_URL", format!("{address}/v1")),
        ("OLLAMA_HOST", address.clone()),
    ] {
        straight.env(name, address);
    }
    for vendor in ["OPENAI", "ANTHROPIC", "GOOGLE", "MISTRAL", "OLLAMA"] {
        straight.env(format!("{vendor}_API_KEY"), &key);
    }
    let straight = outcomes(&mut straight, &report)?;

    let through = through(&cache, "test_standard.py", &aimock, &key)?;

    assert_eq!(straight.len(), through.len());
    for (straight, through) in straight.iter().zip(&through) {
        assert_eq!(straight, through);
    }
    let mut passed = BTreeMap::<&str, usize>::new();
    for outcome in through.iter().filter(|outcome| outcome.outcome == "passed") {
        let class = outcome.test.split("::").nth(1).context("a class")?;
        *passed.entry(class).or_default() += 1;
    }
    for (class, least) in PASSED {
        let count = passed.get(class).copied().unwrap_or_default();
        assert!(count >= least, "{class}: only {count} passed\n{through:#?}");
    }
    Ok(())
}

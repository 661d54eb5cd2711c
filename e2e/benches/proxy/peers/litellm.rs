//! LiteLLM's proxy (<https://docs.litellm.ai/docs/proxy/configs>) with the duties of the sidecar's second tier, as far as it has them without a
//! database: it holds the key, knows one model, asks streams what they use, knows what tokens cost, and has limits of requests, tokens and money.
//! Its rule over what else a call says is a hook in Python, as its users write one; it has no list of paths.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use postern_e2e::{Cache, run, step};
use serde_json::json;

use crate::fixture::{Fixture, MODEL};
use crate::proxy::{Proxy, free_address};
use crate::upstream::HOST;

/// 1.82.7 and 1.82.8 carried code that stole credentials; this one is not among them.
pub(crate) const VERSION: &str = "1.106.2";
/// It and all that it needs, as they were tried together.
const REQUIREMENTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/proxy/peers/litellm.txt"
);

/// The rule.
const RULE: &str = include_str!("litellm_rule.py");

/// Installs it in the cache, and returns its directory.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    cache.entry(&format!("peers/litellm-{VERSION}"), |dir| {
        step(
            "LiteLLM",
            "the sidecar is measured beside it; 740 MB, about a minute",
            || {
                run::output(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
                let mut pip = Command::new(dir.join("bin/python"));
                pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
                pip.args(["--disable-pip-version-check", "--requirement", REQUIREMENTS]);
                run::logged(&mut pip, &cache.path("log/litellm.log"))
            },
        )
    })
}

/// Prepares the one installed in `program` to run in `dir`.
pub(crate) fn prepare(
    dir: &Path,
    program: &Path,
    fixture: &Fixture,
    upstream: SocketAddr,
    authority: &str,
) -> Result<Proxy> {
    fs::create_dir_all(dir)?;
    let address = free_address()?;
    let authority_file = dir.join("authority.pem");
    fs::write(&authority_file, authority)?;
    let config = dir.join("config.yaml");
    // JSON is YAML.
    fs::write(&config, configuration(fixture, upstream).to_string())
        .context("writing its configuration")?;
    fs::write(dir.join("rule.py"), RULE)?;
    let words = [
        "--host".to_owned(),
        address.ip().to_string(),
        "--port".to_owned(),
        address.port().to_string(),
        "--num_workers=1".to_owned(),
    ];
    Ok(Proxy {
        // Not its own script, whose first line names the directory where it was made.
        program: program.join("bin/python"),
        args: [
            program.join("bin/litellm").display().to_string(),
            format!("--config={}", config.display()),
        ]
        .into_iter()
        .chain(words)
        .collect(),
        environment: vec![
            ("SSL_CERT_FILE", authority_file),
            ("HOME", dir.to_owned()),
            ("PATH", "/usr/bin:/bin".into()),
            // Prices from its own package, not from the network.
            ("LITELLM_LOCAL_MODEL_COST_MAP", "True".into()),
            ("LITELLM_LOG", "ERROR".into()),
        ],
        address,
        ready: (address, "/health/readiness"),
        // It reads 740 MB of Python.
        patience: Duration::from_secs(120),
        log: dir.join("stdout.log"),
    })
}

fn configuration(fixture: &Fixture, upstream: SocketAddr) -> serde_json::Value {
    json!({
        "model_list": [{
            "model_name": MODEL,
            "litellm_params": {
                "model": format!("openai/{MODEL}"),
                "api_base": format!("https://{HOST}:{}/v1", upstream.port()),
                "api_key": fixture.key,
                "rpm": 1_000_000_000_u64,
                "tpm": 1_000_000_000_000_u64,
            },
        }],
        "router_settings": {
            // The one that looks at rpm and tpm before a call.
            "routing_strategy": "usage-based-routing-v2",
            "num_retries": 0,
            "provider_budget_config": {"openai": {"budget_limit": 1_000_000, "time_period": "1d"}},
        },
        "litellm_settings": {"callbacks": "rule.rule"},
        "general_settings": {
            "master_key": fixture.placeholder,
            "always_include_stream_usage": true,
        },
    })
}

//! Portkey's open gateway (<https://portkey.ai/docs/integrations/guardrails>). It holds no keys, has no limits and counts nothing: what it does of the
//! sidecar's duties is to read the call, allow one model, and put the key that its caller brings into the call to the provider.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use postern_e2e::{Cache, run, step};
use serde_json::json;

use crate::fixture::{Fixture, MODEL};
use crate::proxy::{Proxy, free_address};
use crate::upstream::HOST;

/// Of npm's `@portkey-ai/gateway`.
pub(crate) const VERSION: &str = "1.15.2";
/// Keeps its listener on loopback: it has no option for that, and listens on every interface.
const LOOPBACK: &str = include_str!("loopback.cjs");

/// Installs it in the cache, and returns its directory.
pub(crate) fn install(cache: &Cache) -> Result<PathBuf> {
    cache.entry(&format!("peers/portkey-{VERSION}"), |dir| {
        step(
            "Portkey",
            "the sidecar is measured beside it; 25 MB",
            || {
                fs::create_dir_all(dir)?;
                let mut npm = Command::new("npm");
                npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
                npm.arg("--prefix").arg(dir);
                npm.arg(format!("@portkey-ai/gateway@{VERSION}"));
                run::logged(&mut npm, &cache.path("log/portkey.log"))
            },
        )
    })
}

/// Prepares the one installed in `program` to run in `dir`.
pub(crate) fn prepare(dir: &Path, program: &Path, authority: &str) -> Result<Proxy> {
    fs::create_dir_all(dir)?;
    let address = free_address()?;
    let authority_file = dir.join("authority.pem");
    fs::write(&authority_file, authority)?;
    let loopback = dir.join("loopback.cjs");
    fs::write(&loopback, LOOPBACK)?;
    let server = program.join("node_modules/@portkey-ai/gateway/build/start-server.js");
    Ok(Proxy {
        program: "/usr/bin/env".into(),
        args: vec![
            "node".to_owned(),
            "--require".to_owned(),
            loopback.display().to_string(),
            server.display().to_string(),
            format!("--port={}", address.port()),
            "--headless".to_owned(),
        ],
        environment: vec![
            ("NODE_EXTRA_CA_CERTS", authority_file),
            ("NODE_ENV", "production".into()),
            ("HOME", dir.to_owned()),
            ("PATH", std::env::var_os("PATH").unwrap_or_default().into()),
        ],
        address,
        ready: (address, "/"),
        patience: Duration::from_secs(60),
        log: dir.join("stdout.log"),
    })
}

/// What a caller says to have its call carried to `upstream`: the gateway holds no keys, so that it brings the provider's.
pub(crate) fn headers(fixture: &Fixture, upstream: SocketAddr) -> Vec<(&'static str, String)> {
    let config = json!({
        "provider": "openai",
        "api_key": fixture.key,
        "custom_host": format!("https://{HOST}:{}/v1", upstream.port()),
        "before_request_hooks": [{
            "type": "guardrail",
            "id": "models",
            "deny": true,
            "checks": [{"id": "default.modelWhitelist", "parameters": {"models": [MODEL]}}],
        }],
    });
    vec![("x-portkey-config", config.to_string())]
}

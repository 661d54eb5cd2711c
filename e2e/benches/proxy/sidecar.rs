//! The sidecar as in a pod: the static program of its image, with a bundle as the operator writes it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use postern_crds::{bundle::Bundle, names::BUNDLE_KEY};
use postern_e2e::step;
use serde_json::json;

use crate::fixture::{Fixture, PATH, ROUTE};
use crate::proxy::{Proxy, free_address};
use crate::upstream::HOST;

const IDENTITY: &str = "bench";
const NAMESPACE: &str = "default";

/// Builds the program of the image and returns its path.
pub(crate) fn build(target_dir: &Path) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    step(
        "sidecar",
        "the static program of its image, optimised",
        || {
            let status = Command::new(env!("CARGO"))
                .args([
                    "build",
                    "--quiet",
                    "--release",
                    "--package",
                    "postern-sidecar",
                    "--bin",
                    "postern",
                    "--target",
                    &triple,
                ])
                .arg("--target-dir")
                .arg(target_dir)
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status()
                .context("starting cargo")?;
            ensure!(status.success(), "cargo: {status}");
            Ok(())
        },
    )?;
    Ok(target_dir.join(triple).join("release/postern"))
}

/// The placeholder that an application under the benchmark's identity holds.
pub(crate) fn placeholder() -> Result<String> {
    let compiled = bundle("sk-any", ([127, 0, 0, 1], 443).into(), "")?.compile()?;
    let Some(route) = compiled.routes.into_iter().next() else {
        bail!("the benchmark's bundle has no route")
    };
    Ok(route.placeholder)
}

/// Prepares it in `dir`.
pub(crate) fn prepare(
    dir: &Path,
    program: &Path,
    fixture: &Fixture,
    upstream: SocketAddr,
    authority: &str,
) -> Result<Proxy> {
    let bundle_dir = dir.join("bundle");
    fs::create_dir_all(&bundle_dir)?;
    let bundle = bundle(&fixture.key, upstream, authority)?;
    fs::write(bundle_dir.join(BUNDLE_KEY), &*bundle.to_json()).context("writing the bundle")?;
    let no_roots = dir.join("no-roots.pem");
    fs::write(&no_roots, "")?;
    let (address, admin) = (free_address()?, free_address()?);
    let args = [
        "serve".to_owned(),
        format!("--bundle-dir={}", bundle_dir.display()),
        format!("--listen={address}"),
        format!("--admin-address={admin}"),
    ];
    Ok(Proxy {
        program: program.to_owned(),
        args: args.to_vec(),
        // Its image holds no other file, so there are no roots of a system to read.
        environment: vec![("SSL_CERT_FILE", no_roots)],
        address,
        ready: admin,
        log: dir.join("stdout.log"),
    })
}

fn bundle(key: &str, upstream: SocketAddr, authority: &str) -> Result<Bundle> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let document = json!({
        "format": 1,
        "minReader": 1,
        "namespace": NAMESPACE,
        "identity": IDENTITY,
        "spec": {
            "serviceAccountNames": [IDENTITY],
            "credentials": [{
                "name": ROUTE,
                "provider": "openai",
                "endpoint": format!("https://{HOST}:{}/v1", upstream.port()),
                "tls": {"caBundle": {"configMap": {"name": "authority", "key": "ca.crt"}}},
                "source": {"secret": {"name": "openai", "key": "api-key"}},
            }],
        },
        "policies": [{
            "name": IDENTITY,
            "spec": {
                "targetRefs": [{"kind": "AgentIdentity", "name": IDENTITY}],
                "rules": [{
                    "name": "chat",
                    "to": {"credentials": [ROUTE]},
                    "methods": ["POST"],
                    "paths": [PATH],
                    "action": "Allow",
                }],
            },
        }],
        "secrets": {ROUTE: {"value": BASE64_STANDARD.encode(key), "version": "secret/1"}},
        "authorities": {ROUTE: authority},
    });
    Ok(Bundle::parse(document.to_string().as_bytes())?)
}

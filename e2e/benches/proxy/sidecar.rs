//! The sidecar as in a pod: the static program of its image, with a bundle as the operator writes it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postern_crds::{
    bundle::{self, Bundle},
    egress_policy::Detector,
    names::BUNDLE_KEY,
};
use postern_e2e::{Cache, packages, step, until};
use serde_json::{Value, json};

use crate::fixture::{Fixture, MODEL, PATH, ROUTE, Usage};
use crate::proxy::{Proxy, free_address, get};
use crate::upstream::HOST;

const IDENTITY: &str = "bench";
const NAMESPACE: &str = "default";

/// How much it does for a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// All is allowed, the key is put in: there is no way through the sidecar without one.
    Zero,
    /// Method and path are allowed by a rule, the key is put in. Bodies are not read.
    One,
    /// And what the call says is: model, operation, an expression over its facts; what it uses and costs is counted, against three limits.
    Two,
    /// And all kinds of personal data and keys that it knows are masked in answers.
    Three,
}

/// Builds the program of the image and returns its path.
pub(crate) fn build(target_dir: &Path) -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    packages::require(&Cache::open()?, &[("musl-tools", "links static programs")])?;
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
    let compiled = bundle("sk-any", ([127, 0, 0, 1], 443).into(), "", Tier::One)?.compile()?;
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
    tier: Tier,
) -> Result<Proxy> {
    let bundle_dir = dir.join("bundle");
    fs::create_dir_all(&bundle_dir)?;
    let bundle = bundle(&fixture.key, upstream, authority, tier)?;
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
        ready: (admin, "/readyz"),
        patience: Duration::from_secs(10),
        log: dir.join("stdout.log"),
    })
}

fn bundle(key: &str, upstream: SocketAddr, authority: &str, tier: Tier) -> Result<Bundle> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let document = json!({
        "format": bundle::FORMAT,
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
        "policies": [{"name": IDENTITY, "spec": policy(tier)}],
        "secrets": {ROUTE: {"value": BASE64_STANDARD.encode(key), "version": "secret/1"}},
        "authorities": {ROUTE: authority},
    });
    Ok(Bundle::parse(document.to_string().as_bytes())?)
}

/// The policy's specification.
fn policy(tier: Tier) -> Value {
    let mut rule = json!({"name": "chat", "to": {"credentials": [ROUTE]}, "action": "Allow"});
    if tier >= Tier::One {
        rule["methods"] = json!(["POST"]);
        rule["paths"] = json!([PATH]);
    }
    let mut limits = json!([]);
    if tier >= Tier::Two {
        rule["models"] = json!([MODEL]);
        rule["operations"] = json!(["chat"]);
        rule["when"] = json!("request.maxTokens <= 2000 && size(request.tools) < 8");
        // So large that none of them refuses a call.
        limits = json!([
            {"name": "calls", "scope": "Pod", "requests": 1_000_000_000_u64, "per": "1h"},
            {"name": "tokens", "scope": "Pod", "tokens": 1_000_000_000_000_u64, "per": "1h"},
            {"name": "spend", "scope": "Pod", "spend": "1000000", "currency": "USD", "per": "24h"},
        ]);
    }
    let mut policy = json!({
        "targetRefs": [{"kind": "AgentIdentity", "name": IDENTITY}],
        "rules": [rule],
        "limits": limits,
    });
    if tier >= Tier::Three {
        policy["response"] = json!({"mask": {"detectors": Detector::ALL}});
    }
    policy
}

/// Fails unless a sidecar of the second tier that was just started counts the tokens that were `used`, and knows what they cost. `admin` is where
/// it tells.
pub(crate) fn check_counts(admin: SocketAddr, used: Usage) -> Result<()> {
    // A call is settled when its answer has ended, which its caller may see first.
    until("usage to be counted", Duration::from_secs(5), || {
        let metrics = get(admin, "/metrics")?;
        let sum = |name: &str, label: &str| -> f64 {
            metrics
                .lines()
                .filter(|line| line.starts_with(name) && line.contains(label))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum()
        };
        let counted = ["input", "output"]
            .map(|kind| sum("postern_tokens_total", &format!(r#"kind="{kind}""#)));
        let Usage { input, output } = used;
        ensure!(
            counted == [input, output].map(|tokens| tokens as f64),
            "it counted {counted:?} tokens where {input} and {output} were used"
        );
        ensure!(
            sum("postern_cost_total", "") > 0.0,
            "it does not know what calls cost"
        );
        Ok(())
    })
}

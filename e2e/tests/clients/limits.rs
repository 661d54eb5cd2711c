//! A stream whose budget ends must end in an error that the SDKs raise, one that may finish in none, and a call beyond a limit in an error at once:
//! no library's own tries come on top of what is too much.

use std::process::Command;

use anyhow::Result;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{all_read, answers, node, python, sidecar::Sidecar, upstream::Upstream};

/// The ways to read a stream, by the provider that each asks.
const READERS: [(&str, &str); 6] = [
    ("chat", "openai"),
    ("chat-helper", "openai"),
    ("responses", "openai"),
    ("responses-helper", "openai"),
    ("messages", "anthropic"),
    ("messages-helper", "anthropic"),
];

/// Lets `program` meet each limit in each way, with a credential of its own, which the program knows by its name.
fn meets(program: &mut Command) -> Result<()> {
    let limits = [
        // An answer has 233 tokens.
        (
            "end",
            json!({"tokens": 100, "per": "1h", "budgetExceeded": "EndStream"}),
        ),
        (
            "finish",
            json!({"tokens": 100, "per": "1h", "budgetExceeded": "Finish"}),
        ),
        ("once", json!({"requests": 1, "per": "1h"})),
    ];
    let mut credentials = Vec::new();
    let mut all = Vec::new();
    for (reader, provider) in READERS {
        for (name, limit) in &limits {
            let name = format!("{name}-{reader}");
            let mut limit = limit.clone();
            limit["name"] = json!(name);
            limit["scope"] = json!("Pod");
            limit["to"] = json!({"credentials": [name]});
            all.push(limit);
            credentials.push((name, provider));
        }
    }
    let credentials: Vec<_> = credentials
        .iter()
        .map(|(name, provider)| (name.as_str(), *provider))
        .collect();
    let runtime = Runtime::new()?;
    let upstream = runtime.block_on(Upstream::start(&answers()))?;
    let policy = json!({"limits": all});
    let sidecar = runtime.block_on(Sidecar::start(upstream.port, &credentials, &policy))?;
    all_read(
        program
            .arg(answers())
            .arg(format!("http://127.0.0.1:{}", sidecar.port))
            .arg(format!("http://127.0.0.1:{}", sidecar.admin)),
    )
}

#[test]
fn the_sdks_for_python_raise_the_end_of_a_budget_and_try_no_refused_call_again() -> Result<()> {
    meets(&mut python("limits.py")?)
}

#[test]
fn the_sdks_for_javascript_raise_the_end_of_a_budget_and_try_no_refused_call_again() -> Result<()> {
    meets(&mut node("limits.mjs")?)
}

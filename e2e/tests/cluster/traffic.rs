//! Does a LangChain program see the same through the sidecar as without it?

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::support::{Agents, direct, ground, pod, run_to_end};

/// The lines of `printed`, one a call.
fn calls(printed: &str) -> Vec<Value> {
    printed
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not a call's line: {line}"))
        })
        .collect()
}

/// Runs a program straight at the provider with the key, and through the sidecar without it.
fn same_result(purpose: &str, image: &str, command: &[&str], expected: usize) -> Result<()> {
    let agents = Agents::create(purpose)?;
    agents.programs()?;
    let (phase, straight) = run_to_end(
        &agents.namespace,
        &direct(pod("direct", image, command), &agents),
    )?;
    assert_eq!(phase, "Succeeded", "{straight}");
    let (phase, through) = run_to_end(&agents.namespace, &pod("through", image, command))?;
    assert_eq!(phase, "Succeeded", "{through}");

    let (straight, through) = (calls(&straight), calls(&through));
    assert_eq!(straight.len(), expected, "{straight:#?}");
    assert_eq!(straight, through);

    // Each call arrived twice with the real key and never with another.
    let received = ground().provider.received(Duration::from_secs(900))?;
    let keys = [
        format!("Bearer {}", agents.openai),
        agents.openai.clone(),
        format!("Bearer {}", agents.anthropic),
        agents.anthropic.clone(),
    ];
    let ours = received
        .iter()
        .filter(|request| {
            request
                .headers
                .iter()
                .any(|(_, value)| keys.contains(value))
        })
        .count();
    assert_eq!(ours, 2 * expected);
    let placeholders: Vec<_> = received
        .iter()
        .filter(|request| {
            request
                .headers
                .values()
                .any(|value| value.contains("postern"))
        })
        .collect();
    assert!(
        placeholders.is_empty(),
        "the provider saw a placeholder: {placeholders:#?}"
    );
    Ok(())
}

#[test]
fn traffic_of_langchain_for_python_is_the_same_through_the_sidecar() -> Result<()> {
    same_result(
        "python",
        &ground().python,
        &["python3", "/program/traffic.py"],
        14,
    )
}

#[test]
fn traffic_of_langchain_for_javascript_is_the_same_through_the_sidecar() -> Result<()> {
    same_result(
        "javascript",
        &ground().node,
        &["node", "/program/traffic.mjs"],
        10,
    )
}

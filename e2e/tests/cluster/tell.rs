//! Does Postern tell a person what to do about what is missing or wrong, and does it come right once that is done?

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use postern_crds::names;
use postern_e2e::{PATIENCE, run, until};
use serde_json::{Value, json};

use crate::support::{Agent, Agents, agent, create, resting};

/// Runs a command that a message advises, as a person would who has kubectl at hand.
fn obey(agents: &Agents, command: &str) -> Result<()> {
    let cluster = agents.namespace.cluster();
    let kubectl = &cluster.tools().kubectl;
    let programs = kubectl.parent().context("kubectl is in a directory")?;
    let path = format!("{}:/usr/bin:/bin", programs.display());
    let kubeconfig = cluster
        .kubeconfig()
        .context("the cluster of this machine")?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .env("PATH", path)
        .env("KUBECONFIG", kubeconfig);
    run::output(&mut shell).map(drop)
}

/// Waits until the condition `CredentialsResolved` fails for `reason`, and returns the command that its message advises.
fn advice(agents: &Agents, reason: &str) -> Result<String> {
    let message = until(&format!("the reason {reason}"), PATIENCE, || {
        let condition = agents.namespace.condition(
            "agentidentity",
            "support-bot",
            "CredentialsResolved",
            "False",
        )?;
        ensure!(condition["reason"] == reason, "{condition}");
        Ok(condition["message"].as_str().unwrap_or_default().to_owned())
    })?;
    let start = message
        .find("kubectl ")
        .with_context(|| format!("no command is in {message:?}"))?;
    let end = message.find(" (").unwrap_or(message.len());
    Ok(message[start..end].to_owned())
}

#[test]
fn tell_what_is_missing_by_commands_that_mend_it() -> Result<()> {
    let agents = Agents::create_bare("missing")?;
    let namespace = &agents.namespace;
    namespace.apply(include_str!("support/agents.yaml"))?;
    agents.patch(
        "agentidentity",
        "support-bot",
        &json!({"spec": {"credentials": [{
            "name": "openai", "provider": "openai",
            "tls": {"caBundle": {"configMap": {"name": "provider-ca", "key": "ca.crt"}}},
            "source": {"secret": {"name": "openai-key", "key": "api-key"}},
        }]}}),
    )?;
    // A pod that comes before the key starts, and is denied.
    let agent = agent(&agents, "bot")?;
    agent.ask()?.denied("credential_missing")?;

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    fs::write(&file, &agents.openai)?;
    let command = advice(&agents, "SecretNotFound")?;
    agents.until_told(&["SecretNotFound"])?;
    obey(
        &agents,
        &command.replace("FILE", &file.display().to_string()),
    )?;
    obey(&agents, &advice(&agents, "ConsentMissing")?)?;

    namespace.condition("agentidentity", "support-bot", "Ready", "True")?;
    until("the key to reach the sidecar", PATIENCE, || {
        agent.ask()?.allowed()
    })?;
    Ok(())
}

#[test]
fn tell_of_an_unknown_identity_and_start_the_pod_once_it_is_there() -> Result<()> {
    let agents = Agents::create_bare("unknown")?;
    let namespace = &agents.namespace;
    let warnings = create(namespace, &resting("bot")?)?.warnings;
    let expected = format!(
        "AgentIdentity support-bot does not exist in {} yet: the pod waits for it",
        namespace.name()
    );
    assert!(
        warnings.iter().any(|warning| warning.contains(&expected)),
        "{warnings:#?}"
    );
    let waits = r#"secret "postern-support-bot" not found"#;
    until("the kubelet to say what it waits for", PATIENCE, || {
        let events = namespace.kubectl(["events", "--for=pod/bot"])?;
        ensure!(events.contains(waits), "{events}");
        Ok(())
    })?;
    assert_eq!(namespace.get("pod", "bot")?["status"]["phase"], "Pending");

    agents.settle()?;
    namespace.ready("bot")?;
    Agent::of(namespace, "bot").ask()?.allowed()?;
    Ok(())
}

#[test]
fn tell_of_all_three_mistakes_of_a_policy_and_keep_the_last_good_one_in_force() -> Result<()> {
    let agents = Agents::create("mistakes")?;
    let namespace = &agents.namespace;
    let agent = agent(&agents, "bot")?;
    let revision = || -> Result<Value> {
        Ok(namespace.get("agentidentity", "support-bot")?["status"]["bundleRevision"].clone())
    };
    let before = revision()?;
    let rule = |paths: Value| {
        json!({"spec": {"rules": [{
            "name": "openai", "to": {"credentials": ["openai"]}, "methods": ["POST"], "paths": paths, "action": "Allow",
        }]}})
    };
    agents.patch(
        "egresspolicy",
        "support-bot",
        &rule(json!(["v1/x", "/a//b", "/**/x"])),
    )?;

    let refused = namespace.condition("egresspolicy", "support-bot", "Ready", "False")?;
    assert_eq!(refused["reason"], "Invalid", "{refused}");
    let identity = namespace.condition("agentidentity", "support-bot", "PoliciesAccepted", "False");
    // The identity's own generation did not change: the condition may be a moment behind.
    let identity = identity?;
    for condition in [&refused, &identity] {
        let message = condition["message"].as_str().unwrap_or_default();
        for place in [
            "spec.rules[0].paths[0]",
            "spec.rules[0].paths[1]",
            "spec.rules[0].paths[2]",
        ] {
            assert!(message.contains(place), "{place} is not in {message:?}");
        }
    }
    let message = identity["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("generation 1 of it stays in force"),
        "{message}"
    );
    assert_eq!(revision()?, before);
    agent.ask()?.allowed()?;

    agents.patch(
        "egresspolicy",
        "support-bot",
        &rule(json!(["/v1/chat/completions"])),
    )?;
    agents.ready()?;
    agent.ask()?.allowed()?;
    assert_eq!(agent.restarts(names::CONTAINER)?, 0);
    Ok(())
}

//! Does a change of key, consent or policy take effect in running pods, without a failed call and without a restart?

mod leases;
mod load;
mod nudge;
mod sources;

use anyhow::{Result, ensure};
use postern_crds::names;
use postern_e2e::{PATIENCE, until};
use serde_json::json;

use crate::support::{Agent, Agents, agent, create, ground, pod, random, secret};

/// Waits until the provider received at least `count` requests with `key`.
fn received(agents: &Agents, key: &str, count: usize) -> Result<()> {
    until(&format!("{count} calls with a key"), PATIENCE, || {
        let received = agents.received(key)?.len();
        ensure!(received >= count, "{received} arrived");
        Ok(())
    })
}

#[test]
fn rotate_edited_secret_is_used_by_a_running_program_without_one_failed_call() -> Result<()> {
    let agents = Agents::create("loop")?;
    let namespace = &agents.namespace;
    create(
        namespace,
        &pod("bot", &ground()?.python, &["python3", "/program/loop.py"]),
    )?;
    received(&agents, &agents.openai, 10)?;

    let second = format!("sk-live-{}", random()?);
    agents.apply(&[secret("openai-key", &second)])?;
    received(&agents, &second, 10)?;

    // From the first call with the new key on, none had the old one.
    let old = agents.received(&agents.openai)?.len();
    received(&agents, &second, agents.received(&second)?.len() + 10)?;
    assert_eq!(agents.received(&agents.openai)?.len(), old);
    let printed = namespace.logs("bot", "agent")?;
    let failed: Vec<_> = printed.lines().filter(|line| *line != "ok").collect();
    assert_eq!(failed, [""; 0]);
    assert_eq!(Agent::of(namespace, "bot").restarts(names::CONTAINER)?, 0);
    Ok(())
}

#[test]
fn rotate_deleted_bundle_comes_back_while_the_running_pod_goes_on() -> Result<()> {
    let agents = Agents::create("deleted")?;
    let namespace = &agents.namespace;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;
    let uid = || {
        let bundle = namespace.get("secret", "postern-support-bot")?;
        Ok::<_, anyhow::Error>(bundle["metadata"]["uid"].clone())
    };
    let first = uid()?;
    namespace.kubectl(["delete", "secret", "postern-support-bot"])?;
    until("the bundle to be back", PATIENCE, || {
        agent.ask()?.allowed()?;
        ensure!(uid()? != first, "it is the deleted one");
        Ok(())
    })?;

    // The kubelet mounts the new one.
    let second = format!("sk-live-{}", random()?);
    agents.apply(&[secret("openai-key", &second)])?;
    agents.until_used(&second, &agent)?;
    assert_eq!(agent.restarts(names::CONTAINER)?, 0);
    Ok(())
}

#[test]
fn rotate_at_once_when_asked_for_although_the_interval_is_an_hour() -> Result<()> {
    let agents = Agents::create("refresh")?;
    agents.patch(
        "agentidentity",
        "support-bot",
        &json!({"spec": {"refreshInterval": "1h"}}),
    )?;
    agents.ready()?;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;

    let second = format!("sk-live-{}", random()?);
    agents.apply(&[secret("openai-key", &second)])?;
    agents.refresh()?;
    agents.until_used(&second, &agent)?;
    agents.until_told(&["RotationStarted", "RotationComplete"])
}

#[test]
fn rotate_deleted_identity_takes_its_bundle_along_and_the_running_pod_goes_on() -> Result<()> {
    let agents = Agents::create("gone")?;
    let namespace = &agents.namespace;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;
    namespace.kubectl(["delete", "agentidentity", "support-bot"])?;
    until("the bundle to go", PATIENCE, || {
        let left = namespace.kubectl([
            "get",
            "secret",
            "postern-support-bot",
            "--ignore-not-found",
            "--output",
            "name",
        ])?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })?;
    agent.ask()?.allowed()?;
    assert_eq!(agent.restarts(names::CONTAINER)?, 0);
    Ok(())
}

#[test]
fn rotate_withdrawn_consent_denies_calls_until_it_is_given_again() -> Result<()> {
    let agents = Agents::create("consent")?;
    let namespace = &agents.namespace;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;

    namespace.kubectl([
        "annotate",
        "secret",
        "openai-key",
        "postern.dev/allow-identity-",
    ])?;
    until("calls to be denied", PATIENCE, || {
        agent.ask()?.denied("credential_missing")
    })?;
    let condition = namespace.condition(
        "agentidentity",
        "support-bot",
        "CredentialsResolved",
        "False",
    )?;
    assert_eq!(condition["reason"], "ConsentMissing");
    let before = agents.received(&agents.openai)?.len();
    agent.ask()?.denied("credential_missing")?;
    assert_eq!(agents.received(&agents.openai)?.len(), before);

    namespace.kubectl([
        "annotate",
        "secret",
        "openai-key",
        "postern.dev/allow-identity=support-bot",
    ])?;
    until("calls to be allowed again", PATIENCE, || {
        agent.ask()?.allowed()
    })?;
    assert_eq!(agent.restarts(names::CONTAINER)?, 0);
    Ok(())
}

#[test]
fn rotate_edited_policy_takes_effect_in_both_directions_without_a_restart() -> Result<()> {
    let agents = Agents::create("policy")?;
    let agent = agent(&agents, "bot")?;
    let embed = || agent.call("/embeddings", "postern");
    let chat = || agent.ask();
    let only = |path: &str| {
        let rule = json!({
            "name": "openai", "to": {"credentials": ["openai"]}, "methods": ["POST"], "paths": [path], "action": "Allow",
        });
        agents.patch(
            "egresspolicy",
            "support-bot",
            &json!({"spec": {"rules": [rule]}}),
        )
    };
    only("/v1/chat/completions")?;
    until("embeddings to be denied", PATIENCE, || {
        embed()?.denied("no_rule")
    })?;
    chat()?.allowed()?;

    only("/v1/embeddings")?;
    until("chat to be denied", PATIENCE, || chat()?.denied("no_rule"))?;
    // What the provider makes of a chat at that path is its own affair; the policy lets it pass.
    assert_eq!(embed()?.reason, None);

    agents
        .namespace
        .kubectl(["delete", "egresspolicy", "support-bot"])?;
    until("everything to be denied", PATIENCE, || {
        embed()?.denied("no_rule")
    })?;
    assert_eq!(agent.restarts(names::CONTAINER)?, 0);
    Ok(())
}

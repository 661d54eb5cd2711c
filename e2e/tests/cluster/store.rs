//! Do credentials come from a store of secrets, an OpenBao that knows the operator by its service account, and follow what happens there?

use anyhow::{Result, ensure};
use postern_e2e::{Namespace, PATIENCE, house, until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Agent, Agents, Stored, agent, ground, random, version};

/// Where the tests' provider is, and who vouches for it.
const PROVIDER: (&str, &str) = ("api.openai.com", "provider-ca");

/// Waits until the identity says that its credential cannot be had, for this reason, and returns in which words.
fn unresolved(namespace: &Namespace, reason: &str) -> Result<String> {
    until(reason, PATIENCE, || {
        let said = namespace.condition(
            "agentidentity",
            "support-bot",
            "CredentialsResolved",
            "False",
        )?;
        ensure!(said["reason"] == reason, "{said}");
        Ok(said["message"].as_str().unwrap_or_default().to_owned())
    })
}

#[test]
fn store_delivers_and_what_it_withdraws_is_out_with_the_reason_in_words() -> Result<()> {
    let stored = Stored::start("withdrawn", Agents::create_bare("withdrawn")?)?;
    let agents = &stored.agents;
    let namespace = &agents.namespace;
    let store = stored.server.name();
    stored.settle(PROVIDER.0, PROVIDER.1)?;
    agents.ready()?;
    namespace.condition("credentialstore", store, "Ready", "True")?;
    assert!(version(&stored.status()?)?.contains("/1@"));
    let agent = agent(agents, "bot")?;
    agents.until_used(&agents.openai, &agent)?;

    let denied = || {
        until("calls to be denied", PATIENCE, || {
            agent.ask()?.denied("credential_missing")
        })
    };
    stored.bao.reader(&["other/*"])?;
    let words = unresolved(namespace, "PermissionDenied")?;
    assert!(words.contains("secret/data/ai/openai"), "{words}");
    denied()?;
    stored.bao.reader(&["ai/*"])?;
    until("calls to be allowed", PATIENCE, || agent.ask()?.allowed())?;

    stored.bao.run("kv delete -mount=secret ai/openai")?;
    let words = unresolved(namespace, "PathNotFound")?;
    assert!(
        words.contains("there is nothing at secret/data/ai/openai"),
        "{words}"
    );
    denied()?;
    let second = format!("sk-live-{}", random()?);
    stored.put(&second)?;
    until("calls to be allowed", PATIENCE, || agent.ask()?.allowed())?;
    agents.until_used(&second, &agent)?;

    // A role that the server does not know, beside the one that it does.
    let stranger = format!("{store}-stranger");
    stored.bao.store(&stranger, "stranger", &json!({}))?;
    let said = namespace.condition("credentialstore", &stranger, "Ready", "False")?;
    assert_eq!(said["reason"], "StoreLoginFailed");
    let words = said["message"].as_str().unwrap_or_default();
    assert!(
        words.contains("auth/kubernetes/login refused role stranger"),
        "{words}"
    );

    let told = namespace.kubectl([
        "get",
        "agentidentities,credentialstores,events",
        "--output=json",
    ])?;
    assert!(!told.contains("sk-live-"), "{told}");
    Ok(())
}

#[test]
fn store_tells_a_namespace_that_it_does_not_allow_nothing_of_its_paths() -> Result<()> {
    let stored = Stored::start("boundary", Agents::create_bare("boundary")?)?;
    let elsewhere = Namespace::create(&ground()?.house.cluster, "elsewhere")?;
    let identity = |path: &str| {
        json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "AgentIdentity", "metadata": {"name": "support-bot"},
            "spec": {"serviceAccountNames": ["default"], "credentials": [{
                "name": "openai", "provider": "openai",
                "source": {"store": {"name": stored.server.name(), "path": path, "key": "api_key"}},
            }]},
        })
        .to_string()
    };
    let told = |path: &str| {
        elsewhere.apply(&identity(path))?;
        unresolved(&elsewhere, "StoreNotAllowed")
    };
    let words = told("ai/openai")?;
    assert!(
        words.contains(&format!("does not allow namespace {}", elsewhere.name())),
        "{words}"
    );
    assert_eq!(told("ai/nothing")?, words);

    // The same in the namespace that it allows.
    let allowed = &stored.agents.namespace;
    allowed.apply(&identity("ai/openai"))?;
    allowed.condition(
        "agentidentity",
        "support-bot",
        "CredentialsResolved",
        "True",
    )?;
    allowed.apply(&identity("ai/nothing"))?;
    unresolved(allowed, "PathNotFound")?;
    Ok(())
}

#[test]
fn store_that_is_not_there_yet_or_hangs_holds_nobody_up_and_is_found_again() -> Result<()> {
    let stored = Stored::prepare("hangs", Agents::create_bare("hangs")?)?;
    let agents = &stored.agents;
    let namespace = &agents.namespace;
    stored.settle(PROVIDER.0, PROVIDER.1)?;
    unresolved(namespace, "StoreUnreachable")?;
    let agent = agent(agents, "bot")?;
    agent.ask()?.denied("credential_missing")?;

    stored.run_server()?;
    until("calls to be allowed", PATIENCE, || agent.ask()?.allowed())?;

    // It takes connections and never answers.
    let server = Agent::of_deployment(&stored.server, "openbao")?.process("openbao")?;
    server.send(Signal::STOP)?;
    unresolved(namespace, "StoreUnreachable")?;
    for _ in 0..30 {
        agent.ask()?.allowed()?;
    }
    let identity: Value = namespace.get("agentidentity", "support-bot")?;
    assert_eq!(identity["status"]["credentials"][0]["name"], "openai");
    server.send(Signal::CONT)?;
    let second = format!("sk-live-{}", random()?);
    stored.put(&second)?;
    agents.until_used(&second, &agent)?;
    agents.ready()
}

#[test]
fn store_that_throttles_or_is_trusted_no_longer_leaves_the_last_value_in_use() -> Result<()> {
    let stored = Stored::start("faults", Agents::create_bare("faults")?)?;
    let agents = &stored.agents;
    let namespace = &agents.namespace;
    stored.settle(PROVIDER.0, PROVIDER.1)?;
    agents.ready()?;
    let agent = agent(agents, "bot")?;
    agents.until_used(&agents.openai, &agent)?;

    // https://openbao.org/api-docs/system/rate-limit-quotas/
    let limit = "sys/quotas/rate-limit/few";
    stored
        .bao
        .run(&format!("write {limit} path=secret/ rate=1 interval=1h"))?;
    unresolved(namespace, "StoreThrottled")?;
    agent.ask()?.allowed()?;
    stored.bao.run(&format!("delete {limit}"))?;
    agents.ready()?;

    // The authority that the operator trusts is another than the one that signed the server's certificate.
    let trust = |authority: &str| {
        let patch = json!({"data": {"ca.crt": authority}}).to_string();
        let of_the_operator = ["--namespace", house::NAMESPACE, "--type=merge", "--patch"];
        let what = ["patch", "configmap", stored.server.name()];
        let arguments = what.iter().chain(&of_the_operator).copied();
        stored.server.cluster().kubectl(arguments.chain([&*patch]))
    };
    trust(&ground()?.provider.ca)?;
    unresolved(namespace, "StoreTlsFailed")?;
    agent.ask()?.allowed()?;
    trust(stored.bao.authority())?;
    agents.ready()?;
    let second = format!("sk-live-{}", random()?);
    stored.put(&second)?;
    agents.until_used(&second, &agent)
}

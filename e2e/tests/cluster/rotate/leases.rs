//! Is a user that OpenBao makes in a real PostgreSQL replaced in running pods when its lease is revoked?

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_crds::names;
use postern_e2e::{Cluster, PATIENCE, Postgres, until};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Agent, Agents, Stored, WHOLE_RUN, create, ground, pod};

/// What the operator's login may do. Renewals and look-ups are in the `default` policy of every login.
const POLICY: &str = r#"
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"#;

/// Where pods reach what listens on this machine, which is the cluster's node.
fn node(cluster: &Cluster) -> Result<IpAddr> {
    let internal = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
    let address = cluster.kubectl(["get", "nodes", "--output", internal])?;
    address.parse().context("reading the node's address")
}

/// Has OpenBao make users of `postgres` for the identity `support-bot`, which logs in with them at the provider.
fn settle(stored: &Stored, postgres: &Postgres) -> Result<()> {
    let bao = &stored.bao;
    bao.policy(POLICY)?;
    bao.run("secrets enable database")?;
    let config = postgres.config().map(|(name, value)| (name, json!(value)));
    bao.write("database/config/main", &config.into_iter().collect())?;
    let lasts = json!({
        "db_name": "main", "creation_statements": [Postgres::CREATE], "default_ttl": "1h", "max_ttl": "2h",
    });
    bao.write("database/roles/agent", &lasts)?;
    let store = format!("{}-database", stored.server.name());
    bao.apply(&[json!({
        "apiVersion": "postern.dev/v1alpha1", "kind": "CredentialStore", "metadata": bao.elsewhere(&store, None),
        "spec": {
            "vault": {
                "address": bao.address(),
                "auth": {"kubernetes": {"role": "postern"}},
                "engine": {"logical": {"mountPath": "database"}},
            },
            "tls": {"caBundle": {"configMap": {"name": stored.server.name(), "key": "ca.crt"}}},
            "allowedNamespaces": stored.allowed,
        },
    })])?;
    stored.agents.apply(&[
        json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "AgentIdentity", "metadata": {"name": "support-bot"},
            "spec": {"serviceAccountNames": ["default"], "refreshInterval": "5s", "credentials": [{
                "name": "database",
                "http": {"hosts": ["api.openai.com"], "inject": {"basic": {}}},
                "tls": {"caBundle": {"configMap": {"name": "provider-ca", "key": "ca.crt"}}},
                "source": {"store": {"name": store, "path": "creds/agent"}},
            }]},
        }),
        json!({
            "apiVersion": "postern.dev/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": "support-bot"},
            "spec": {
                "targetRefs": [{"kind": "AgentIdentity", "name": "support-bot"}],
                "rules": [{"name": "chat", "to": {"credentials": ["database"]}, "action": "Allow"}],
            },
        }),
    ])?;
    stored.agents.ready()
}

/// Waits until ten calls have arrived with another user than `earlier`, and returns the header that it logs in with.
fn used(earlier: Option<&str>) -> Result<String> {
    until("calls with another user", PATIENCE, || {
        let received = ground()?.provider.received(WHOLE_RUN)?;
        let logins = received.iter().filter_map(|request| {
            let login = request.headers.get("authorization")?;
            (login.starts_with("Basic ") && Some(&**login) != earlier).then_some(login)
        });
        let logins: Vec<_> = logins.collect();
        ensure!(logins.len() >= 10, "{} arrived", logins.len());
        Ok(logins[0].clone())
    })
}

/// `user:password` of a header.
fn login(header: &str) -> Result<String> {
    let coded = header.strip_prefix("Basic ").context("a scheme")?;
    Ok(String::from_utf8(BASE64_STANDARD.decode(coded)?)?)
}

#[test]
fn rotate_a_made_user_whose_lease_is_revoked_is_replaced_while_calls_go_on() -> Result<()> {
    let stored = Stored::start("lease", Agents::create_bare("lease")?)?;
    let namespace = &stored.agents.namespace;
    let postgres = Postgres::start(node(namespace.cluster())?)?;
    settle(&stored, &postgres)?;
    let mut caller = pod("bot", &ground()?.node, &["node", "/program/load.mjs", "5"]);
    caller["spec"]["containers"][0]["env"] = json!([
        {"name": "OPENAI_BASE_URL", "value": "http://127.0.0.1:14080/database/v1"},
        {"name": "OPENAI_API_KEY", "value": "none"},
    ]);
    create(namespace, &caller)?;

    let first = used(None)?;
    assert!(postgres.lets_in(&login(&first)?));
    stored
        .bao
        .run("lease revoke -prefix -sync database/creds/agent")?;
    assert!(!postgres.lets_in(&login(&first)?));
    let second = used(Some(&first))?;
    assert!(postgres.lets_in(&login(&second)?));
    // The revoked one is gone, and nobody made more than one instead of it.
    assert_eq!(postgres.made()?, 1);

    let agent = Agent::of(namespace, "bot");
    agent.process("agent")?.send(Signal::TERM)?;
    assert_eq!(namespace.finished("bot")?, "Succeeded");
    let printed = namespace.logs("bot", "agent")?;
    let failed: Vec<_> = printed.lines().filter(|line| *line != "ok").collect();
    assert_eq!(failed, [""; 0]);
    assert_eq!(agent.restarts(names::CONTAINER)?, 0);
    Ok(())
}

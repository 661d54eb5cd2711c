//! Are credentials that OpenBao makes for each reading kept, renewed, replaced in time, and ended when nobody wants them? They are users of a real PostgreSQL.

use std::net::Ipv4Addr;

use anyhow::Result;
use postern_e2e::Postgres;
use serde_json::json;

use crate::{
    bao::Bao,
    cluster::{bundled_secret, ready, until},
    setting::Setting,
    stays_while_sealed,
};

/// What the operator's login may do. Renewals and look-ups are in the `default` policy of every login.
const POLICY: &str = r#"
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"#;

/// An OpenBao that makes users of a PostgreSQL that last for `ttl`, and for `max_ttl` at most.
fn database(ttl: &str, max_ttl: &str) -> Result<(Postgres, Bao, Setting)> {
    let postgres = Postgres::start(Ipv4Addr::LOCALHOST.into())?;
    let bao = Bao::start()?;
    bao.policy("reader", POLICY)?;
    bao.run("secrets enable database")?;
    let config = postgres.config();
    let config = config.map(|(name, value)| format!("{name}={value}"));
    bao.write(
        "database/config/main",
        &config.each_ref().map(String::as_str),
    )?;
    let create = format!("creation_statements={}", Postgres::CREATE);
    let (ttl, max_ttl) = (format!("default_ttl={ttl}"), format!("max_ttl={max_ttl}"));
    bao.write(
        "database/roles/agent",
        &["db_name=main", &create, &ttl, &max_ttl],
    )?;
    let setting = Setting::new(&bao.authority);
    let token = setting.token(&bao)?;
    let engine = json!({ "logical": { "mountPath": "database" } });
    setting.store(&bao, "corp", &token, &engine);
    setting
        .server
        .edit("agentidentities", "support-bot", |identity| {
            identity["spec"]["credentials"][0]["inject"] = json!({ "basic": {} });
        });
    setting.identity(&json!({ "name": "corp", "path": "creds/agent" }));
    Ok((postgres, bao, setting))
}

/// The names of leases that OpenBao has, by its administrator.
fn leases(bao: &Bao) -> Vec<String> {
    // It says 404 where there is none.
    let listed = bao.run("list -format=json sys/leases/lookup/database/creds/agent");
    serde_json::from_str(&listed.unwrap_or_default()).unwrap_or_default()
}

/// The last refresh that was asked for and done.
fn looked(setting: &Setting) -> String {
    let status = &setting.server.object("agentidentities", "support-bot")["status"];
    status["observedRefresh"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_credential_is_renewed_and_replaced_before_it_ends() -> Result<()> {
    let (postgres, bao, setting) = database("12s", "30s")?;
    let server = &setting.server;
    let controller = setting.controller();
    until("it is ready", || ready(server) == "True/Ready").await;
    let first = bundled_secret(server).unwrap();
    assert!(first.starts_with("v-token-agent-"));
    assert!(postgres.lets_in(&first));
    let revision = || {
        let secret = server.object("secrets", "postern-support-bot");
        secret["data"]["leases.json"].as_str().unwrap().to_owned()
    };
    let held = revision();
    until("it is renewed", || revision() != held).await;
    assert_eq!(bundled_secret(server).as_ref(), Some(&first));
    until("another one takes its place", || {
        bundled_secret(server).as_ref() != Some(&first)
    })
    .await;
    // The old one is good as long as sidecars may have it.
    let second = bundled_secret(server).unwrap();
    assert!(postgres.lets_in(&first) && postgres.lets_in(&second));
    until("the old one is gone", || !postgres.lets_in(&first)).await;
    assert!(bundled_secret(server).is_some_and(|now| postgres.lets_in(&now)));
    setting.nothing_leaked(&second[second.len() - 10..]);
    setting.nothing_leaked("creds/agent/");
    controller.stop().await;
    drop(bao);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_made_credential_outlives_the_operator_and_not_its_identity() -> Result<()> {
    let (postgres, bao, setting) = database("1h", "2h")?;
    let server = &setting.server;
    let controller = setting.controller();
    until("it is ready", || ready(server) == "True/Ready").await;
    let first = bundled_secret(server).unwrap();
    // However often it is looked at, nothing else is made; another operator goes on with it.
    setting.refresh("again");
    controller.stop().await;
    let controller = setting.controller();
    setting.refresh("and again");
    until("it was looked at", || looked(&setting) == "and again").await;
    assert_eq!(bundled_secret(server).as_ref(), Some(&first));
    assert_eq!((leases(&bao).len(), postgres.made()?), (1, 1));

    // What is revoked at the store is read anew at once.
    bao.run("lease revoke -prefix -sync database/creds/agent")?;
    assert!(!postgres.lets_in(&first));
    setting.refresh("revoked");
    until("another one is there", || {
        bundled_secret(server).is_some_and(|now| now != first)
    })
    .await;
    let second = bundled_secret(server).unwrap();
    assert!(postgres.lets_in(&second));
    assert_eq!(leases(&bao).len(), 1);

    // With the store down, it stays.
    stays_while_sealed(&bao, &setting, &second).await?;
    assert_eq!(bundled_secret(server).as_ref(), Some(&second));

    server.delete("agentidentities", "support-bot");
    until("it is revoked", || {
        leases(&bao).is_empty() && !postgres.lets_in(&second)
    })
    .await;
    controller.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn identities_do_not_share_what_is_made_and_a_credential_of_no_use_is_ended() -> Result<()> {
    let (postgres, bao, setting) = database("1h", "2h")?;
    let server = &setting.server;
    let mut other = server.object("agentidentities", "support-bot");
    other["metadata"] = json!({ "name": "other-bot" });
    server.put("agentidentities", other);
    let controller = setting.controller();
    until("both have one", || leases(&bao).len() == 2).await;
    let value = |name: &str| {
        let secret = server.object("secrets", &format!("postern-{name}"));
        secret["data"]["bundle.json"].as_str().map(str::to_owned)
    };
    until("both are told", || {
        value("other-bot").is_some() && value("support-bot").is_some()
    })
    .await;
    assert_eq!(postgres.made()?, 2);

    // A member that is not there: whoever was made for such a reading is of no use, and is ended at once. The first is left for a while, since sidecars may have it.
    setting.identity(&json!({ "name": "corp", "path": "creds/agent", "key": "token" }));
    until("it says so", || ready(server) == "False/KeyNotFound").await;
    assert!(
        setting.message().contains("it has password, username"),
        "{}",
        setting.message()
    );
    for look in ["1", "2", "3"] {
        setting.refresh(look);
        until("it was looked at", || looked(&setting) == look).await;
    }
    until("two are left", || leases(&bao).len() == 2).await;
    controller.stop().await;
    Ok(())
}

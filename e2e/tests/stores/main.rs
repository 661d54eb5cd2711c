//! Do credentials follow a real OpenBao, and moto as AWS? The controller runs in this process against an API server in memory; no cluster is needed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../operator/tests/it/api_server.rs"]
#[expect(dead_code, reason = "it has more than is asked here")]
mod api_server;
mod aws;
mod bao;
#[path = "../../../operator/tests/it/cluster.rs"]
#[expect(dead_code, reason = "it has more than is asked here")]
mod cluster;
mod jwt;
mod leases;
mod moto;
mod review;
mod setting;

use anyhow::Result;
use serde_json::json;

use self::{
    bao::Bao,
    cluster::{bundle, bundled_secret, ready, until},
    review::Reviewer,
    setting::{READER, Setting},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_follows_its_place_and_shows_its_version() -> Result<()> {
    let bao = Bao::start()?;
    bao.policy("reader", READER)?;
    bao.run("kv put -mount=secret ai/openai api_key=sk-live-1 other=x")?;
    let setting = Setting::new(&bao.authority);
    setting.store(&bao, "corp", &setting.app_role(&bao)?, &json!({"kv": {}}));
    setting.identity(&json!({"name": "corp", "path": "ai/openai", "key": "api_key"}));
    let controller = setting.controller();
    let server = &setting.server;
    until("it is ready", || ready(server) == "True/Ready").await;
    assert_eq!(bundled_secret(server).as_deref(), Some("sk-live-1"));
    until("the store is", || {
        setting.store_ready("corp") == "True/Ready"
    })
    .await;
    let status =
        server.object("agentidentities", "support-bot")["status"]["credentials"][0].clone();
    assert_eq!(status["name"], "openai");
    let version = status["version"].as_str().unwrap();
    assert!(
        version.starts_with("store/corp/") && version.contains("/1@"),
        "{version}"
    );
    assert!(status["lastRefresh"].is_string());

    bao.run("kv put -mount=secret ai/openai api_key=sk-live-2 other=x")?;
    setting.refresh("1");
    until("the new value is there", || {
        bundled_secret(server).as_deref() == Some("sk-live-2")
    })
    .await;
    until("its version is told", || {
        let status = &server.object("agentidentities", "support-bot")["status"];
        let version = status["credentials"][0]["version"].as_str();
        version.is_some_and(|version| version.contains("/2@"))
    })
    .await;

    // One version of it, and then a member that is not there.
    setting
        .identity(&json!({"name": "corp", "path": "ai/openai", "key": "api_key", "version": "1"}));
    until("the old value is there", || {
        bundled_secret(server).as_deref() == Some("sk-live-1")
    })
    .await;
    setting.identity(&json!({"name": "corp", "path": "ai/openai", "key": "apikey"}));
    until("it says what is there", || {
        ready(server) == "False/KeyNotFound"
    })
    .await;
    assert!(
        setting.message().contains("it has api_key, other"),
        "{}",
        setting.message()
    );
    assert_eq!(bundled_secret(server), None);
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_is_out_at_once_and_what_cannot_be_read_stays() -> Result<()> {
    let bao = Bao::start()?;
    bao.policy("reader", READER)?;
    bao.run("kv put -mount=secret ai/openai api_key=sk-live-1")?;
    let setting = Setting::new(&bao.authority);
    setting.store(&bao, "corp", &setting.token(&bao)?, &json!({"kv": {}}));
    setting.identity(&json!({"name": "corp", "path": "ai/openai", "key": "api_key"}));
    let controller = setting.controller();
    let server = &setting.server;
    until("it is ready", || ready(server) == "True/Ready").await;

    bao.policy(
        "reader",
        "path \"secret/data/nothing\" { capabilities = [\"read\"] }",
    )?;
    setting.refresh("permission");
    until("it says so", || ready(server) == "False/PermissionDenied").await;
    assert_eq!(bundled_secret(server), None);
    bao.policy("reader", READER)?;
    setting.refresh("permission given back");
    until("it is back", || bundled_secret(server).is_some()).await;

    bao.run("kv delete -mount=secret ai/openai")?;
    setting.refresh("deleted");
    until("it says so", || ready(server) == "False/PathNotFound").await;
    assert_eq!(bundled_secret(server), None);
    bao.run("kv put -mount=secret ai/openai api_key=sk-live-2")?;
    setting.refresh("made anew");
    until("it is back", || {
        bundled_secret(server).as_deref() == Some("sk-live-2")
    })
    .await;

    stays_while_sealed(&bao, &setting, "sk-live-2").await?;

    bao.stop();
    setting.refresh("gone");
    until("it says so", || ready(server) == "False/StoreUnreachable").await;
    assert_eq!(bundled_secret(server).as_deref(), Some("sk-live-2"));
    assert_eq!(bundle(server)["minReader"], 4);
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_server_ended_is_made_anew_and_costs_nobody_a_value() -> Result<()> {
    let bao = Bao::start()?;
    bao.policy("reader", READER)?;
    bao.run("kv put -mount=secret ai/openai api_key=sk-live-1")?;
    let setting = Setting::new(&bao.authority);
    setting.store(&bao, "corp", &setting.app_role(&bao)?, &json!({"kv": {}}));
    setting.identity(&json!({"name": "corp", "path": "ai/openai", "key": "api_key"}));
    let controller = setting.controller();
    let server = &setting.server;
    until("it is ready", || ready(server) == "True/Ready").await;

    for number in ["2", "3"] {
        let key = format!("sk-live-{number}");
        bao.run("lease revoke -prefix -sync auth/approle/")?;
        let tokens = bao.run("list -format=json auth/token/accessors")?;
        let tokens: Vec<String> = serde_json::from_str(&tokens)?;
        assert_eq!(tokens.len(), 1, "the administrator's is not the only one");
        bao.run(&format!("kv put -mount=secret ai/openai api_key={key}"))?;
        setting.refresh(number);
        // There is one all the while.
        until("the new value is there", || {
            bundled_secret(server).unwrap() == key
        })
        .await;
        until("it is ready", || ready(server) == "True/Ready").await;
    }
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

/// Seals the store that the identity's credential is in, and opens it again. Fails unless meanwhile both say so and the bundle keeps `value`.
async fn stays_while_sealed(bao: &Bao, setting: &Setting, value: &str) -> Result<()> {
    let server = &setting.server;
    bao.seal()?;
    setting.refresh("sealed");
    until("it says so", || ready(server) == "False/StoreSealed").await;
    assert_eq!(bundled_secret(server).as_deref(), Some(value));
    setting.look_at("corp");
    until("the store says so", || {
        setting.store_ready("corp") == "False/StoreSealed"
    })
    .await;
    bao.unseal()?;
    // The identity hears of it from the store, long before it would look itself.
    setting.look_at("corp");
    until("it is ready again", || ready(server) == "True/Ready").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_opens_each_engine_and_each_mistake_has_its_word() -> Result<()> {
    let bao = Bao::start()?;
    bao.policy("reader", READER)?;
    bao.run("kv put -mount=kv1 ai/openai api_key=sk-live-1")?;
    let setting = Setting::new(&bao.authority);
    let server = &setting.server;
    let token = setting.token(&bao)?;
    let jwt = setting.jwt(&bao)?;
    let kv = |version: u8, mount: &str| json!({"kv": {"version": version, "mountPath": mount}});
    setting.store(
        &bao,
        "app-role",
        &setting.app_role(&bao)?,
        &json!({"kv": {}}),
    );
    setting.store(
        &bao,
        "token",
        &token,
        &json!({"logical": {"mountPath": "kv1"}}),
    );
    setting.store(&bao, "jwt", &jwt, &kv(1, "kv1"));
    bao.run("kv put -mount=secret ai/openai api_key=sk-live-2")?;
    setting.plain_store(&bao, "plain", &token);
    let reviewer = Reviewer::start().await?;
    let kubernetes = setting.kubernetes(&bao, &reviewer)?;
    setting.store(&bao, "kubernetes", &kubernetes, &json!({"kv": {}}));
    let mut elsewhere = kubernetes.clone();
    elsewhere["kubernetes"]["audience"] = json!("https://elsewhere");
    setting.store(&bao, "elsewhere", &elsewhere, &json!({"kv": {}}));

    let mut stranger = jwt.clone();
    stranger["jwt"]["role"] = json!("stranger");
    setting.store(&bao, "stranger", &stranger, &json!({"kv": {}}));
    setting.store(&bao, "version", &token, &kv(2, "kv1"));
    setting.store(&bao, "mount", &token, &kv(2, "elsewhere"));
    let missing = json!({"token": {"secret": {"name": "nobody", "key": "token"}}});
    setting.store(&bao, "missing", &missing, &json!({"kv": {}}));
    setting.store(&bao, "trust", &token, &json!({"kv": {}}));
    server.edit("credentialstores", "trust", |store| {
        store["spec"]["tls"] = json!(null);
    });

    setting.identity(&json!({"name": "jwt", "path": "ai/openai", "key": "api_key"}));
    let controller = setting.controller();
    for (store, expected, words) in [
        ("app-role", "True/Ready", "lets the operator in"),
        ("token", "True/Ready", "lets the operator in"),
        ("jwt", "True/Ready", "lets the operator in"),
        ("plain", "True/Ready", "it answers; "),
        ("kubernetes", "True/Ready", "lets the operator in"),
        (
            "elsewhere",
            "False/StoreLoginFailed",
            "login: auth/kubernetes/login refused role postern",
        ),
        (
            "stranger",
            "False/StoreLoginFailed",
            "login: auth/jwt/login refused role stranger",
        ),
        (
            "version",
            "False/EngineMismatch",
            "at kv1 is version 1 of the KV engine, the store says 2",
        ),
        (
            "mount",
            "False/PermissionDenied",
            "permission: the operator's login may read nothing below elsewhere",
        ),
        (
            "missing",
            "False/StoreLoginFailed",
            "Secret nobody of the operator's namespace agents: it does not exist",
        ),
        (
            "trust",
            "False/StoreTlsFailed",
            "TLS: invalid peer certificate",
        ),
    ] {
        until(store, || setting.store_ready(store) == expected).await;
        let message = setting.store_message(store);
        assert!(message.contains(words), "{store}: {message}");
    }
    for (store, value) in [
        ("jwt", "sk-live-1"),
        ("plain", "sk-live-2"),
        ("token", "sk-live-1"),
    ] {
        setting.identity(&json!({"name": store, "path": "ai/openai", "key": "api_key"}));
        until(store, || {
            ready(server) == "True/Ready" && bundled_secret(server).as_deref() == Some(value)
        })
        .await;
    }
    setting.nothing_leaked("sk-live");
    controller.stop().await;
    Ok(())
}

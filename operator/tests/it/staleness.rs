//! What becomes of a credential whose source cannot be read for long.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    api_server::ApiServer,
    cluster::{Controller, bundle, bundled_secret, cluster, events, pass, ready, secret, until},
};

/// The cluster, with a second credential and this `maxStaleness`.
fn patient_for(max_staleness: &str) -> ApiServer {
    let server = cluster();
    server.put("secrets", secret("crm-key", "sk-crm"));
    server.edit("agentidentities", "support-bot", |identity| {
        let spec = &mut identity["spec"];
        spec["maxStaleness"] = json!(max_staleness);
        let mut crm = spec["credentials"][0].clone();
        crm["name"] = json!("crm");
        crm["source"]["secret"]["name"] = json!("crm-key");
        spec["credentials"].as_array_mut().unwrap().push(crm);
    });
    server
}

#[tokio::test(start_paused = true)]
async fn after_max_staleness_a_credential_is_withheld_and_no_other_until_it_can_be_read() {
    let server = patient_for("1h");
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    assert_eq!(bundle(&server)["minReader"], 5);
    server.fail("GET secrets/agents/openai-key", 503);
    let down = Instant::now();
    pass(58 * 60).await;
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));
    assert_eq!(ready(&server), "False/SourceUnavailable");

    until("it is withheld", || {
        bundle(&server)["stale"] == json!(["openai"])
    })
    .await;
    let minutes = down.elapsed().as_secs() / 60;
    assert!((59..=60).contains(&minutes), "{minutes}");
    assert_eq!(bundled_secret(&server), None);
    assert!(bundle(&server)["secrets"]["crm"].is_object());
    until("the identity says so", || {
        ready(&server) == "False/SecretStale"
    })
    .await;
    let status = server.object("agentidentities", "support-bot")["status"].clone();
    let message = status["credentials"][0]["message"].as_str().unwrap();
    assert!(message.contains("maxStaleness: 1h"), "{message}");
    assert!(events(&server).contains(&"SecretStale".to_owned()));
    let metrics = controller.metrics();
    let stale = r#"postern_secret_stale{identity="agents/support-bot",credential="openai"} 1"#;
    assert!(metrics.contains(stale), "{metrics}");
    let (writes, metrics) = (server.writes().len(), controller.metrics());
    pass(3600).await;
    assert_eq!(server.writes().len(), writes, "a state is written once");
    assert_ne!(controller.metrics(), metrics, "its age goes on");

    server.mend();
    until("it is back", || ready(&server) == "True/Ready").await;
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));
    assert_eq!(bundle(&server).get("stale"), None);
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_starts_again_knows_how_old_a_value_is() {
    let server = patient_for("1h");
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    controller.stop().await;
    server.fail("GET secrets/agents/openai-key", 503);
    // The clock of the wall does not follow the test's.
    let read = Timestamp::now() - SignedDuration::from_mins(50);
    server.edit("agentidentities", "support-bot", |identity| {
        let read = Timestamp::from_second(read.as_second()).unwrap();
        identity["status"]["credentials"][0]["lastRefresh"] = json!(read.to_string());
    });
    let controller = Controller::start(&server, "two");
    let started = Instant::now();
    until("it does not answer", || {
        ready(&server) == "False/SourceUnavailable"
    })
    .await;
    pass(8 * 60).await;
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));
    until("it is withheld", || bundled_secret(&server).is_none()).await;
    let minutes = started.elapsed().as_secs() / 60;
    assert!((9..=10).contains(&minutes), "{minutes}");
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_value_whose_age_nobody_knows_is_stale() {
    let server = patient_for("1h");
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    controller.stop().await;
    server.fail("GET secrets/agents/openai-key", 503);
    server.edit("agentidentities", "support-bot", |identity| {
        identity["status"] = json!({});
    });
    let controller = Controller::start(&server, "two");
    until("it is withheld", || bundled_secret(&server).is_none()).await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_max_staleness_the_last_value_stays() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.fail("GET secrets/agents/openai-key", 503);
    pass(3600).await;
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));
    assert_eq!(bundle(&server)["minReader"], 1);
    controller.stop().await;
}

//! Secrets follow their sources: rotated, withdrawn, given back.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster::{
    Controller, bundle, bundled_secret, cluster, events, pass, ready, secret, until,
};

fn message(server: &crate::api_server::ApiServer) -> String {
    let identity = server.object("agentidentities", "support-bot");
    identity["status"]["conditions"][0]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_is_in_the_bundle_within_the_refresh_interval() {
    let server = cluster();
    server.edit("agentidentities", "support-bot", |identity| {
        identity["spec"]["refreshInterval"] = json!("10s");
    });
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.put("secrets", secret("openai-key", "sk-live-2\n"));
    let started = Instant::now();
    until("the new value is there", || {
        bundled_secret(&server).as_deref() == Some("sk-live-2")
    })
    .await;
    assert!(started.elapsed().as_secs() <= 11, "{:?}", started.elapsed());
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_refresh_annotation_reads_the_sources_at_once() {
    let server = cluster();
    server.edit("agentidentities", "support-bot", |identity| {
        identity["spec"]["refreshInterval"] = json!("1h");
    });
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.put("secrets", secret("openai-key", "sk-live-2"));
    pass(60).await;
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));

    server.edit("agentidentities", "support-bot", |identity| {
        identity["metadata"]["annotations"] = json!({ "postern.dev/refresh": "now" });
    });
    let started = Instant::now();
    until("the new value is there", || {
        bundled_secret(&server).as_deref() == Some("sk-live-2")
    })
    .await;
    assert!(started.elapsed().as_secs() < 1, "{:?}", started.elapsed());
    until("it is acknowledged", || {
        server.object("agentidentities", "support-bot")["status"]["observedRefresh"] == "now"
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn withdrawn_consent_takes_the_secret_out_of_the_bundle() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.edit("secrets", "openai-key", |secret| {
        secret["metadata"]["annotations"] = Value::Null;
    });
    until("it is out", || bundled_secret(&server).is_none()).await;
    until("the identity says so", || {
        ready(&server) == "False/ConsentMissing"
    })
    .await;
    let command = "kubectl annotate --overwrite secret openai-key -n agents postern.dev/allow-identity=support-bot";
    assert!(message(&server).contains(command), "{}", message(&server));
    assert_eq!(bundle(&server)["policies"][0]["name"], "chat");
    pass(120).await;
    let mut told = events(&server);
    told.retain(|reason| reason == "ConsentMissing");
    assert_eq!(told.len(), 1, "a state is told once");

    server.put("secrets", secret("openai-key", "sk-live-1"));
    until("it is back", || {
        bundled_secret(&server).is_some() && ready(&server) == "True/Ready"
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_secret_is_out_and_one_that_comes_late_is_in() {
    let server = cluster();
    server.delete("secrets", "openai-key");
    let controller = Controller::start(&server, "one");
    until("the identity says so", || {
        ready(&server) == "False/SecretNotFound"
    })
    .await;
    // The pods may start; what they call with this credential is denied.
    assert_eq!(bundle(&server)["secrets"], json!({}));
    server.put("secrets", secret("openai-key", "sk-live-1"));
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.delete("secrets", "openai-key");
    until("it is out", || bundled_secret(&server).is_none()).await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_keeps_its_last_value() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    for status in [403, 500] {
        server.fail("GET secrets/agents/openai-key", status);
        until("the identity says so", || {
            ready(&server) == "False/SourceUnavailable"
        })
        .await;
        pass(300).await;
        assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));
        server.mend();
        until("it is ready", || ready(&server) == "True/Ready").await;
    }
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn authorities_come_from_a_config_map() {
    let server = cluster();
    server.edit("agentidentities", "support-bot", |identity| {
        identity["spec"]["credentials"][0]["tls"] =
            json!({ "caBundle": { "configMap": { "name": "ca", "key": "ca.crt" } } });
    });
    let controller = Controller::start(&server, "one");
    until("it is missed", || {
        ready(&server) == "False/ConfigMapNotFound"
    })
    .await;
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));

    let key = rcgen::KeyPair::generate().unwrap();
    let pem = rcgen::CertificateParams::new(vec!["ca".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap()
        .pem();
    server.put(
        "configmaps",
        json!({ "metadata": { "name": "ca" }, "data": { "ca.crt": pem } }),
    );
    until("it is ready", || ready(&server) == "True/Ready").await;
    assert_eq!(bundle(&server)["authorities"]["openai"], pem);
    controller.stop().await;
}

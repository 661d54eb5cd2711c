//! Identities whose secrets come from stores. What a real store answers is asked in `e2e`.

use serde_json::{Value, json};

use crate::{
    api_server::ApiServer,
    cluster::{Controller, bundle, cluster, condition, pass, ready, until},
};

/// A store behind whose address nothing is.
fn store(allowed: &Value) -> Value {
    json!({
        "metadata": { "name": "corp" },
        "spec": {
            "vault": { "address": "https://127.0.0.1:1", "auth": { "kubernetes": { "role": "postern" } } },
            "allowedNamespaces": allowed,
        },
    })
}

/// The cluster, with the credential from the store `corp`.
fn cluster_of_store() -> ApiServer {
    let server = cluster();
    server.put(
        "namespaces",
        json!({ "metadata": { "name": "agents", "labels": { "team": "ai" } } }),
    );
    server.edit("agentidentities", "support-bot", |identity| {
        identity["spec"]["credentials"][0]["source"] =
            json!({ "store": { "name": "corp", "path": "ai/openai", "key": "api_key" } });
    });
    server
}

#[tokio::test(start_paused = true)]
async fn identities_that_need_no_store_do_not_wait_for_any() {
    let server = cluster();
    // As where the definition of stores is not installed.
    server.fail("LIST credentialstores", 404);
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_identity_hears_of_each_change_of_its_store_at_once() {
    let server = cluster_of_store();
    let controller = Controller::start_with(&server, "one", &["--service-account", "postern"]);
    until("there is none", || ready(&server) == "False/StoreNotFound").await;
    // The pods may start; what they call with this credential is denied.
    assert_eq!(bundle(&server)["secrets"], json!({}));
    assert_eq!(bundle(&server)["minReader"], 4);

    server.put("credentialstores", store(&Value::Null));
    until("it is for nobody", || {
        ready(&server) == "False/StoreNotAllowed"
    })
    .await;
    server.put(
        "credentialstores",
        store(&json!({ "matchLabels": { "team": "ai" } })),
    );
    until("it is allowed, and nothing is there", || {
        ready(&server) == "False/StoreUnreachable"
    })
    .await;
    until("the store says so too", || {
        condition(&server, "credentialstores", "corp", "Ready") == "False/StoreUnreachable"
    })
    .await;
    server.delete("credentialstores", "corp");
    until("it is gone", || ready(&server) == "False/StoreNotFound").await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_without_stores_asks_for_none() {
    let server = cluster_of_store();
    server.put("credentialstores", store(&json!({})));
    let controller = Controller::start_with(&server, "one", &["--stores=false"]);
    until("it says so", || ready(&server) == "False/SourceUnsupported").await;
    pass(120).await;
    let requests = server.requests();
    let about = |request: &&String| request.contains("credentialstores");
    assert_eq!(requests.iter().find(about), None);
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_store_has_it_read_at_once_for_those_whom_it_is_about() {
    let server = cluster_of_store();
    server.put("credentialstores", store(&json!({})));
    let controller = Controller::start_with(&server, "one", &["--service-account", "postern"]);
    until("nothing is there", || {
        ready(&server) == "False/StoreUnreachable"
    })
    .await;
    pass(60).await;
    let readings = || {
        let requests = server.requests();
        let is_reading = |request: &&String| *request == "GET secrets/agents/postern-support-bot";
        requests.iter().filter(is_reading).count()
    };
    // As the webhook writes it.
    let tell = |time: &str, paths: Value| {
        server.edit("credentialstores", "corp", |store| {
            store["status"]["refresh"] = json!({ "requestedAt": time, "paths": paths });
        });
    };
    // From right after a reading by itself, so that the next one is seconds away.
    let next = async || {
        let before = readings();
        until("it is read by itself", || readings() > before).await;
        // One that the last news made may follow it.
        loop {
            let found = readings();
            pass(2).await;
            if readings() == found {
                return found;
            }
        }
    };
    let mut before = next().await;
    let mut times = 1..;
    for (paths, is_read) in [
        (json!([]), true),
        (json!(["ai/openai"]), true),
        (json!(["ai/claude"]), false),
    ] {
        // The clock runs on while a socket is waited for, so that a reading by itself may fall into the second; not time after time.
        let mut tries = 4;
        loop {
            let time = times.next().unwrap();
            tell(&format!("2026-11-25T10:00:00.{time:06}Z"), paths.clone());
            pass(1).await;
            let was_read = readings() > before;
            before = next().await;
            tries -= 1;
            if is_read || !was_read || tries == 0 {
                assert_eq!(was_read, is_read, "{paths}");
                break;
            }
        }
    }
    // The controller's own writing leaves it there.
    pass(120).await;
    let status = server.object("credentialstores", "corp")["status"].clone();
    assert_eq!(status["refresh"]["paths"], json!(["ai/claude"]));
    assert_eq!(
        condition(&server, "credentialstores", "corp", "Ready"),
        "False/StoreUnreachable"
    );
    controller.stop().await;
}

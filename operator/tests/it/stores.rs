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

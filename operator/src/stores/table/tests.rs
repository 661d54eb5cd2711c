//! Who may read which store, asked before anything is known of a path.

use kube::runtime::{
    reflector::{self, store::Writer},
    watcher::Event,
};
use postern_crds::yaml;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::stores::fixtures::{Home, Said, Server};

fn object(server: &Server, allowed: &Value) -> StoreObject {
    serde_json::from_value(json!({
        "metadata": { "name": "corp", "uid": "uid-1", "generation": 1 },
        "spec": {
            "vault": { "address": server.url(), "auth": { "token": { "secret": { "name": "vault", "key": "token" } } } },
            "tls": { "caBundle": { "configMap": { "name": "ca", "key": "ca.crt" } } },
            "allowedNamespaces": allowed,
        },
    }))
    .unwrap()
}

async fn server() -> Server {
    let metadata = json!({"version": 1, "created_time": "2026-11-25T08:00:00Z"});
    let body = json!({"data": {"data": {"k": "sk-live"}, "metadata": metadata}});
    Server::start(move |_| Said::from((200, body.clone()))).await
}

fn stores(server: &Server) -> (Stores, Writer<StoreObject>) {
    let home = Home::default()
        .secret("vault", "token", "s.root")
        .config_map("ca", "ca.crt", &server.authority);
    let (known, writer) = reflector::store();
    (
        Stores::new(home.client(), home.own(), metrics(), Some(known)),
        writer,
    )
}

fn metrics() -> Metrics {
    Metrics::register(&mut Registry::default())
}

/// Makes `objects` all that there are.
fn list(writer: &mut Writer<StoreObject>, objects: &[StoreObject]) {
    writer.apply_watcher_event(&Event::Init);
    for object in objects {
        writer.apply_watcher_event(&Event::InitApply(object.clone()));
    }
    writer.apply_watcher_event(&Event::InitDone);
}

async fn resolve(stores: &Stores) -> Sources {
    let spec: AgentIdentitySpec = yaml::from_str(
        "{serviceAccountNames: [bot], credentials: [{name: openai, provider: openai, source: {store: {name: corp, path: ai, key: k}}}]}",
    )
    .unwrap();
    let mut sources = Sources::default();
    let held = Held {
        namespace: "agents",
        identity: "bot",
        bundle: None,
        leases: &[],
    };
    stores.resolve(held, &spec, &mut sources).await;
    sources
}

fn failure(sources: &Sources) -> &Failure {
    sources.secrets["openai"].as_ref().unwrap_err()
}

#[tokio::test]
async fn a_namespace_that_the_store_allows_gets_the_secret_with_its_origin() {
    let server = server().await;
    for allowed in [json!({}), json!({"matchLabels": {"team": "ai"}})] {
        let (stores, mut writer) = stores(&server);
        list(&mut writer, &[object(&server, &allowed)]);
        let sources = resolve(&stores).await;
        let secret = sources.secrets["openai"].as_ref().unwrap();
        assert_eq!(secret.value.expose(), b"sk-live");
        let origin = &sources.origins["openai"];
        assert_eq!(secret.version, format!("{origin}1@2026-11-25T08:00:00Z"));
    }
}

#[tokio::test]
async fn a_namespace_that_it_does_not_allow_is_told_so_and_nobody_looks_at_the_path() {
    let server = server().await;
    for allowed in [Value::Null, json!({"matchLabels": {"team": "finance"}})] {
        let (stores, mut writer) = stores(&server);
        list(&mut writer, &[object(&server, &allowed)]);
        let sources = resolve(&stores).await;
        assert_eq!(failure(&sources).reason(), "StoreNotAllowed");
        assert!(failure(&sources).is_definitive());
    }
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn a_store_that_is_gone_withdraws_and_one_that_is_not_known_yet_does_not() {
    let server = server().await;
    let (stores, mut writer) = stores(&server);
    let sources = resolve(&stores).await;
    assert!(!failure(&sources).is_definitive(), "{}", failure(&sources));
    list(&mut writer, &[]);
    let sources = resolve(&stores).await;
    assert_eq!(failure(&sources).reason(), "StoreNotFound");
    assert!(failure(&sources).is_definitive());
}

#[tokio::test]
async fn a_store_of_another_version_leaves_what_was_there() {
    let server = server().await;
    let (stores, mut writer) = stores(&server);
    let mut newer = object(&server, &json!({}));
    newer.spec = serde_json::from_value(json!({"quantum": {}})).unwrap();
    list(&mut writer, &[newer]);
    let sources = resolve(&stores).await;
    assert_eq!(failure(&sources).reason(), "StoreInvalid");
    assert!(!failure(&sources).is_definitive());
}

#[tokio::test]
async fn an_operator_that_reads_no_stores_says_so() {
    let home = Home::default();
    let stores = Stores::new(home.client(), home.own(), metrics(), None);
    assert_eq!(failure(&resolve(&stores).await), &Failure::StoresOff);
}

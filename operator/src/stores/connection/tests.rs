//! Who shares a reading, and when a store is left alone.

use postern_crds::yaml;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::stores::fixtures::{Home, Said, Server};

fn answer(status: u16) -> Said {
    let metadata = json!({"version": 1, "created_time": "2026-11-25T08:00:00Z"});
    let body = match status {
        200 => json!({"data": {"data": {"k": "sk-live"}, "metadata": metadata}}),
        _ => json!({"errors": ["no"]}),
    };
    Said::from((status, body))
}

fn spec(address: &str) -> CredentialStoreSpec {
    yaml::from_str(&format!(
        "{{vault: {{address: '{address}', auth: {{token: {{secret: {{name: vault, key: token}}}}}}}},
           tls: {{caBundle: {{configMap: {{name: ca, key: ca.crt}}}}}}}}"
    ))
    .unwrap()
}

fn home(authority: &str) -> Home {
    Home::default()
        .secret("vault", "token", "s.root")
        .config_map("ca", "ca.crt", authority)
}

fn connect(server: &Server, home: &Home) -> Arc<Connection> {
    let metrics = Metrics::register(&mut Registry::default());
    Arc::new(
        Connection::new("v".to_owned(), spec(&server.url()), home.own(), metrics)
            .ok()
            .unwrap(),
    )
}

fn place(path: &str) -> StoreRef {
    yaml::from_str(&format!("{{name: v, path: {path}, key: k}}")).unwrap()
}

#[tokio::test]
async fn who_asks_for_the_same_at_the_same_time_shares_one_reading() {
    let server = Server::start(|_| answer(200)).await;
    let connection = connect(&server, &home(&server.authority));
    let places = ["a", "a", "b", "a"].map(place);
    let readings = places.iter().map(|place| connection.read(place));
    let readings = futures::future::join_all(readings).await;
    assert!(readings.iter().all(Result::is_ok));
    let mut lines = server.lines();
    lines.sort();
    assert_eq!(lines, ["GET /v1/secret/data/a", "GET /v1/secret/data/b"]);
    // Nothing is kept for those who come later.
    assert!(connection.read(&place("a")).await.is_ok());
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_thousand_who_want_the_same_cost_the_store_as_much_as_one() {
    let server = Server::start(|_| answer(200)).await;
    let connection = connect(&server, &home(&server.authority));
    let place = place("a");
    let readings = (0..1000).map(|_| connection.read(&place));
    let readings = futures::future::join_all(readings).await;
    assert!(readings.iter().all(Result::is_ok));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_store_that_failed_is_left_alone_and_says_the_same_again() {
    let server = Server::start(|_| answer(500)).await;
    let connection = connect(&server, &home(&server.authority));
    for _ in 0..5 {
        let problem = connection.read(&place("a")).await.err();
        assert_eq!(problem, Some(Problem::Server(500)));
    }
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_store_that_answers_with_a_refusal_is_not_left_alone() {
    let server = Server::start(|_| answer(404)).await;
    let connection = connect(&server, &home(&server.authority));
    for _ in 0..3 {
        let problem = connection.read(&place("a")).await.err();
        assert_eq!(
            problem.map(|problem| problem.reason()),
            Some("PathNotFound")
        );
    }
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn authorities_that_were_replaced_are_taken() {
    let server = Server::start(|asked| {
        if asked.line.contains("/mounts/") {
            Said::from((
                200,
                json!({"data": {"type": "kv", "options": {"version": "2"}}}),
            ))
        } else {
            answer(200)
        }
    })
    .await;
    let other = Server::start(|_| answer(200)).await;
    let home = home(&other.authority);
    let connection = connect(&server, &home);
    let problem = connection.check().await.unwrap_err();
    assert_eq!(problem.reason(), "StoreTlsFailed", "{problem}");
    let _ = home.config_map("ca", "ca.crt", &server.authority);
    assert!(connection.check().await.is_ok());
    assert!(connection.read(&place("a")).await.is_ok());
}

#[tokio::test]
async fn authorities_that_are_missing_or_none_are_told() {
    let server = Server::start(|_| answer(200)).await;
    let empty = Home::default().secret("vault", "token", "s.root");
    let problem = connect(&server, &empty).check().await.unwrap_err();
    assert_eq!(
        problem.to_string(),
        "TLS: the authorities in ConfigMap ca of the operator's namespace postern-system: it does not exist"
    );
    let problem = connect(&server, &home("none")).check().await.unwrap_err();
    assert_eq!(problem.reason(), "StoreTlsFailed");
}

#[test]
fn another_place_is_another_origin_and_another_login_is_not() {
    let origin = |change: fn(&mut Value)| {
        let mut spec = serde_json::to_value(spec("https://v")).unwrap();
        change(&mut spec);
        super::origin("corp", "uid-1", &serde_json::from_value(spec).unwrap())
    };
    let first = origin(|_| {});
    assert!(first.starts_with("store/corp/") && first.ends_with('/'));
    for change in [
        (|spec| spec["vault"]["address"] = json!("https://w")) as fn(&mut Value),
        |spec| spec["vault"]["namespace"] = json!("team-a"),
        |spec| spec["vault"]["engine"] = json!({"kv": {"mountPath": "kv"}}),
    ] {
        assert_ne!(origin(change), first);
    }
    for change in [
        (|spec| spec["vault"]["auth"] = json!({"kubernetes": {"role": "r"}})) as fn(&mut Value),
        |spec| spec["tls"] = Value::Null,
        |spec| spec["allowedNamespaces"] = json!({}),
    ] {
        assert_eq!(origin(change), first);
    }
    assert_ne!(super::origin("corp", "uid-2", &spec("https://v")), first);
}

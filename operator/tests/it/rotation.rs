//! Bundles on their way to the sidecars: who has them, and how that is told. These tests wait for real sockets, so their time is real.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    api_server::ApiServer,
    cluster::{Controller, bundle, cluster, events, pod, ready, secret, until},
};

/// A sidecar that says what it is told to say.
struct Sidecar {
    revision: Arc<Mutex<String>>,
    /// How often it was told that there is a newer bundle.
    nudges: Arc<AtomicUsize>,
}

impl Sidecar {
    /// Starts one, in a pod of `support-bot` called `name`.
    async fn start(server: &ApiServer, name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let revision = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&revision);
        let nudges = Arc::new(AtomicUsize::new(0));
        let nudged = Arc::clone(&nudges);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                if request.starts_with(b"POST /refresh ") {
                    nudged.fetch_add(1, Ordering::SeqCst);
                    let accepted = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
                    let _ = stream.write_all(accepted).await;
                    continue;
                }
                let body = json!({
                    "revision": *told.lock().unwrap(), "format": 1, "credentials": {}, "loadedAt": "2026-11-25T00:00:00Z",
                })
                .to_string();
                let length = body.len();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        let mut pod = pod(name, "old");
        pod["spec"] = json!({
            "containers": [],
            "initContainers": [{ "name": "postern", "ports": [{ "name": "postern-admin", "containerPort": port }] }],
        });
        pod["status"] = json!({
            "phase": "Running",
            "podIP": "127.0.0.1",
            "initContainerStatuses": [{
                "name": "postern", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": { "running": {} },
            }],
        });
        server.put("pods", pod);
        Self { revision, nudges }
    }

    fn nudges(&self) -> usize {
        self.nudges.load(Ordering::SeqCst)
    }

    /// From now on it uses the newest bundle.
    fn loads(&self, server: &ApiServer) {
        *self.revision.lock().unwrap() = status(server)["bundleRevision"]
            .as_str()
            .unwrap()
            .to_owned();
    }
}

fn status(server: &ApiServer) -> Value {
    server.object("agentidentities", "support-bot")["status"].clone()
}

/// `sidecarsOnCurrent / sidecars`, with a `!` once all were on it.
fn progress(server: &ApiServer) -> String {
    let rotation = &status(server)["rotation"];
    let complete = if rotation["completedAt"].is_null() {
        ""
    } else {
        "!"
    };
    format!(
        "{}/{}{complete}",
        rotation["sidecarsOnCurrent"], rotation["sidecars"]
    )
}

fn rotate(server: &ApiServer, value: &str) {
    server.put("secrets", secret("openai-key", value));
    server.edit("agentidentities", "support-bot", |identity| {
        identity["metadata"]["annotations"] = json!({ "postern.dev/refresh": "now" });
    });
}

fn told(server: &ApiServer, reason: &str) -> usize {
    events(server).iter().filter(|told| *told == reason).count()
}

#[tokio::test]
async fn a_rotation_is_followed_to_the_last_sidecar() {
    let server = cluster();
    let [one, two] = [
        Sidecar::start(&server, "one").await,
        Sidecar::start(&server, "two").await,
    ];
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    one.loads(&server);
    two.loads(&server);
    until("both have the first bundle", || progress(&server) == "2/2!").await;
    assert_eq!(
        told(&server, "RotationStarted"),
        0,
        "the first is no rotation"
    );

    let before = status(&server)["bundleRevision"].clone();
    rotate(&server, "sk-live-2");
    until("it is on its way", || {
        progress(&server) == "0/2" && told(&server, "RotationStarted") == 1
    })
    .await;
    let rotation = status(&server)["rotation"].clone();
    assert_eq!(rotation["credentials"], json!(["openai"]));
    assert_ne!(rotation["currentVersion"], before);
    let pending = r#"postern_rotation_pending_seconds{identity="agents/support-bot"}"#;
    assert!(controller.metrics().contains(pending));
    one.loads(&server);
    until("one has it", || progress(&server) == "1/2").await;
    two.loads(&server);
    until("both have it", || progress(&server) == "2/2!").await;
    until("it is told", || told(&server, "RotationComplete") == 1).await;
    let metrics = controller.metrics();
    assert!(
        metrics.contains("postern_rotation_seconds_count 1"),
        "{metrics}"
    );
    assert!(!metrics.contains(pending), "{metrics}");
    for text in [
        metrics,
        status(&server).to_string(),
        json!(server.objects("events")).to_string(),
    ] {
        assert!(!text.contains("sk-live"), "{text}");
    }
    let rotated = status(&server)["credentials"][0]["rotatedAt"].clone();
    assert!(rotated.as_str().unwrap().parse::<Timestamp>().is_ok());
    controller.stop().await;
}

#[tokio::test]
async fn another_leader_goes_on_with_a_rotation() {
    let server = cluster();
    let sidecar = Sidecar::start(&server, "one").await;
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    sidecar.loads(&server);
    until("it has the first bundle", || progress(&server) == "1/1!").await;
    rotate(&server, "sk-live-2");
    until("it is on its way", || progress(&server) == "0/1").await;
    let started = status(&server)["rotation"]["startedAt"].clone();
    controller.stop().await;

    let controller = Controller::start(&server, "two");
    until("the other leads", || controller.leads()).await;
    sidecar.loads(&server);
    until("it is complete", || progress(&server) == "1/1!").await;
    until("it is told", || told(&server, "RotationComplete") == 1).await;
    assert_eq!(status(&server)["rotation"]["startedAt"], started);
    assert_eq!(told(&server, "RotationStarted"), 1);
    controller.stop().await;
}

#[tokio::test]
async fn pods_that_come_and_go_are_counted_without_a_rotation() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("nobody is behind", || progress(&server) == "0/0!").await;
    let completed = status(&server)["rotation"]["completedAt"].clone();
    let sidecar = Sidecar::start(&server, "one").await;
    until("it is behind", || progress(&server) == "0/1!").await;
    sidecar.loads(&server);
    until("it is on it", || progress(&server) == "1/1!").await;
    server.delete("pods", "one");
    until("it is gone", || progress(&server) == "0/0!").await;
    assert_eq!(status(&server)["rotation"]["completedAt"], completed);
    assert!(
        !events(&server)
            .iter()
            .any(|told| told.starts_with("Rotation"))
    );
    controller.stop().await;
}

#[tokio::test]
async fn sidecars_of_a_nudged_identity_are_told_of_a_new_bundle_until_they_have_it_and_others_are_not()
 {
    let server = cluster();
    let [one, two] = [
        Sidecar::start(&server, "one").await,
        Sidecar::start(&server, "two").await,
    ];
    let flags = [
        "--bundle-service=postern-controller",
        "--bundle-listen=127.0.0.1:0",
    ];
    let controller = Controller::start_with(&server, "one", &flags);
    until("it is ready", || ready(&server) == "True/Ready").await;
    one.loads(&server);
    two.loads(&server);
    until("both have the first bundle", || progress(&server) == "2/2!").await;
    rotate(&server, "sk-live-2");
    until("it is on its way", || progress(&server) == "0/2").await;
    assert_eq!((one.nudges(), two.nudges()), (0, 0), "nobody asked for it");
    assert!(bundle(&server)["fetch"].is_null());

    server.edit("agentidentities", "support-bot", |identity| {
        identity["spec"]["delivery"] = json!({ "nudge": true });
    });
    until("both are told", || one.nudges() > 0 && two.nudges() > 0).await;
    let fetch = bundle(&server)["fetch"].clone();
    assert_eq!(fetch["address"], "https://postern-controller.agents.svc");
    let authority = server.object("secrets", "postern-controller-ca")["data"]["ca.crt"].clone();
    let authority = BASE64_STANDARD.decode(authority.as_str().unwrap()).unwrap();
    assert_eq!(fetch["authorities"].as_str().unwrap().as_bytes(), authority);
    one.loads(&server);
    until("one has it", || progress(&server) == "1/2").await;
    let (before, behind) = (one.nudges(), two.nudges());
    until("the other is told again", || two.nudges() > behind).await;
    assert_eq!(one.nudges(), before, "it has what there is");
    two.loads(&server);
    until("both have it", || progress(&server) == "2/2!").await;

    // A rotation tells all at once, before any of them is asked.
    let (of_one, of_two) = (one.nudges(), two.nudges());
    rotate(&server, "sk-live-3");
    until("both are told", || {
        one.nudges() > of_one && two.nudges() > of_two
    })
    .await;
    let serial = |fetch: &Value| fetch["serial"].as_u64().unwrap();
    let newer = bundle(&server)["fetch"].clone();
    assert!(serial(&newer) > serial(&fetch));
    assert_eq!(newer["ticket"], fetch["ticket"]);
    let metrics = controller.metrics();
    let accepted = "postern_operator_nudges_total{outcome=\"accepted\"}";
    assert!(metrics.contains(accepted), "{metrics}");
    let ticket = fetch["ticket"].as_str().unwrap();
    for text in [metrics, status(&server).to_string()] {
        assert!(!text.contains(ticket), "{text}");
    }
    controller.stop().await;
}

//! The endpoint with an API server that answers as it is told: who gets a bundle, and who does not.

use std::sync::Mutex;

use axum::http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use kube::client::Body as KubeBody;
use postern_crds::Secret;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::controller::fixtures;

const TICKET: &str = "ticket-of-support-bot";

/// What the API server knows.
struct Cluster {
    review: Value,
    pod: Value,
    secret: Value,
    /// Requests that fail.
    broken: &'static str,
    asked: Mutex<Vec<String>>,
}

fn cluster() -> Cluster {
    let mut bundle = fixtures::bundle();
    bundle.spec = serde_json::from_value(json!({
        "serviceAccountNames": ["bot"],
        "credentials": [fixtures::credential("openai")],
        "delivery": { "nudge": true },
    }))
    .unwrap();
    bundle.fetch = Some(postern_crds::bundle::Fetch {
        serial: 7,
        address: "https://postern-controller.postern.svc".into(),
        authorities: "PEM".into(),
        ticket: Secret::new(TICKET.into()),
    });
    Cluster {
        review: json!({
            "authenticated": true,
            "audiences": ["postern"],
            "user": {
                "username": "system:serviceaccount:agents:bot",
                "extra": {
                    "authentication.kubernetes.io/pod-name": ["bot-1"],
                    "authentication.kubernetes.io/pod-uid": ["uid-bot-1"],
                },
            },
        }),
        pod: json!({
            "metadata": { "name": "bot-1", "namespace": "agents", "uid": "uid-bot-1", "labels": { "postern.dev/identity": "support-bot" } },
            "spec": {
                "serviceAccountName": "bot",
                "containers": [],
                "initContainers": [{ "name": "postern", "volumeMounts": [{ "name": "postern-bundle", "mountPath": "/b" }] }],
                "volumes": [{ "name": "postern-bundle", "secret": { "secretName": "postern-support-bot" } }],
            },
        }),
        secret: serde_json::to_value(fixtures::written_object(&bundle)).unwrap(),
        broken: "nothing",
        asked: Mutex::default(),
    }
}

impl Cluster {
    fn answer(&self, path: &str, query: &str) -> Value {
        self.asked.lock().unwrap().push(format!("{path}?{query}"));
        match path {
            _ if path.contains(self.broken) => Value::Null,
            "/apis/authentication.k8s.io/v1/tokenreviews" => {
                json!({ "metadata": {}, "spec": {}, "status": self.review })
            }
            "/api/v1/namespaces/agents/pods" => {
                assert!(query.contains("metadata.name"), "{query}");
                let items: Vec<&Value> = Some(&self.pod)
                    .into_iter()
                    .filter(|pod| !pod.is_null())
                    .collect();
                json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items })
            }
            "/api/v1/namespaces/agents/secrets/postern-support-bot" => self.secret.clone(),
            other => panic!("nobody should ask for {other}"),
        }
    }

    fn change_bundle(&mut self, change: impl FnOnce(&mut Bundle)) {
        let object: SecretObject = serde_json::from_value(self.secret.clone()).unwrap();
        let (_, mut bundle) = read(object).unwrap();
        change(&mut bundle);
        self.secret = serde_json::to_value(fixtures::written_object(&bundle)).unwrap();
    }

    /// What a sidecar that shows these gets: the status, and the body.
    async fn ask(self, token: &str, ticket: &str) -> (u16, Vec<u8>, Vec<String>) {
        let cluster = Arc::new(self);
        let api = Arc::clone(&cluster);
        let service = tower::service_fn(move |request: Request<KubeBody>| {
            let uri = request.uri();
            let answer = api.answer(uri.path(), uri.query().unwrap_or_default());
            let status = if answer.is_null() { 500 } else { 200 };
            let response = Response::builder()
                .status(status)
                .body(Full::new(Bytes::from(answer.to_string())));
            std::future::ready(response)
        });
        let router = router(
            Client::new(service, "default"),
            Metrics::register(&mut prometheus_client::registry::Registry::default()),
        );
        let request = Request::builder()
            .method(Method::GET)
            .uri(FETCH_PATH)
            .header("authorization", token)
            .header(TICKET_HEADER, ticket)
            .body(Body::empty())
            .unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let asked = cluster.asked.lock().unwrap().clone();
        (status, body.to_vec(), asked)
    }

    /// It is refused, in words that are the same for every reason.
    async fn refuses(self, reason: &str) {
        let (status, body, _) = self.ask("Bearer token", TICKET).await;
        assert_eq!((status, &*body), (403, &b""[..]), "{reason}");
    }
}

#[tokio::test]
async fn a_sidecar_that_shows_its_pods_token_and_the_ticket_gets_its_bundle_as_it_is_mounted() {
    let cluster = cluster();
    let object: SecretObject = serde_json::from_value(cluster.secret.clone()).unwrap();
    let (mounted, _) = read(object).unwrap();
    let (status, body, _) = cluster.ask("Bearer token", TICKET).await;
    assert_eq!(status, 200);
    assert_eq!(body, *mounted);
}

#[tokio::test]
async fn without_a_token_or_with_something_huge_nobody_asks_the_api_server() {
    for token in [
        "",
        "token",
        "Basic token",
        "Bearer ",
        &format!("Bearer {}", "x".repeat(MAX_TOKEN + 1)),
    ] {
        let (status, _, asked) = cluster().ask(token, TICKET).await;
        assert_eq!((status, asked.len()), (403, 0), "{token:.20}");
    }
}

#[tokio::test]
async fn whoever_lacks_the_ticket_gets_nothing() {
    for ticket in [
        "",
        "ticket",
        "ticket-of-support-bot2",
        "ticket-of-support-boT",
    ] {
        let (status, body, _) = cluster().ask("Bearer token", ticket).await;
        assert_eq!((status, &*body), (403, &b""[..]), "{ticket}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_leads_to_no_pod() {
    let changes: [fn(&mut Value); 4] = [
        |review| review["authenticated"] = json!(false),
        |review| review["audiences"] = json!(["vault"]),
        |review| review["audiences"] = Value::Null,
        |review| review["user"]["extra"] = Value::Null,
    ];
    for change in changes {
        let mut cluster = cluster();
        change(&mut cluster.review);
        let (status, _, asked) = cluster.ask("Bearer token", TICKET).await;
        assert_eq!((status, asked.len()), (403, 1), "{asked:?}");
    }
}

#[tokio::test]
async fn a_pod_gets_no_bundle_that_it_does_not_mount() {
    let mut gone = cluster();
    gone.pod = Value::Null;
    gone.refuses("it is deleted").await;
    let mut another = cluster();
    another.pod["metadata"]["uid"] = json!("uid-bot-2");
    another.refuses("another pod has its name now").await;
    let mut relabelled = cluster();
    relabelled.pod["metadata"]["labels"]["postern.dev/identity"] = json!("admin");
    relabelled
        .refuses("it mounts another bundle than its label says")
        .await;
    let mut unmounted = cluster();
    unmounted.pod["spec"]["volumes"] = json!([]);
    unmounted.refuses("it mounts none").await;
}

#[tokio::test]
async fn a_secret_that_is_no_bundle_for_the_pod_is_not_given_away() {
    let mut foreign = cluster();
    foreign.secret["type"] = json!("Opaque");
    foreign.refuses("a Secret of somebody else").await;
    let mut account = cluster();
    account.change_bundle(|bundle| bundle.spec.service_account_names = vec!["other".into()]);
    account
        .refuses("the identity is for other service accounts")
        .await;
    let mut namespace = cluster();
    namespace.change_bundle(|bundle| bundle.namespace = "other".into());
    namespace.refuses("the bundle of another namespace").await;
    let mut unasked = cluster();
    unasked.change_bundle(|bundle| bundle.spec.delivery = None);
    unasked.refuses("the identity does not ask for it").await;
    let mut plain = cluster();
    plain.change_bundle(|bundle| bundle.fetch = None);
    plain.refuses("the bundle has no ticket").await;
}

#[tokio::test]
async fn what_cannot_be_found_out_is_told_apart_from_what_is_denied() {
    for broken in ["tokenreviews", "pods", "secrets"] {
        let mut cluster = cluster();
        cluster.broken = broken;
        let (status, body, _) = cluster.ask("Bearer token", TICKET).await;
        assert_eq!((status, &*body), (503, &b""[..]), "{broken}");
    }
}

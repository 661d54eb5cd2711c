//! Decisions about pods whose identity comes late, or never.

use postern_crds::AgentIdentity;
use serde_json::json;

use super::*;
use crate::{
    config::{Cli, Role},
    webhook::review::Review,
};

/// An identity of namespace `agents`.
pub(in crate::webhook) fn identity() -> AgentIdentity {
    serde_json::from_value(json!({
        "metadata": {"name": "support-bot", "namespace": "agents"},
        "spec": {
            "serviceAccountNames": ["default"],
            "credentials": [{
                "name": "openai",
                "provider": "openai",
                "source": {"secret": {"name": "openai-key", "key": "api-key"}},
            }],
        },
    }))
    .unwrap()
}

/// Any template.
pub(in crate::webhook) fn template() -> Arc<SidecarTemplate> {
    use clap::Parser as _;

    let line = "postern-operator webhook --namespace postern --pod-name w --webhook-configuration postern \
        --webhook-service postern-webhook --sidecar-image registry.example.com/postern:1";
    match Cli::parse_from(line.split(' ').filter(|word| !word.is_empty())) {
        Cli::Run(Role::Webhook(args)) => Arc::new(SidecarTemplate::new(args.sidecar).unwrap()),
        other => unreachable!("the line says webhook: {other:?}"),
    }
}

/// The question about a pod with these annotations.
pub(in crate::webhook) fn request(annotations: &Value) -> Request {
    let review: Review = serde_json::from_value(json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": "agents",
            "object": {
                "metadata": {"generateName": "agent-", "annotations": annotations},
                "spec": {"containers": [{"name": "agent"}]},
            },
        },
    }))
    .unwrap();
    review.request
}

const PATIENCE: Duration = Duration::from_secs(3);

fn asking() -> Request {
    request(&json!({"postern.dev/identity": "support-bot"}))
}

fn admission(cluster: Cluster) -> Admission {
    Admission::new(cluster, template(), Metrics::default())
}

#[tokio::test(start_paused = true)]
async fn pod_that_came_before_its_identity_waits_a_moment_for_it() {
    let (cluster, mut add) = Cluster::of(None, []);
    let admission = Arc::new(admission(cluster));
    let deciding = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move { admission.decide(&asking(), PATIENCE).await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!deciding.is_finished());
    add(identity());
    let outcome = deciding.await.unwrap().unwrap();
    let patch = serde_json::to_string(&outcome.patch).unwrap();
    assert!(patch.contains("OPENAI_BASE_URL"), "{patch}");
}

#[tokio::test(start_paused = true)]
async fn pod_whose_identity_does_not_come_is_admitted_with_a_warning() {
    let (cluster, _add) = Cluster::of(None, []);
    let started = tokio::time::Instant::now();
    let outcome = admission(cluster)
        .decide(&asking(), PATIENCE)
        .await
        .unwrap();
    assert!(outcome.warnings[0].contains("does not exist in agents yet"));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "the API server waits no longer"
    );
}

#[tokio::test(start_paused = true)]
async fn pod_that_asks_for_nothing_waits_for_nothing() {
    let (cluster, _add) = Cluster::of(Some("elsewhere"), []);
    let outcome = admission(cluster)
        .decide(&request(&json!({})), PATIENCE)
        .await
        .unwrap();
    assert!(outcome.patch.is_empty());
    assert_eq!(outcome.identity, None);
}

#[tokio::test]
async fn pod_in_a_namespace_that_is_not_watched_is_denied() {
    let (cluster, _add) = Cluster::of(Some("elsewhere"), [identity()]);
    let error = admission(cluster)
        .decide(&asking(), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(
        (error.status(), error.reason()),
        (403, "unwatched_namespace")
    );
}

#[tokio::test]
async fn webhook_that_has_not_seen_the_cluster_denies() {
    let error = admission(Cluster::unsynced())
        .decide(&asking(), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.outcome()), (503, "failed"));
}

#[tokio::test]
async fn denial_is_answered_with_its_words() {
    let (cluster, _add) = Cluster::of(None, [identity()]);
    let request =
        request(&json!({"postern.dev/identity": "support-bot", "postern.dev/skip": "true"}));
    let answer = serde_json::to_value(admission(cluster).answer(&request, PATIENCE).await).unwrap();
    insta::assert_json_snapshot!(answer["response"], @r#"
    {
      "allowed": false,
      "status": {
        "code": 403,
        "message": "annotation postern.dev/skip does not exist: there are postern.dev/identity, postern.dev/log-level, postern.dev/cpu, postern.dev/memory, postern.dev/template"
      },
      "uid": "705ab4f5-6393-11e8-b7cc-42010a800002"
    }
    "#);
}

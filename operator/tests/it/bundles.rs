//! Identities become bundles, and nothing is written for nothing.

use serde_json::json;

use crate::cluster::{
    Controller, bundle, bundled_policies, bundled_secret, cluster, events, identity, pass, pod,
    policy, policy_ready, ready, secret, until,
};

#[tokio::test(start_paused = true)]
async fn an_identity_with_a_consenting_secret_becomes_an_owned_bundle() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("the policy is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;

    assert_eq!(ready(&server), "True/Ready");
    assert_eq!(bundled_secret(&server).as_deref(), Some("sk-live-1"));
    assert_eq!(bundled_policies(&server), ["chat@1"]);
    let object = server.object("secrets", "postern-support-bot");
    let identity = server.object("agentidentities", "support-bot");
    assert_eq!(object["type"], "postern.dev/bundle");
    assert_eq!(
        object["metadata"]["labels"]["postern.dev/identity"],
        "support-bot"
    );
    let owner = &object["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], identity["metadata"]["uid"]);
    assert_eq!(
        (&owner["controller"], &owner["kind"]),
        (&json!(true), &json!("AgentIdentity"))
    );
    assert_eq!(identity["status"]["observedGeneration"], 1);
    assert_eq!(events(&server), ["BundleWritten", "Programmed"]);
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_when_nothing_has_changed() {
    let server = cluster();
    server.put("secrets", secret("unread", "x"));
    server.put("agentidentities", identity("broken", "missing"));
    let controller = Controller::start(&server, "one");
    pass(10).await;
    let (writes, reads) = (server.writes(), server.requests().len());
    pass(300).await;
    assert_eq!(server.writes(), writes);
    assert!(
        server.requests().len() > reads,
        "the sources are read again"
    );
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn secrets_are_read_by_name_and_never_listed_or_watched() {
    let server = cluster();
    server.put("secrets", secret("unrelated", "x"));
    let controller = Controller::start(&server, "one");
    pass(120).await;
    for request in server.requests() {
        let lists = request.starts_with("LIST secrets") || request.starts_with("WATCH secrets");
        assert!(!lists && !request.contains("unrelated"), "{request}");
    }
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_any_status_event_or_metric() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    server.put("secrets", secret("openai-key", "sk-live-2\nsk-live-3"));
    until("the second value is refused", || {
        ready(&server) == "False/ValueMalformed"
    })
    .await;
    pass(10).await;
    for resource in ["agentidentities", "egresspolicies", "events", "leases"] {
        for object in server.objects(resource) {
            assert!(!object.to_string().contains("sk-live"), "{object}");
        }
    }
    assert!(!controller.metrics().contains("sk-live"));
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_was_edited_by_hand_is_put_right() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    let right = bundle(&server);
    server.edit("secrets", "postern-support-bot", |object| {
        object["data"]["bundle.json"] = json!("e30=");
    });
    until("it is right again", || bundle(&server) == right).await;
    server.delete("secrets", "postern-support-bot");
    until("it is there again", || bundle(&server) == right).await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_never_taken_over() {
    let server = cluster();
    server.put(
        "secrets",
        json!({ "metadata": { "name": "postern-support-bot" }, "data": { "mine": "eA==" } }),
    );
    let before = server.object("secrets", "postern-support-bot");
    let controller = Controller::start(&server, "one");
    until("the identity says so", || {
        ready(&server) == "False/SecretNotOurs"
    })
    .await;
    pass(120).await;
    assert_eq!(server.object("secrets", "postern-support-bot"), before);
    assert_eq!(events(&server), ["SecretNotOurs"]);

    server.delete("secrets", "postern-support-bot");
    until("it is ready once the other is gone", || {
        ready(&server) == "True/Ready"
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_does_not_stop_the_others() {
    let server = cluster();
    let mut future = identity("future", "openai-key");
    future["spec"]["fromTheFuture"] = json!(true);
    server.put("agentidentities", future);
    let controller = Controller::start(&server, "one");
    until("the other is ready", || ready(&server) == "True/Ready").await;
    until("the unreadable one says so", || {
        server.object("agentidentities", "future")["status"]["conditions"][0]["reason"]
            == "SpecInvalid"
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pods_are_counted_and_old_ones_are_outdated() {
    let server = cluster();
    server.put("pods", pod("one", "old"));
    let controller = Controller::start(&server, "one");
    let counts = || {
        let status = server.object("agentidentities", "support-bot")["status"].clone();
        (status["boundPods"].clone(), status["outdatedPods"].clone())
    };
    until("one is counted", || counts() == (json!(1), json!(1))).await;
    server.put("pods", pod("two", "old"));
    until("two are counted", || counts() == (json!(2), json!(2))).await;
    server.delete("pods", "one");
    until("one has gone", || counts() == (json!(1), json!(1))).await;
    assert_eq!(ready(&server), "True/Ready");
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_is_being_deleted_is_left_alone() {
    let server = cluster();
    server.edit("agentidentities", "support-bot", |identity| {
        identity["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z");
    });
    let controller = Controller::start(&server, "one");
    pass(60).await;
    assert_eq!(bundle(&server), json!(null));
    assert_eq!(ready(&server), "");
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_identity_made_anew_gets_a_bundle_of_its_own() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is ready", || ready(&server) == "True/Ready").await;
    // The garbage collector has not come yet.
    server.delete("agentidentities", "support-bot");
    server.put("agentidentities", identity("support-bot", "openai-key"));
    until("the old bundle is in the way", || {
        ready(&server) == "False/SecretNotOurs"
    })
    .await;
    server.delete("secrets", "postern-support-bot");
    until("it is ready", || ready(&server) == "True/Ready").await;
    let uid = server.object("agentidentities", "support-bot")["metadata"]["uid"].clone();
    assert_eq!(
        server.object("secrets", "postern-support-bot")["metadata"]["ownerReferences"][0]["uid"],
        uid
    );
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_namespaces_is_all_that_is_watched() {
    let server = cluster();
    let mut other = identity("support-bot", "openai-key");
    other["metadata"]["namespace"] = json!("elsewhere");
    server.put("agentidentities", other);
    let controller = Controller::start_with(&server, "one", &["--watch-namespace", "agents,more"]);
    until("it is ready", || ready(&server) == "True/Ready").await;
    pass(60).await;
    let of_the_cluster = |request: &String| request.contains(" credentialstores/*");
    for request in server.requests() {
        if of_the_cluster(&request) {
            continue;
        }
        let elsewhere = request.contains("/elsewhere") || request.ends_with("/*");
        assert!(!elsewhere, "{request}");
    }
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_is_told_and_tried_again() {
    let server = cluster();
    server.fail("PATCH secrets/agents/postern-support-bot", 403);
    let controller = Controller::start(&server, "one");
    until("the identity says so", || {
        ready(&server) == "False/BundleNotWritten"
    })
    .await;
    assert!(
        controller
            .metrics()
            .contains(r#"reconciles_total{kind="AgentIdentity",result="BundleNotWritten"}"#)
    );
    server.mend();
    until("it is ready", || ready(&server) == "True/Ready").await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn identities_are_counted_by_readiness() {
    let server = cluster();
    server.put("agentidentities", identity("broken", "missing"));
    let controller = Controller::start(&server, "one");
    until("both are known", || {
        let metrics = controller.metrics();
        metrics.contains(r#"postern_operator_identities{ready="true"} 1"#)
            && metrics.contains(r#"postern_operator_identities{ready="false"} 1"#)
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_alone_is_told_that_its_target_is_missing() {
    let server = crate::api_server::ApiServer::default();
    server.put(
        "egresspolicies",
        policy("chat", "Allow", "/v1/chat/completions"),
    );
    let controller = Controller::start(&server, "one");
    until("the policy says so", || {
        policy_ready(&server, "chat") == "False/TargetNotFound"
    })
    .await;
    server.put("secrets", secret("openai-key", "sk-live-1"));
    server.put("agentidentities", identity("support-bot", "openai-key"));
    until("it is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;
    assert_eq!(
        events(&server),
        ["BundleWritten", "Programmed", "TargetNotFound"]
    );
    controller.stop().await;
}

//! Policies come into force, and mistakes in them weaken nothing.

use serde_json::json;
use tokio::time::Instant;

use crate::cluster::{
    Controller, bundled_policies, cluster, condition, events, identity, pass, policy, policy_ready,
    ready, until,
};

#[tokio::test(start_paused = true)]
async fn an_edited_policy_is_in_force_at_once() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;
    server.put("egresspolicies", policy("chat", "Deny", "/v1/files"));
    server.put("egresspolicies", policy("second", "Allow", "/v1/models"));
    let started = Instant::now();
    until("both are in force", || {
        policy_ready(&server, "second") == "True/Programmed"
            && bundled_policies(&server) == ["chat@2", "second@1"]
    })
    .await;
    assert!(started.elapsed().as_secs() < 1, "{:?}", started.elapsed());
    until("the status follows", || {
        server.object("egresspolicies", "chat")["status"]["observedGeneration"] == 2
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_or_moved_policy_is_out_of_force_at_once() {
    let server = cluster();
    server.put("egresspolicies", policy("second", "Allow", "/v1/models"));
    let controller = Controller::start(&server, "one");
    until("both are in force", || {
        bundled_policies(&server) == ["chat@1", "second@1"]
    })
    .await;
    let started = Instant::now();
    server.delete("egresspolicies", "chat");
    until("one is left", || bundled_policies(&server) == ["second@1"]).await;
    server.edit("egresspolicies", "second", |policy| {
        policy["spec"]["targetRefs"][0]["name"] = json!("other-bot");
    });
    until("none is left", || bundled_policies(&server).is_empty()).await;
    assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    until("the identity says so", || {
        ready(&server) == "True/NoPolicies"
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_edit_leaves_the_last_good_one_in_force() {
    let server = cluster();
    let controller = Controller::start(&server, "one");
    until("it is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;
    server.put("egresspolicies", policy("chat", "Allow", "everything"));
    until("the policy says so", || {
        policy_ready(&server, "chat") == "False/Invalid"
    })
    .await;
    until("the identity says so", || {
        ready(&server) == "False/PolicyInvalid"
    })
    .await;
    assert_eq!(
        condition(
            &server,
            "agentidentities",
            "support-bot",
            "PoliciesAccepted"
        ),
        "False/PolicyInvalid"
    );
    assert_eq!(bundled_policies(&server), ["chat@1"]);
    pass(120).await;
    assert_eq!(bundled_policies(&server), ["chat@1"]);
    assert_eq!(
        events(&server),
        ["BundleWritten", "Invalid", "PolicyInvalid", "Programmed"]
    );

    server.put("egresspolicies", policy("chat", "Allow", "/v1/models"));
    until("the mended one is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;
    assert_eq!(bundled_policies(&server), ["chat@3"]);
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_invalid_policy_does_not_let_others_through() {
    let server = cluster();
    server.put("egresspolicies", policy("broken", "Deny", "no-slash"));
    let controller = Controller::start(&server, "one");
    until("the identity says so", || {
        ready(&server) == "False/PolicyInvalid"
    })
    .await;
    assert_eq!(
        bundled_policies(&server),
        [""; 0],
        "a denial that nobody can read may be meant for any call"
    );
    assert_eq!(policy_ready(&server, "chat"), "False/Pending");
    server.delete("egresspolicies", "broken");
    until("the other is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_target_has_a_status_of_its_own() {
    let server = cluster();
    server.edit("egresspolicies", "chat", |policy| {
        policy["spec"]["targetRefs"] = json!([
            { "kind": "AgentIdentity", "name": "support-bot" },
            { "kind": "AgentIdentity", "name": "later-bot" },
        ]);
    });
    let controller = Controller::start(&server, "one");
    let targets = || {
        let targets = server.object("egresspolicies", "chat")["status"]["targets"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let shown = |target: &serde_json::Value| {
            let conditions = target["conditions"].as_array().unwrap();
            let reasons: Vec<&str> = conditions
                .iter()
                .map(|condition| condition["reason"].as_str().unwrap())
                .collect();
            format!("{} {}", target["name"].as_str().unwrap(), reasons.join(" "))
        };
        targets.iter().map(shown).collect::<Vec<_>>()
    };
    until("one is in force and one is missing", || {
        targets()
            == [
                "support-bot Accepted Programmed",
                "later-bot TargetNotFound TargetNotFound",
            ]
    })
    .await;
    server.put("agentidentities", identity("later-bot", "openai-key"));
    until("both are in force", || {
        targets()
            == [
                "support-bot Accepted Programmed",
                "later-bot Accepted Programmed",
            ]
    })
    .await;
    assert_eq!(policy_ready(&server, "chat"), "True/Programmed");
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_bundle_is_written_before_the_policies_are_known() {
    let server = cluster();
    server.fail("LIST egresspolicies", 500);
    let controller = Controller::start(&server, "one");
    pass(60).await;
    assert_eq!(server.writes(), [""; 0]);
    server.mend();
    until("it is in force", || {
        policy_ready(&server, "chat") == "True/Programmed"
    })
    .await;
    controller.stop().await;
}

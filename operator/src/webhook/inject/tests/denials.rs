//! Every way to be refused, and beside some the nearest pod that is not.

use serde_json::{Value, json};

use super::*;

/// The reasons why `pod` with `changes` is refused.
fn refused(changes: &Value) -> Vec<Reason> {
    let denial = admit(&pod_with(changes)).expect_err("the pod is refused");
    denial
        .problems
        .iter()
        .map(|problem| problem.reason)
        .collect()
}

fn message(changes: &Value) -> String {
    admit(&pod_with(changes))
        .expect_err("the pod is refused")
        .to_string()
}

fn annotated(name: &str, value: &Value) -> Value {
    json!({"metadata": {"annotations": {name: value}}})
}

fn container(fields: &Value) -> Value {
    let mut container = json!({"name": "agent", "image": "registry.example.com/agent:7"});
    json_patch::merge(&mut container, fields);
    json!({"spec": {"containers": [container]}})
}

#[test]
fn pod_on_the_nodes_network_is_refused() {
    assert_eq!(
        refused(&json!({"spec": {"hostNetwork": true}})),
        [Reason::HostNetwork]
    );
    assert!(admit(&pod_with(&json!({"spec": {"hostNetwork": false}}))).is_ok());
}

#[test]
fn pod_that_sees_other_processes_is_refused() {
    assert_eq!(
        refused(&json!({"spec": {"hostPID": true}})),
        [Reason::HostPid]
    );
    assert_eq!(
        refused(&json!({"spec": {"shareProcessNamespace": true}})),
        [Reason::SharedProcesses]
    );
}

#[test]
fn pod_or_container_with_our_user_is_refused() {
    let ours = json!({"securityContext": {"runAsUser": 14000}});
    assert_eq!(refused(&json!({"spec": ours})), [Reason::SidecarUser]);
    assert_eq!(refused(&container(&ours)), [Reason::SidecarUser]);
    let init = json!({"spec": {"initContainers": [{"name": "early", "securityContext": {"runAsUser": 14000}}]}});
    assert_eq!(refused(&init), [Reason::SidecarUser]);
    assert!(
        admit(&pod_with(&container(
            &json!({"securityContext": {"runAsUser": 14001}})
        )))
        .is_ok()
    );
}

#[test]
fn pod_whose_container_has_our_name_is_refused() {
    assert_eq!(
        refused(&container(&json!({"name": "postern"}))),
        [Reason::ContainerName]
    );
    let init = json!({"spec": {"initContainers": [{"name": "postern", "image": "registry.example.com/evil:1"}]}});
    assert_eq!(refused(&init), [Reason::SidecarDiffers]);
}

#[test]
fn pod_whose_volume_has_our_name_is_refused() {
    for name in ["postern-bundle", "postern-token", "postern-no-token"] {
        let volume = json!({"spec": {"volumes": [{"name": name, "emptyDir": {}}]}});
        assert_eq!(refused(&volume), [Reason::VolumeName], "{name}");
    }
}

#[test]
fn application_that_mounts_what_is_the_sidecars_is_refused() {
    for name in ["postern-bundle", "postern-token"] {
        let mounting = container(&json!({"volumeMounts": [{"name": name, "mountPath": "/keys"}]}));
        assert_eq!(refused(&mounting), [Reason::SidecarVolume], "{name}");
    }
}

#[test]
fn application_that_reads_a_bundle_is_refused() {
    let reference = json!({"name": "postern-support-bot"});
    for changes in [
        json!({"spec": {"volumes": [{"name": "a", "secret": {"secretName": "postern-support-bot"}}]}}),
        json!({"spec": {"volumes": [{"name": "a", "projected": {"sources": [{"configMap": {"name": "x"}}, {"secret": reference}]}}]}}),
        json!({"spec": {"volumes": [{"name": "a", "csi": {"driver": "d", "nodePublishSecretRef": reference}}]}}),
        json!({"spec": {"volumes": [{"name": "a", "azureFile": {"secretName": "postern-support-bot"}}]}}),
        container(
            &json!({"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "postern-support-bot", "key": "bundle.json"}}}]}),
        ),
        container(&json!({"envFrom": [{"secretRef": reference}]})),
        json!({"spec": {"initContainers": [{"name": "early", "envFrom": [{"secretRef": reference}]}]}}),
    ] {
        assert_eq!(refused(&changes), [Reason::BundleSecret], "{changes}");
    }
}

#[test]
fn application_that_reads_the_bundle_of_another_identity_is_refused() {
    let mut other = identity();
    other.metadata.name = Some("billing-bot".into());
    let pod = pod_with(&container(
        &json!({"envFrom": [{"secretRef": {"name": "postern-billing-bot"}}]}),
    ));
    let denial = inject(
        &pod,
        NAMESPACE,
        &snapshot_of([identity(), other]),
        &template(),
    )
    .unwrap_err();
    assert_eq!(denial.problems[0].reason, Reason::BundleSecret);
    // Without such an identity it is a Secret like any other.
    assert!(admit(&pod).is_ok());
}

#[test]
fn unknown_annotation_of_ours_is_refused() {
    assert_eq!(
        refused(&annotated("postern.dev/log_level", &json!("debug"))),
        [Reason::Annotation]
    );
    assert!(
        admit(&pod_with(&annotated(
            "example.com/postern.dev",
            &json!("x")
        )))
        .is_ok()
    );
}

#[test]
fn annotation_out_of_bounds_is_refused() {
    for (name, value) in [
        ("log-level", "trace"),
        ("log-level", ""),
        ("cpu", "0"),
        ("cpu", "3"),
        ("cpu", "much"),
        ("cpu", "-1"),
        ("memory", "1Gi"),
        ("memory", "16Mi"),
        ("memory", "64"),
        ("memory", "64 Mi"),
    ] {
        let changes = annotated(&format!("postern.dev/{name}"), &json!(value));
        assert_eq!(refused(&changes), [Reason::Annotation], "{name}: {value}");
    }
    for (name, value) in [
        ("cpu", "1m"),
        ("cpu", "2"),
        ("cpu", "2000m"),
        ("memory", "32Mi"),
        ("memory", "0.5Gi"),
    ] {
        let changes = annotated(&format!("postern.dev/{name}"), &json!(value));
        assert!(admit(&pod_with(&changes)).is_ok(), "{name}: {value}");
    }
}

#[test]
fn annotation_that_cannot_name_an_identity_is_refused() {
    let long = "a".repeat(64);
    for name in [
        "",
        "Support",
        "support_bot",
        "-bot",
        "bot-",
        "other/support-bot",
        "a.b",
        &long,
    ] {
        assert_eq!(
            refused(&annotated("postern.dev/identity", &json!(name))),
            [Reason::Annotation],
            "{name}"
        );
    }
    assert!(refused(&annotated("postern.dev/identity", &json!(7))).contains(&Reason::Annotation));
}

#[test]
fn label_that_contradicts_the_annotation_is_refused() {
    let labelled = |name: &str| json!({"metadata": {"labels": {"postern.dev/identity": name}}});
    assert_eq!(refused(&labelled("billing-bot")), [Reason::Label]);
    assert!(admit(&pod_with(&labelled("support-bot"))).is_ok());
}

#[test]
fn pod_of_another_service_account_is_refused() {
    assert_eq!(
        refused(&json!({"spec": {"serviceAccountName": "billing"}})),
        [Reason::ServiceAccount]
    );
    assert_eq!(
        message(&json!({"spec": {"serviceAccountName": ""}})),
        "service account default may not use AgentIdentity support-bot, which is for support-bot"
    );
    assert_eq!(
        refused(&json!({"spec": {"serviceAccountName": null}})),
        [Reason::ServiceAccount]
    );
}

#[test]
fn pod_for_windows_is_refused() {
    assert_eq!(
        refused(&json!({"spec": {"os": {"name": "windows"}}})),
        [Reason::Windows]
    );
    assert_eq!(
        refused(&json!({"spec": {"nodeSelector": {"kubernetes.io/os": "windows"}}})),
        [Reason::Windows]
    );
    assert!(admit(&pod_with(&json!({"spec": {"os": {"name": "linux"}}}))).is_ok());
}

#[test]
fn what_is_no_pod_is_refused() {
    for changes in [
        json!({"spec": null}),
        json!({"spec": 1}),
        json!({"spec": {"containers": {}}}),
        json!({"spec": {"containers": [{"image": "nameless"}]}}),
        json!({"spec": {"containers": [{"name": "agent", "env": {"A": "b"}}]}}),
        json!({"spec": {"volumes": ["v"]}}),
        json!({"metadata": {"labels": []}}),
    ] {
        assert_eq!(refused(&changes), [Reason::MalformedPod], "{changes}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let denial = admit(&pod_with(&json!({
        "metadata": {"annotations": {"postern.dev/identity": "support-bot", "postern.dev/skip": "true", "postern.dev/cpu": "64"}},
        "spec": {"hostNetwork": true, "serviceAccountName": "billing", "securityContext": {"runAsUser": 14000}},
    })))
    .unwrap_err();
    insta::assert_snapshot!(denial.to_string().replace("; ", "\n"), @r#"
    annotation postern.dev/cpu is "64": this installation allows 1m to 2
    annotation postern.dev/skip does not exist: there are postern.dev/identity, postern.dev/log-level, postern.dev/cpu, postern.dev/memory, postern.dev/template
    spec.hostNetwork gives every process of the node the way to the sidecar: remove it
    the pod runs as user 14000, which is the sidecar's: choose another
    service account billing may not use AgentIdentity support-bot, which is for support-bot
    "#);
}

//! Pods that come a second time: after other webhooks and the API server, or from somebody who wrote the sidecar in.

use serde_json::{Value, json};

use super::*;

/// The injected pod with `change` made to its sidecar.
fn with_sidecar(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = injected(&pod());
    change(&mut pod["spec"]["initContainers"][0]);
    pod
}

fn assert_unchanged(pod: &Value) {
    let outcome = admit(pod).expect("the pod is admitted");
    assert!(outcome.patch.is_empty(), "{}", outcome.patch);
}

fn differs_at(pod: &Value) -> String {
    let denial = admit(pod).expect_err("the pod is refused");
    assert_eq!(denial.problems[0].reason, Reason::SidecarDiffers);
    let message = denial.to_string();
    let (_, rest) = message.split_once("injected: ").unwrap();
    rest.split_once(" differs").unwrap().0.to_owned()
}

#[test]
fn what_the_cluster_adds_to_every_container_is_no_difference() {
    let pod = with_sidecar(|sidecar| {
        // LimitRanger, and amounts as the API server writes them.
        sidecar["resources"] = json!({
            "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "1Gi"},
            "limits": {"cpu": "1000m", "memory": "131072Ki", "ephemeral-storage": "2Gi"},
        });
        sidecar["imagePullPolicy"] = json!("Always");
        sidecar["securityContext"]["procMount"] = json!("Default");
        // EKS and Azure workload identity.
        let env = sidecar["env"].as_array_mut().unwrap();
        env.insert(
            0,
            json!({"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::1:role/agent"}),
        );
        env.push(json!({"name": "AZURE_CLIENT_ID", "value": "x"}));
        let mounts = sidecar["volumeMounts"].as_array_mut().unwrap();
        mounts.push(json!({"name": "aws-iam-token", "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount", "readOnly": true}));
        mounts.push(json!({"name": "azure-identity-token", "mountPath": "/var/run/secrets/azure/tokens", "readOnly": true}));
    });
    assert_unchanged(&pod);
}

#[test]
fn probes_that_istio_routes_through_its_agent_are_no_difference() {
    let pod = with_sidecar(|sidecar| {
        for (probe, path) in [
            ("startupProbe", "startupz"),
            ("readinessProbe", "readyz"),
            ("livenessProbe", "livez"),
        ] {
            sidecar[probe]["httpGet"]["path"] = json!(format!("/app-health/postern/{path}"));
            sidecar[probe]["httpGet"]["port"] = json!(15020);
        }
    });
    assert_unchanged(&pod);
}

#[test]
fn any_other_change_of_the_sidecar_is_refused() {
    let exec = json!({"command": ["/bin/true"]});
    let listen = json!({"name": "POSTERN_LISTEN", "value": "0.0.0.0:14080"});
    let mount = json!({"name": "x", "mountPath": "/var/run/secrets/../postern/bundle"});
    for (at, path, value) in [
        ("image", "/image", json!("registry.example.com/evil:1")),
        ("imagePullPolicy", "/imagePullPolicy", json!("Never")),
        ("args", "/args/-", json!("--listen=0.0.0.0:14080")),
        ("args[2]", "/args/2", json!("debug")),
        ("command", "/command", json!(["/bin/sh"])),
        ("env", "/env/-", listen),
        (
            "envFrom",
            "/envFrom",
            json!([{"configMapRef": {"name": "x"}}]),
        ),
        ("restartPolicy", "/restartPolicy", json!(null)),
        (
            "securityContext.runAsUser",
            "/securityContext/runAsUser",
            json!(0),
        ),
        (
            "securityContext.privileged",
            "/securityContext/privileged",
            json!(true),
        ),
        (
            "lifecycle",
            "/lifecycle",
            json!({"preStop": {"exec": exec}}),
        ),
        ("startupProbe.exec", "/startupProbe/exec", exec),
        (
            "readinessProbe.httpGet.port",
            "/readinessProbe/httpGet/port",
            json!(15020),
        ),
        (
            "resources.limits.memory",
            "/resources/limits/memory",
            json!("1Gi"),
        ),
        ("volumeMounts", "/volumeMounts/-", mount),
        (
            "volumeMounts[0].subPath",
            "/volumeMounts/0/subPath",
            json!("x"),
        ),
    ] {
        // An element of a list is replaced, anything else is set.
        let op = if at.ends_with(']') { "replace" } else { "add" };
        let change = serde_json::from_value(json!([{"op": op, "path": path, "value": value}]));
        let change: Patch = change.unwrap();
        let pod = with_sidecar(|sidecar| json_patch::patch(sidecar, &change).unwrap());
        assert_eq!(differs_at(&pod), at);
    }
}

#[test]
fn mount_over_the_covered_path_is_refused() {
    let pod = with_sidecar(|sidecar| {
        let mounts = sidecar["volumeMounts"].as_array_mut().unwrap();
        mounts.push(json!({"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount/x"}));
    });
    assert_eq!(differs_at(&pod), "volumeMounts");
}

#[test]
fn sidecar_for_another_identity_is_refused() {
    let mut pod = injected(&pod());
    pod["spec"]["volumes"][0]["secret"]["secretName"] = json!("other");
    let denial = admit(&pod).unwrap_err();
    assert_eq!(denial.problems[0].reason, Reason::VolumeName);
}

#[test]
fn container_that_came_later_gets_the_environment() {
    let mut pod = injected(&pod());
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "late", "image": "registry.example.com/late:1"}));
    let outcome = admit(&pod).unwrap();
    let paths: Vec<_> = outcome
        .patch
        .iter()
        .map(|operation| operation.path().to_string())
        .collect();
    assert_eq!(paths, ["/spec/containers/1/env"]);
    assert_unchanged(&apply(&pod, &outcome));
}

#[test]
fn container_that_another_webhook_put_first_stays_first() {
    let mut pod = injected(&pod());
    pod["spec"]["initContainers"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "istio-init", "image": "istio"}));
    let outcome = admit(&pod).unwrap();
    assert_eq!(
        apply(&pod, &outcome)["spec"]["initContainers"][1]["name"],
        "postern"
    );
    assert_eq!(
        outcome.warnings,
        ["init containers up to istio-init run before the sidecar, and cannot use it"]
    );
}

#[test]
fn key_that_came_later_is_replaced() {
    let mut pod = injected(&pod());
    let env = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    env.push(json!({"name": "OPENAI_API_KEY", "value": "sk-live"}));
    let again = apply(&pod, &admit(&pod).unwrap());
    assert!(!again.to_string().contains("sk-live"));
}

#[test]
fn forged_digest_is_written_over() {
    let forged = pod_with(&json!({"metadata": {"annotations": {"postern.dev/template": "0000"}}}));
    let digest = |pod: &Value| pod["metadata"]["annotations"]["postern.dev/template"].clone();
    assert_eq!(digest(&injected(&forged)), digest(&injected(&pod())));
}

#[test]
fn digest_on_the_pod_is_the_controllers() {
    let routes = route::compile(NAMESPACE, "support-bot", &identity().spec).unwrap();
    let sized = pod_with(&json!({"metadata": {"annotations": {"postern.dev/memory": "64Mi"}}}));
    for pod in [pod(), sized] {
        assert_eq!(
            injected(&pod)["metadata"]["annotations"]["postern.dev/template"],
            template_digest(&template(), &routes)
        );
    }
}

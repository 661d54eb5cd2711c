//! What is said about pods that are admitted, beyond the golden ones.

use serde_json::{Value, json};

use super::*;

fn warnings(snapshot: &Snapshot, pod: &Value) -> Vec<String> {
    inject(pod, NAMESPACE, snapshot, &template())
        .unwrap()
        .warnings
}

#[test]
fn pod_of_an_identity_that_does_not_exist_gets_the_sidecar_and_is_outdated() {
    let nothing = Snapshot::default();
    let outcome = inject(&pod(), NAMESPACE, &nothing, &template()).unwrap();
    insta::assert_debug_snapshot!(outcome.warnings, @r#"
    [
        "AgentIdentity support-bot does not exist in agents yet: the pod waits for it; restart it then, since it starts without the variables that lead to the sidecar",
    ]
    "#);
    let waiting = apply(&pod(), &outcome);
    assert_eq!(waiting["spec"]["initContainers"][0]["name"], "postern");
    assert_eq!(waiting["spec"]["containers"][0].get("env"), None);
    assert_ne!(
        waiting["metadata"]["annotations"]["postern.dev/template"],
        injected(&pod())["metadata"]["annotations"]["postern.dev/template"]
    );
}

#[test]
fn identity_that_is_not_valid_or_not_readable_is_reported() {
    let mut invalid = identity();
    invalid.spec.credentials[0].provider = Some("openay".into());
    let found = warnings(&snapshot_of([invalid]), &pod());
    assert!(
        found[0].starts_with(
            "AgentIdentity support-bot is not valid: correct it first; restart it then"
        ),
        "{found:?}"
    );

    let unreadable = serde_json::from_value(json!({
        "apiVersion": "postern.dev/v1alpha1",
        "kind": "AgentIdentity",
        "metadata": {"name": "support-bot"},
        "spec": {"aFieldOfTomorrow": 1},
    }))
    .unwrap();
    let found = warnings(
        &Snapshot::new(vec![Arc::new(unreadable)], Vec::new()),
        &pod(),
    );
    assert!(
        found[0].starts_with("AgentIdentity support-bot cannot be read"),
        "{found:?}"
    );
}

#[test]
fn identity_without_a_policy_is_reported() {
    let without = Snapshot::new(vec![Arc::new(DeserializeGuard(Ok(identity())))], Vec::new());
    assert_eq!(
        warnings(&without, &pod()),
        [
            "no EgressPolicy applies to AgentIdentity support-bot: every call is denied until one does"
        ]
    );
    assert_eq!(warnings(&snapshot(), &pod()), [""; 0]);
}

#[test]
fn privileged_container_and_taken_port_are_reported() {
    let pod = pod_with(&json!({"spec": {"containers": [{
        "name": "agent",
        "securityContext": {"privileged": true},
        "ports": [{"containerPort": 80}, {"containerPort": 14081}],
    }]}}));
    assert_eq!(
        warnings(&snapshot(), &pod),
        [
            "container agent uses port 14081, which is the sidecar's: choose another",
            "container agent is privileged: it can read the keys in the sidecar's memory",
        ]
    );
}

#[test]
fn pod_that_told_istio_to_spare_our_probes_is_not_bothered() {
    let spec = json!({"initContainers": [{"name": "istio-proxy", "restartPolicy": "Always"}]});
    let annotations = json!({"traffic.sidecar.istio.io/excludeInboundPorts": "9000, 14081"});
    let quiet = pod_with(&json!({"metadata": {"annotations": annotations}, "spec": spec}));
    assert_eq!(warnings(&snapshot(), &quiet), [""; 0]);
    let loud = pod_with(&json!({"spec": spec}));
    assert_eq!(warnings(&snapshot(), &loud).len(), 1);
}

#[test]
fn key_of_langsmith_that_would_stand_in_place_of_bedrocks_signature_is_reported() {
    let mut signed = identity();
    let bedrock = json!({
        "name": "bedrock",
        "provider": "bedrock",
        "endpoint": "https://bedrock-runtime.eu-central-1.amazonaws.com",
        "source": {"secret": {"name": "aws", "key": "pair"}},
    });
    signed
        .spec
        .credentials
        .push(serde_json::from_value(bedrock).unwrap());
    let signed = snapshot_of([signed]);
    let with =
        |env: Value| pod_with(&json!({"spec": {"containers": [{"name": "agent", "env": env}]}}));
    let key = json!({"name": "LANGSMITH_API_KEY", "value": "lsv2_own"});
    let read = json!({"name": "LANGSMITH_API_KEY", "valueFrom": {"secretKeyRef": {"name": "ls", "key": "k"}}});
    let gateway = |value: &str| json!({"name": "LANGSMITH_GATEWAY", "value": value});

    let warning = "container agent: LangChain for Python would send Bedrock the key in LANGSMITH_API_KEY in place of a signature; \
                   set LANGSMITH_GATEWAY to \"false\", or remove that key";
    for env in [
        json!([key]),
        json!([read]),
        json!([key, gateway("http://127.0.0.1:14080")]),
    ] {
        assert_eq!(warnings(&signed, &with(env.clone())), [warning], "{env}");
    }
    let empty = json!({"name": "LANGSMITH_API_KEY", "value": ""});
    for env in [json!([]), json!([empty]), json!([key, gateway("false")])] {
        assert_eq!(warnings(&signed, &with(env.clone())), [""; 0], "{env}");
    }
    // Without Bedrock there is no signature to lose.
    assert_eq!(warnings(&snapshot(), &with(json!([key]))), [""; 0]);
}

#[test]
fn no_warning_holds_a_value_of_the_environment() {
    let pod = pod_with(&json!({"spec": {"containers": [{"name": "agent", "env": [
        {"name": "OPENAI_API_KEY", "value": "sk-live"},
        {"name": "OPENAI_BASE_URL", "value": "https://user:sk-live@example.com"},
        {"name": "HTTP_PROXY", "value": "http://user:sk-live@proxy"},
    ]}]}}));
    let found = warnings(&snapshot(), &pod);
    assert_eq!(found.len(), 3);
    assert!(!found.concat().contains("sk-live"), "{found:?}");
}

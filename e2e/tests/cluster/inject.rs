//! Does a pod that asks for an identity get a working sidecar, whatever kind of pod it is and wherever it is created?

use anyhow::{Result, ensure};
use postern_crds::names;
use postern_e2e::{PATIENCE, until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Agent, Agents, admit, agent, container, create, deployment, ground, pod, resting,
    without_postern,
};

const CALL: [&str; 4] = [
    "python3",
    "/program/call.py",
    "/chat/completions",
    "What is the capital of France?",
];

/// The sidecar of a pod, if it is where it belongs: in front of everything else.
fn sidecar(pod: &Value) -> &Value {
    let first = &pod["spec"]["initContainers"][0];
    assert_eq!(first["name"], names::CONTAINER, "{first}");
    assert_eq!(first["restartPolicy"], "Always", "{first}");
    first
}

/// The value of an environment variable of the container `agent`.
fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    let found = env.iter().find(|variable| variable["name"] == name)?;
    found["value"].as_str()
}

/// What is stored of `object`, as it could be created again.
fn created_again(object: &Value, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": object["metadata"]["labels"],
            "annotations": object["metadata"]["annotations"],
        },
        "spec": object["spec"],
    })
}

#[test]
fn inject_deployment_runs_with_a_native_sidecar_and_is_counted() -> Result<()> {
    let agents = Agents::create("deployment")?;
    let namespace = &agents.namespace;
    create(namespace, &deployment("bot", &resting("bot")?))?;
    let agent = Agent::of_deployment(namespace, "bot")?;

    let pod = namespace.get("pod", &agent.pod)?;
    let image = &ground()?.house.images.sidecar;
    assert_eq!(sidecar(&pod)["image"], image.as_str());
    assert_eq!(
        pod["metadata"]["labels"][names::IDENTITY_LABEL],
        "support-bot"
    );
    assert!(pod["metadata"]["annotations"][names::TEMPLATE_ANNOTATION].is_string());
    assert!(variable(&pod, "OPENAI_API_KEY").is_some_and(|key| key.contains("postern")));
    agent.ask()?.allowed()?;
    let [request] = &agents.received(&agents.openai)?[..] else {
        panic!("the provider did not receive one request with the key");
    };
    assert_eq!(request.path, "/v1/chat/completions");

    until("the pod to be counted", PATIENCE, || {
        let identity = namespace.get("agentidentity", "support-bot")?;
        let status = &identity["status"];
        ensure!(
            status["boundPods"] == 1 && status["outdatedPods"] == 0,
            "{status}"
        );
        Ok(())
    })
}

#[test]
fn inject_job_completes_although_its_sidecar_would_run_for_ever() -> Result<()> {
    let agents = Agents::create("job")?;
    let program = pod("once", &ground()?.python, &CALL);
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"backoffLimit": 0, "template": {
            "metadata": {"annotations": program["metadata"]["annotations"]},
            "spec": program["spec"],
        }},
    });
    create(&agents.namespace, &job)?;
    agents.namespace.kubectl([
        "wait",
        "job/once",
        "--for=condition=complete",
        "--timeout=180s",
    ])?;
    let printed = agents
        .namespace
        .kubectl(["logs", "job/once", "--container", "agent"])?;
    assert!(printed.contains("Paris"), "{printed}");
    Ok(())
}

#[test]
fn inject_init_containers_call_through_the_sidecar_too() -> Result<()> {
    let agents = Agents::create("init")?;
    let namespace = &agents.namespace;
    let python = &ground()?.python;
    let mut program = pod("bot", python, &CALL);
    program["spec"]["initContainers"] = json!([container("first", python, &CALL)]);
    let created = create(namespace, &program)?.object;
    sidecar(&created);
    assert_eq!(created["spec"]["initContainers"][1]["name"], "first");

    assert_eq!(namespace.finished("bot")?, "Succeeded");
    for container in ["first", "agent"] {
        let printed = namespace.logs("bot", container)?;
        assert!(printed.contains("Paris"), "{container}: {printed}");
    }
    assert_eq!(agents.received(&agents.openai)?.len(), 2);
    Ok(())
}

#[test]
fn inject_own_key_is_replaced_and_own_address_is_kept_and_both_are_reported() -> Result<()> {
    let agents = Agents::create("environment")?;
    let mut program = resting("bot")?;
    program["spec"]["containers"][0]["env"] = json!([
        {"name": "OPENAI_API_KEY", "value": "sk-in-the-manifest"},
        {"name": "ANTHROPIC_API_KEY", "valueFrom": {"secretKeyRef": {"name": "anthropic-key", "key": "api-key"}}},
        {"name": "OPENAI_BASE_URL", "value": "https://llm.example.com/v1"},
        {"name": "TEAM", "value": "support"},
    ]);
    let admitted = admit(&agents.namespace, &program)?;

    for key in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"] {
        let value = variable(&admitted.object, key);
        assert!(
            value.is_some_and(|key| key.contains("postern")),
            "{key}: {value:?}"
        );
    }
    assert_eq!(
        variable(&admitted.object, "OPENAI_BASE_URL"),
        Some("https://llm.example.com/v1")
    );
    assert_eq!(variable(&admitted.object, "TEAM"), Some("support"));
    for warning in [
        "container agent: OPENAI_API_KEY carried a key and was replaced by a placeholder",
        "container agent: ANTHROPIC_API_KEY carried a key and was replaced by a placeholder",
        "container agent: OPENAI_BASE_URL leads past the sidecar",
    ] {
        assert!(
            admitted.warnings.iter().any(|line| line.contains(warning)),
            "{warning:?} is not among {:#?}",
            admitted.warnings
        );
    }
    assert!(!admitted.object.to_string().contains("sk-in-the-manifest"));
    Ok(())
}

#[test]
fn inject_works_under_a_limit_range_and_a_quota() -> Result<()> {
    let agents = Agents::create("limits")?;
    let namespace = &agents.namespace;
    agents.apply(&[
        json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"},
            "spec": {"limits": [{
                "type": "Container",
                "default": {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
                "defaultRequest": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "1Mi"},
                "max": {"cpu": "2", "memory": "1Gi"},
            }]},
        }),
        // A quota refuses a container that does not say what it needs.
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"},
            "spec": {"hard": {"requests.cpu": "1", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "2Gi"}},
        }),
    ])?;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;

    let stored = namespace.get("pod", &agent.pod)?;
    let limits = &sidecar(&stored)["resources"]["limits"];
    assert_eq!(
        limits["memory"], "128Mi",
        "the sidecar's own limit stays: {limits}"
    );
    assert_eq!(
        limits["ephemeral-storage"], "1Gi",
        "the LimitRange was applied: {limits}"
    );
    // What the LimitRange added to the sidecar does not make it a foreign one.
    admit(namespace, &created_again(&stored, "again"))?;
    Ok(())
}

#[test]
fn inject_works_where_pod_security_restricted_is_enforced() -> Result<()> {
    let agents = Agents::create("restricted")?;
    let namespace = &agents.namespace;
    namespace.kubectl([
        "label",
        "namespace",
        namespace.name(),
        "pod-security.kubernetes.io/enforce=restricted",
        "pod-security.kubernetes.io/warn=restricted",
    ])?;
    let created = create(namespace, &resting("bot")?)?;
    assert_eq!(created.warnings, [""; 0]);
    namespace.ready("bot")?;
    Agent::of(namespace, "bot").ask()?.allowed()?;
    Ok(())
}

#[test]
fn inject_dry_run_shows_the_sidecar_and_leaves_no_trace() -> Result<()> {
    let agents = Agents::create("dry-run")?;
    let namespace = &agents.namespace;
    let before = namespace.get("agentidentity", "support-bot")?;
    let shown = admit(namespace, &resting("bot")?)?.object;
    sidecar(&shown);

    // The real one that follows is the same, but for what each pod has of its own.
    let created = create(namespace, &resting("real")?)?.object;
    assert_eq!(shown["spec"], created["spec"]);
    namespace.ready("real")?;
    let pods = namespace.kubectl(["get", "pods", "--output", "name"])?;
    assert_eq!(pods, "pod/real\n");
    let events = namespace.kubectl([
        "get",
        "events",
        "--output",
        "jsonpath={.items[*].involvedObject.name}",
    ])?;
    assert!(!events.split(' ').any(|name| name == "bot"), "{events}");
    let after = namespace.get("agentidentity", "support-bot")?;
    assert_eq!(
        before["status"]["bundleRevision"],
        after["status"]["bundleRevision"]
    );
    Ok(())
}

#[test]
fn inject_killed_sidecar_comes_back_and_serves_and_the_program_goes_on() -> Result<()> {
    let agents = Agents::create("killed")?;
    let agent = agent(&agents, "bot")?;
    agent.ask()?.allowed()?;
    agent.process(names::CONTAINER)?.send(Signal::KILL)?;
    until("the sidecar to be started again", PATIENCE, || {
        ensure!(
            agent.restarts(names::CONTAINER)? == 1,
            "{}",
            agent.status(names::CONTAINER)?
        );
        Ok(())
    })?;
    until("an answer", PATIENCE, || agent.ask()?.allowed())?;
    agents.namespace.ready(&agent.pod)?;
    assert_eq!(agent.restarts("agent")?, 0);
    Ok(())
}

#[test]
fn inject_leaves_a_pod_without_the_annotation_alone() -> Result<()> {
    let agents = Agents::create("unannotated")?;
    let asked = without_postern(resting("bot")?);
    let admitted = admit(&agents.namespace, &asked)?;
    let spec = &admitted.object["spec"];
    assert_eq!(admitted.warnings, [""; 0]);
    assert_eq!(spec["initContainers"], Value::Null);
    assert_eq!(spec["containers"][0]["env"], Value::Null);
    assert_eq!(
        spec["volumes"].as_array().map(Vec::len),
        Some(1),
        "{}",
        spec["volumes"]
    );
    assert_eq!(admitted.object["metadata"]["labels"], Value::Null);
    Ok(())
}

#[test]
fn inject_accepts_unchanged_what_was_injected_before_and_refuses_what_was_tampered_with()
-> Result<()> {
    let agents = Agents::create("again")?;
    let namespace = &agents.namespace;
    let mut program = resting("bot")?;
    // The API server mounts a token into every container then, the sidecar too if it does not say otherwise.
    program["spec"]["automountServiceAccountToken"] = true.into();
    create(namespace, &program)?;
    namespace.ready("bot")?;
    let stored = namespace.get("pod", "bot")?;

    let again = admit(namespace, &created_again(&stored, "again"))?;
    assert_eq!(again.object["spec"], stored["spec"]);
    assert_eq!(
        again.object["metadata"]["annotations"],
        stored["metadata"]["annotations"]
    );

    for (place, value) in [
        ("/image", json!("registry.example.com/postern:latest")),
        (
            "/args",
            json!(["serve", "--log-level", "info", "--listen", "0.0.0.0:14080"]),
        ),
        ("/securityContext/runAsUser", json!(10001)),
        (
            "/env",
            json!([{"name": "SSL_CERT_FILE", "value": "/tmp/ca.crt"}]),
        ),
    ] {
        let mut tampered = created_again(&stored, "tampered");
        let sidecar = &mut tampered["spec"]["initContainers"][0];
        *sidecar.pointer_mut(place).expect("the sidecar has it") = value;
        let refusal = admit(namespace, &tampered)
            .map(|_| ())
            .expect_err("a foreign sidecar is refused");
        let refusal = format!("{refusal:#}");
        let field = place.trim_start_matches('/').replace('/', ".");
        let words = format!("init container postern is not what would be injected: {field}");
        assert!(refusal.contains(&words), "{place}: {refusal}");
    }
    Ok(())
}

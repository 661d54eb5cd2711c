//! What goes on while controller or webhook are down, and does all come right when they are back?

use anyhow::{Context, Result, ensure};
use postern_e2e::{
    Cluster, PATIENCE,
    house::{NAMESPACE, RELEASE},
    until,
};

use crate::support::{
    Agent, Agents, complain, create, deployment, ground, pod, random, resting, secret,
    without_postern,
};

/// A part of Postern that is down until this is dropped.
struct Down<'a> {
    cluster: &'a Cluster,
    deployment: String,
    replicas: String,
}

impl<'a> Down<'a> {
    /// Stops all pods of `component`, and waits until they are gone.
    fn take(cluster: &'a Cluster, component: &str) -> Result<Self> {
        let deployment = format!("{RELEASE}-{component}");
        let replicas = cluster.kubectl([
            "get",
            "deployment",
            &deployment,
            "--namespace",
            NAMESPACE,
            "--output",
            "jsonpath={.spec.replicas}",
        ])?;
        let down = Self {
            cluster,
            deployment,
            replicas,
        };
        down.scale("0")?;
        let selector = format!("app.kubernetes.io/component={component}");
        until(&format!("{component} to be gone"), PATIENCE, || {
            let pods = cluster.kubectl([
                "get",
                "pods",
                "--namespace",
                NAMESPACE,
                "--selector",
                &selector,
                "--output",
                "name",
            ])?;
            ensure!(pods.is_empty(), "{pods}");
            Ok(())
        })?;
        Ok(down)
    }

    fn scale(&self, replicas: &str) -> Result<()> {
        let replicas = format!("--replicas={replicas}");
        self.cluster
            .kubectl([
                "scale",
                "deployment",
                &self.deployment,
                "--namespace",
                NAMESPACE,
                &replicas,
            ])
            .map(drop)
    }

    /// Starts it again and waits until it is ready.
    fn end(self) -> Result<()> {
        self.restore()
    }

    fn restore(&self) -> Result<()> {
        self.scale(&self.replicas)?;
        self.cluster
            .kubectl([
                "rollout",
                "status",
                "deployment",
                &self.deployment,
                "--namespace",
                NAMESPACE,
                "--timeout=180s",
            ])
            .map(drop)
    }
}

impl Drop for Down<'_> {
    fn drop(&mut self) {
        // Nothing of the kind may outlive its test: all others need what was stopped. Where it runs again already, this does nothing.
        complain(&format!("restoring {}", self.deployment), &self.restore());
    }
}

#[test]
fn down_controller_stops_neither_traffic_nor_new_pods_and_rotations_wait() -> Result<()> {
    let agents = Agents::create_alone("no-controller")?;
    let namespace = &agents.namespace;
    create(namespace, &deployment("bot", &resting("bot")?))?;
    let first = Agent::of_deployment(namespace, "bot")?;
    first.ask()?.allowed()?;

    let controller = Down::take(&ground()?.house.cluster, "controller")?;
    first.ask()?.allowed()?;
    let second = format!("sk-live-{}", random()?);
    agents.apply(&[secret("openai-key", &second)])?;
    namespace.kubectl(["delete", "pod", &first.pod])?;
    let successor = Agent::of_deployment(namespace, "bot")?;
    assert_ne!(successor.pod, first.pod);
    successor.ask()?.allowed()?;
    assert_eq!(agents.received(&agents.openai)?.len(), 3);
    assert_eq!(agents.received(&second)?.len(), 0);

    controller.end()?;
    agents.until_used(&second, &successor)
}

#[test]
fn down_webhook_lets_pods_without_annotation_start_and_the_others_wait_for_it() -> Result<()> {
    let agents = Agents::create_alone("no-webhook")?;
    let namespace = &agents.namespace;
    create(namespace, &resting("before")?)?;
    namespace.ready("before")?;

    let webhook = Down::take(&ground()?.house.cluster, "webhook")?;
    let python = &ground()?.python;
    let stranger = without_postern(pod("stranger", python, &["python3", "-c", "print('runs')"]));
    create(namespace, &stranger)?;
    assert_eq!(namespace.finished("stranger")?, "Succeeded");
    Agent::of(namespace, "before").ask()?.allowed()?;

    let refusal = create(namespace, &resting("bot")?)
        .map(|_| ())
        .expect_err("a pod that asks for an identity does not start without its sidecar");
    let refusal = format!("{refusal:#}");
    assert!(
        refusal.contains(r#"failed calling webhook "inject.postern.dev""#),
        "{refusal}"
    );
    create(namespace, &deployment("bot", &resting("bot")?))?;
    until("the Deployment to wait", PATIENCE, || {
        let object = namespace.get("deployment", "bot")?;
        let conditions = object["status"]["conditions"].as_array().cloned();
        let failure = conditions
            .unwrap_or_default()
            .into_iter()
            .find(|condition| {
                condition["type"] == "ReplicaFailure" && condition["status"] == "True"
            })
            .with_context(|| object["status"].to_string())?;
        ensure!(
            failure["message"]
                .to_string()
                .contains("inject.postern.dev"),
            "{failure}"
        );
        Ok(())
    })?;

    webhook.end()?;
    Agent::of_deployment(namespace, "bot")?.ask()?.allowed()?;
    Ok(())
}

#[test]
fn down_pod_reads_its_stream_to_the_end_and_calls_once_more_after_it_was_told_to_stop() -> Result<()>
{
    let agents = Agents::create("farewell")?;
    let namespace = &agents.namespace;
    let mut bot = pod(
        "bot",
        &ground()?.python,
        &["python3", "/program/farewell.py"],
    );
    bot["spec"]["terminationGracePeriodSeconds"] = 60.into();
    create(namespace, &bot)?;
    until("a stream", PATIENCE, || {
        ensure!(!agents.received(&agents.openai)?.is_empty(), "no call came");
        Ok(())
    })?;
    namespace.kubectl(["delete", "pod", "bot", "--wait=false"])?;
    let farewell = until("the farewell", PATIENCE, || {
        let received = agents.received(&agents.openai)?;
        let mut said = received
            .iter()
            .filter_map(|call| call.headers.get("x-farewell"));
        said.next().cloned().context("no call says it")
    })?;
    assert_eq!(farewell, "whole answered");
    // The sidecar ends after the program, and has nothing left to wait for.
    namespace
        .kubectl(["wait", "pod/bot", "--for=delete", "--timeout=50s"])
        .map(drop)
}

//! Containers that join a running pod, as `kubectl debug` makes them.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};

use super::{Caller, connect::DEBUGGERS};
use crate::support::{Agents, agent, create, ground, resting, without_postern};

const JOINING: &str = "postern-ephemeral-containers";

/// Lets one container after the other join a pod.
struct Joiner {
    folder: tempfile::TempDir,
    image: String,
}

impl Joiner {
    fn new() -> Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            image: format!("--image={}", ground()?.python),
        })
    }

    /// `kubectl debug` of `pod`, with what more the container shall have.
    fn command(&self, pod: &str, more: &[&str], container: &Value) -> Result<Vec<String>> {
        let file = self.folder.path().join("container.json");
        fs::write(&file, container.to_string())?;
        let custom = format!("--custom={}", file.display());
        let words = [&["debug", pod, &self.image, &custom], more, &["--", "true"]].concat();
        Ok(words.into_iter().map(str::to_owned).collect())
    }
}

#[test]
fn admission_container_that_joins_sees_the_sidecar_for_the_named_group_only() -> Result<()> {
    let agents = Agents::create("join")?;
    let dev = Caller::developer(&agents.namespace)?;
    let debugger = dev.in_group(DEBUGGERS);
    agent(&agents, "bot")?;
    let joiner = Joiner::new()?;
    let nothing = json!({});
    let mount = |volume: &str| json!({"volumeMounts": [{"name": volume, "mountPath": "/look"}]});
    let (bundle, token) = (mount("postern-bundle"), mount("postern-token"));
    let user = json!({"securityContext": {"runAsUser": 14000}});
    for (more, container, part) in [
        (
            &["--target=postern"][..],
            &nothing,
            "that targets the sidecar",
        ),
        (&[], &bundle, "that mounts the sidecar's volumes"),
        (&[], &token, "that mounts the sidecar's volumes"),
        (&[], &user, "that runs as user 14000"),
    ] {
        let command = joiner.command("bot", more, container)?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let words = dev.may_not(JOINING, &command, "")?;
        assert!(words.contains(part) && words.contains(DEBUGGERS), "{words}");
        debugger.may(&command, "")?;
    }
    // Beside the program, with its files, as another user. Those that debuggers left do not count.
    let program = json!({
        "securityContext": {"runAsUser": 10001}, "volumeMounts": [{"name": "programs", "mountPath": "/program"}],
    });
    for more in [&["--target=agent"][..], &[]] {
        let command = joiner.command("bot", more, &program)?;
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        dev.may(&command, "")?;
    }
    Ok(())
}

#[test]
fn admission_container_that_joins_takes_no_variable_from_a_bundle_in_any_pod() -> Result<()> {
    let agents = Agents::create("variable")?;
    let dev = Caller::developer(&agents.namespace)?;
    create(&agents.namespace, &without_postern(resting("plain")?))?;
    agent(&agents, "bot")?;
    let joiner = Joiner::new()?;
    let key = |secret: &str| json!({"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": "bundle.json", "optional": true}}}]});
    let all =
        |secret: &str| json!({"envFrom": [{"secretRef": {"name": secret, "optional": true}}]});
    for pod in ["bot", "plain"] {
        for container in [key("postern-support-bot"), all("postern-support-bot")] {
            let command = joiner.command(pod, &[], &container)?;
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            for who in [&dev, &dev.in_group(DEBUGGERS)] {
                let words = who.may_not(JOINING, &command, "")?;
                assert!(words.contains("are for its sidecar alone"), "{words}");
            }
        }
        for container in [key("settings"), all("settings")] {
            let command = joiner.command(pod, &[], &container)?;
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            dev.may(&command, "")?;
        }
    }
    Ok(())
}

//! Ways into a running sidecar: exec, attach, port-forward.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Caller;
use crate::support::{Agents, agent, create, resting, without_postern};

/// The group of the chart's value `admissionPolicies.debuggers`.
pub(super) const DEBUGGERS: &str = "postern-debuggers";

/// The answer to a request that was admitted, and then asks for no upgrade to a stream.
const ADMITTED: &str = "Upgrade request required";

/// Asks for a way into `pod`, and fails unless it is opened as far as it can be without a stream.
fn is_let_in(who: &Caller<'_>, agents: &Agents, pod: &str, way: &str) -> Result<()> {
    let said = who.says(
        &["create", "--raw", &path(agents, pod, way), "--filename=-"],
        "",
    )?;
    ensure!(said.stderr.contains(ADMITTED), "{way}: {}", said.stderr);
    Ok(())
}

fn path(agents: &Agents, pod: &str, way: &str) -> String {
    format!(
        "/api/v1/namespaces/{}/pods/{pod}/{way}",
        agents.namespace.name()
    )
}

#[test]
fn admission_sidecar_is_entered_by_the_named_group_only() -> Result<()> {
    let agents = Agents::create("enter")?;
    let dev = Caller::developer(&agents.namespace)?;
    let debugger = dev.in_group(DEBUGGERS);
    agent(&agents, "bot")?;

    let words = dev.may_not(
        "postern-exec",
        &["exec", "bot", "-c", "postern", "--", "/postern", "--help"],
        "",
    )?;
    assert!(
        words.contains("kubectl logs -c postern") && words.contains(DEBUGGERS),
        "{words}"
    );
    dev.may_not("postern-exec", &["attach", "bot", "-c", "postern"], "")?;
    let help = debugger.may(
        &["exec", "bot", "-c", "postern", "--", "/postern", "--help"],
        "",
    )?;
    assert!(help.contains("serve"), "{help}");
    is_let_in(
        &debugger,
        &agents,
        "bot",
        "attach?container=postern&stdout=true",
    )?;

    // kubectl goes to the program; so does the API server, if nobody says where.
    let name = ["exec", "bot", "--", "python3", "-c", "print(6 * 7)"];
    assert_eq!(dev.may(&name, "")?.trim(), "42");
    is_let_in(&dev, &agents, "bot", "exec?command=true&stdout=true")?;
    is_let_in(&dev, &agents, "bot", "attach?container=agent&stdout=true")?;
    // What it did is there for everybody.
    dev.may(&["logs", "bot", "-c", "postern"], "")?;
    Ok(())
}

#[test]
fn admission_ports_of_a_pod_with_a_sidecar_are_forwarded_for_the_named_group_only() -> Result<()> {
    let agents = Agents::create("forward")?;
    let dev = Caller::developer(&agents.namespace)?;
    let debugger = dev.in_group(DEBUGGERS);
    create(&agents.namespace, &without_postern(resting("plain")?))?;
    agent(&agents, "bot")?;
    agents.namespace.ready("plain")?;

    let words = dev.may_not(
        "postern-port-forward",
        &["port-forward", "pod/bot", ":14080"],
        "",
    )?;
    assert!(words.contains(DEBUGGERS), "{words}");
    is_let_in(&debugger, &agents, "bot", "portforward")?;
    // Beside it, a pod that has none.
    is_let_in(&dev, &agents, "plain", "portforward")?;
    // Its metrics are nobody's secret.
    let metrics = path(&agents, "bot:14081", "proxy/metrics");
    dev.may(&["get", "--raw", &metrics], "")?;
    let pod: Value = agents.namespace.get("pod", "bot")?;
    assert_eq!(
        pod["metadata"]["labels"]["postern.dev/identity"],
        "support-bot"
    );
    Ok(())
}

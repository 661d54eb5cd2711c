//! Tells what happened, side by side.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use postern_e2e::{Cluster, OpenBao, Provider, house, provider::Received, run};
use serde::Deserialize;

use crate::{NAMESPACE, args::Args, rotation::rotate, say, search::search};

pub(crate) const IDENTITY: &str = include_str!("../../../demo/identity.yaml");
pub(crate) const POLICY: &str = include_str!("../../../demo/policy.yaml");
pub(crate) const AGENT: &str = include_str!("../../../demo/agent.yaml");
const PROGRAM: &str = include_str!("../../../demo/agent.py");

/// What there is to tell of.
pub(crate) struct Scene<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) provider: &'a Provider,
    pub(crate) openbao: &'a OpenBao,
    pub(crate) pod: &'a str,
    pub(crate) key: &'a str,
    /// The sidecar's program, where it was built here.
    pub(crate) postern: Option<&'a Path>,
}

impl Scene<'_> {
    /// What stands at `path`, a JSONPath, of the agent's pod.
    pub(crate) fn of_pod(&self, path: &str) -> Result<String> {
        let output = format!("--output=jsonpath={path}");
        self.cluster
            .kubectl(["get", "pod", self.pod, "--namespace", NAMESPACE, &output])
    }
}

/// One line of the sidecar's access log.
#[derive(Debug, Deserialize)]
struct Decided {
    method: String,
    path: String,
    decision: String,
    reason: String,
    rule: Option<String>,
    duration_ms: f64,
}

/// Prints the program, each of its calls as the three sides saw it, the sidecar's metrics, a rotation, and where the keys are not.
pub(crate) fn tell(scene: &Scene<'_>) -> Result<()> {
    heading(
        "the program: e2e/demo/agent.py, unchanged; it has no key and knows nothing of Postern",
    );
    indented(PROGRAM);
    heading(
        "its environment, as the webhook set it: the sidecar's address, and a placeholder for a key",
    );
    indented(&environment(scene)?);
    heading("the policy: e2e/demo/policy.yaml");
    indented(POLICY);
    heading("what it means, case by case: postern policy test e2e/demo/cases.yaml");
    match scene.postern {
        Some(postern) => indented(&table(postern)?),
        None => indented("left out: it needs the sidecar's program, which was not built here"),
    }
    heading(
        "each call: what the program printed, what the sidecar decided (its log), what the provider received",
    );
    calls(scene)?;
    heading("the sidecar's metrics");
    indented(&metrics(scene)?);
    heading("the key is rotated in OpenBao while the agent talks (e2e/demo/talk.py)");
    let new = rotate(scene)?;
    heading("the keys, in the program's container: environments, memory, files");
    searches(scene, &new)
}

/// What `postern policy test` says of the policy. A case that is not as expected is an error.
fn table(postern: &Path) -> Result<String> {
    let demo = |file: &str| house::root().join("e2e/demo").join(file);
    let mut command = Command::new(postern);
    command.args(["policy", "test", "--filename"]);
    command.arg(demo("identity.yaml"));
    command.arg("--filename").arg(demo("policy.yaml"));
    command.arg(demo("cases.yaml")).current_dir(house::root());
    run::output(&mut command)
}

fn environment(scene: &Scene<'_>) -> Result<String> {
    scene
        .of_pod(r#"{range .spec.containers[?(@.name=="agent")].env[*]}{.name}={.value}{"\n"}{end}"#)
}

fn calls(scene: &Scene<'_>) -> Result<()> {
    let log = |container| {
        scene.cluster.kubectl([
            "logs",
            scene.pod,
            "--namespace",
            NAMESPACE,
            "--container",
            container,
        ])
    };
    let printed = log("agent")?;
    let printed: Vec<&str> = printed.lines().filter(|line| *line != "done").collect();
    let decided: Vec<Decided> = log("postern")?
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    ensure!(
        printed.len() == decided.len(),
        "the program made {} calls, the sidecar decided {}",
        printed.len(),
        decided.len()
    );
    let mut received = scene
        .provider
        .received(Duration::from_secs(600))?
        .into_iter();
    for (number, (printed, decided)) in printed.iter().zip(&decided).enumerate() {
        let by = decided
            .rule
            .as_deref()
            .map_or_else(|| decided.reason.clone(), |rule| format!("rule {rule}"));
        say(&format!("  {}. program   {printed}", number + 1));
        say(&format!(
            "     sidecar   {:<5} {} {}   {by}   {:.1} ms",
            decided.decision, decided.method, decided.path, decided.duration_ms
        ));
        say(&format!(
            "     provider  {}",
            provider_line(scene, decided, &mut received)?
        ));
    }
    ensure!(
        received.next().is_none(),
        "the provider received a call that the sidecar did not log"
    );
    Ok(())
}

/// What the provider received of one call. The key's presence there is what the demo is for, so its absence is an error.
fn provider_line(
    scene: &Scene<'_>,
    decided: &Decided,
    received: &mut impl Iterator<Item = Received>,
) -> Result<String> {
    if decided.decision != "allow" {
        return Ok("nothing".to_owned());
    }
    let request = received
        .next()
        .context("the provider did not receive a call that the sidecar sent")?;
    let authorization = request
        .headers
        .get("authorization")
        .map_or("none", String::as_str);
    ensure!(
        authorization == format!("Bearer {}", scene.key),
        "the provider received {authorization}"
    );
    let status = request
        .status
        .map_or_else(|| "-".to_owned(), |status| status.to_string());
    Ok(format!(
        "{status}   {} {}   authorization: {authorization}",
        request.method, request.path
    ))
}

fn metrics(scene: &Scene<'_>) -> Result<String> {
    let path = format!(
        "/api/v1/namespaces/{NAMESPACE}/pods/{}:14081/proxy/metrics",
        scene.pod
    );
    let all = scene.cluster.kubectl(["get", "--raw", &path])?;
    Ok(all
        .lines()
        .filter(|line| {
            line.starts_with("postern_requests_total") || line.starts_with("postern_bundle_info")
        })
        .map(|line| format!("{line}\n"))
        .collect())
}

fn searches(scene: &Scene<'_>, new: &str) -> Result<()> {
    for (which, key) in [("first key", scene.key), ("new key", new)] {
        let key = search(scene.cluster, scene.pod, key)?;
        say(&format!(
            "  the {which:<11} {} processes, {} MiB of memory, {} files searched: {}",
            key.processes,
            key.memory >> 20,
            key.files,
            if key.found.is_empty() {
                "not found".to_owned()
            } else {
                format!("FOUND in {}", key.found.join(", "))
            }
        ));
        ensure!(
            key.found.is_empty(),
            "the {which} is in the program's container"
        );
    }
    // A search that finds nothing proves something only if it can find.
    let environment = environment(scene)?;
    let placeholder = environment
        .lines()
        .find_map(|line| line.strip_prefix("OPENAI_API_KEY="))
        .context("the agent has a placeholder")?;
    let control = search(scene.cluster, scene.pod, placeholder)?;
    say(&format!(
        "  the placeholder (a control: the same search must find it) found in {}",
        control.found.join(", ")
    ));
    ensure!(
        !control.found.is_empty(),
        "the search cannot find what is there"
    );
    Ok(())
}

/// Prints how to look around what `--keep` left.
pub(crate) fn look_around(args: &Args) -> Result<()> {
    let kubectl = match &args.context {
        Some(context) => format!("kubectl --context {context}"),
        None => {
            let cluster = Cluster::ensure()?;
            let kubeconfig = cluster
                .kubeconfig()
                .context("the cluster of this machine has a kubeconfig")?;
            let programs = cluster
                .tools()
                .kubectl
                .parent()
                .context("kubectl is in a directory")?
                .to_owned();
            heading("still running; to look around");
            say(&format!(
                "  export KUBECONFIG={} PATH={}:$PATH",
                kubeconfig.display(),
                programs.display()
            ));
            "kubectl".to_owned()
        }
    };
    for command in [
        format!("get agentidentities,egresspolicies,pods --namespace {NAMESPACE}"),
        format!("describe agentidentity support-bot --namespace {NAMESPACE}"),
        format!("logs deployment/support-bot --container postern --namespace {NAMESPACE}"),
        format!("exec deployment/support-bot --container agent --namespace {NAMESPACE} -- env"),
        format!("edit egresspolicy support-bot --namespace {NAMESPACE}"),
        format!("logs deployment/provider --namespace {NAMESPACE}"),
        format!("describe credentialstore {NAMESPACE}"),
        format!("exec deployment/openbao --namespace {NAMESPACE} -- /bao kv list -mount=secret ai"),
        format!(
            "get pods,mutatingwebhookconfigurations --namespace {}",
            house::NAMESPACE
        ),
    ] {
        say(&format!("  {kubectl} {command}"));
    }
    let down = args.context.as_ref().map_or_else(
        || "down".to_owned(),
        |context| format!("down --context {context}"),
    );
    say(&format!("  cargo demo -- {down}"));
    Ok(())
}

fn heading(text: &str) {
    say(&format!("\n━━ {text}"));
}

fn indented(text: &str) {
    for line in text.lines() {
        say(format!("  {line}").trim_end());
    }
}

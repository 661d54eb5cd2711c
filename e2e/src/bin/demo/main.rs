//! `cargo demo`: one LangChain pod on a real cluster calls its provider without holding a key.

mod args;
mod guest;
mod rotation;
mod search;
mod story;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;
use postern_e2e::{
    Cache, Cluster, House, OpenBao, Provider, cluster::Status, house, house::Images, image, random,
    step, until,
};
use serde_json::json;

use crate::args::{Args, Command, Pulled};

/// Namespace of the demo.
const NAMESPACE: &str = "postern-demo";
/// Label of what a demo made.
const LABEL: &str = "postern.dev/demo";

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if matches!(args.command, Some(Command::Down)) {
        down(&args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let pulled = args.pulled()?;
    let was_running = matches!(Cluster::status()?, Status::Running);
    if args.context.is_some() {
        // Before anything else: what it refuses to touch is not to be removed either.
        guest::claim(&cluster(&args)?)?;
    }
    let told = demo(&args, pulled.as_ref());
    if args.keep {
        story::look_around(&args)?;
    } else if args.context.is_none() && was_running {
        step("removal", "the demo's namespace and what is in it", || {
            delete_namespace(&cluster(&args)?)
        })?;
    } else {
        down(&args)?;
    }
    told?;
    Ok(ExitCode::SUCCESS)
}

/// Sets the stage, runs the program, and tells what each side saw.
fn demo(args: &Args, pulled: Option<&Pulled>) -> Result<()> {
    let cache = Cache::open()?;
    let cluster = cluster(args)?;
    let (images, agent, store, postern) = match pulled {
        Some(pulled) => (
            Images {
                operator: pulled.operator.clone(),
                sidecar: pulled.sidecar.clone(),
            },
            pulled.agent.clone(),
            pulled.store.clone(),
            None,
        ),
        None => (
            Images::build(&cluster, &cache)?,
            step(
                "agent image",
                "Python and LangChain, nothing of Postern",
                || cluster.load(&image::langchain_python(&cache)?),
            )?,
            cluster.load(&image::openbao(&cache)?)?,
            Some(image::programs(&cache)?.postern),
        ),
    };
    House::install(cluster.clone(), images)?;

    // A namespace of an earlier run goes first: every run shows the whole way.
    delete_namespace(&cluster)?;
    cluster.apply(&namespace())?;
    let provider = step(
        "provider",
        "aimock, a mock of OpenAI's API that we did not write, over TLS",
        || match pulled {
            Some(pulled) => Provider::run(&cluster, NAMESPACE, &pulled.provider, &[]),
            None => Provider::ensure(&cluster, NAMESPACE, &image::provider(&cache)?, &[]),
        },
    )?;

    // As OpenAI's keys look.
    let key = format!("sk-live-{}", random()?);
    let openbao = step(
        "openbao",
        "a real store of secrets, which has the key and knows the operator by its service account",
        || {
            let allowed = json!({"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}});
            let openbao = OpenBao::start(&cluster, NAMESPACE, &store, &allowed)?;
            openbao.put("ai/openai", &key)?;
            Ok(openbao)
        },
    )?;
    let pod = step(
        "agent",
        "an AgentIdentity, an EgressPolicy, and a Deployment with one annotation",
        || {
            let in_namespace = |manifest: &str| {
                postern_e2e::run::output_with(
                    manifest,
                    cluster.kubectl_command().args([
                        "apply",
                        "--namespace",
                        NAMESPACE,
                        "--filename",
                        "-",
                    ]),
                )
            };
            in_namespace(story::IDENTITY)?;
            in_namespace(story::POLICY)?;
            let program = house::root().join("e2e/demo/agent.py");
            let talk = program.with_file_name("talk.py");
            cluster.kubectl([
                "create",
                "configmap",
                "program",
                "--namespace",
                NAMESPACE,
                &format!("--from-file={}", program.display()),
                &format!("--from-file={}", talk.display()),
            ])?;
            cluster.kubectl([
                "wait",
                "agentidentity/support-bot",
                "--namespace",
                NAMESPACE,
                "--for=condition=Ready",
                "--timeout=60s",
            ])?;
            in_namespace(&story::AGENT.replace("IMAGE", &agent))?;
            cluster.kubectl([
                "rollout",
                "status",
                "deployment/support-bot",
                "--namespace",
                NAMESPACE,
                "--timeout=180s",
            ])?;
            cluster.kubectl([
                "get",
                "pods",
                "--namespace",
                NAMESPACE,
                "--selector",
                "app=support-bot",
                "--output",
                "jsonpath={.items[0].metadata.name}",
            ])
        },
    )?;
    step("program", "runs, unchanged", || {
        until("the program to end", postern_e2e::PATIENCE, || {
            let log = cluster.kubectl([
                "logs",
                &pod,
                "--namespace",
                NAMESPACE,
                "--container",
                "agent",
            ])?;
            log.lines()
                .any(|line| line == "done")
                .then_some(())
                .with_context(|| format!("it printed so far:\n{log}"))
        })
    })?;
    story::tell(&story::Scene {
        cluster: &cluster,
        provider: &provider,
        openbao: &openbao,
        pod: &pod,
        key: &key,
        postern: postern.as_deref(),
    })
}

fn cluster(args: &Args) -> Result<Cluster> {
    match &args.context {
        Some(context) => Cluster::external(context),
        None => Cluster::ensure(),
    }
}

/// Removes everything that a demo made.
fn down(args: &Args) -> Result<()> {
    match &args.context {
        Some(context) => guest::leave(&Cluster::external(context)?),
        None => Cluster::down(),
    }
}

/// The demo's namespace, which takes no pod that could do harm.
fn namespace() -> String {
    let labels = json!({LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
        .to_string()
}

/// Deletes the demo's namespace, if it is there, and waits until it is gone.
fn delete_namespace(cluster: &Cluster) -> Result<()> {
    cluster
        .kubectl([
            "delete",
            "namespace",
            NAMESPACE,
            "--ignore-not-found",
            "--wait",
            "--timeout=120s",
        ])
        .map(drop)
}

/// Prints one line for a person.
fn say(line: &str) {
    // Nobody to read it (a closed pipe) is no reason to stop.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

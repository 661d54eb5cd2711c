//! `cargo demo`: one LangChain pod on a real cluster calls its provider without holding a key.

mod args;
mod search;
mod story;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use postern_e2e::{
    Cache, Cluster, House, Provider, cluster::Status, house, house::Images, image, random, step,
    until,
};

use crate::args::{Args, Command};

/// Namespace of the demo.
const NAMESPACE: &str = "postern-demo";

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if matches!(args.command, Some(Command::Down)) {
        down(&args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let was_running = args.context.is_some() || matches!(Cluster::status()?, Status::Running);
    let told = demo(&args);
    if args.keep {
        story::look_around(&args)?;
    } else if was_running {
        remove(&cluster(&args)?, args.context.is_some())?;
    } else {
        Cluster::down()?;
    }
    told?;
    Ok(ExitCode::SUCCESS)
}

/// Sets the stage, runs the program, and tells what each side saw.
fn demo(args: &Args) -> Result<()> {
    let cache = Cache::open()?;
    let cluster = cluster(args)?;
    let images = match (&args.operator_image, &args.sidecar_image) {
        (Some(operator), Some(sidecar)) => Images {
            operator: operator.clone(),
            sidecar: sidecar.clone(),
        },
        _ => Images::build(&cluster, &cache)?,
    };
    let agent = match &args.agent_image {
        Some(image) => image.clone(),
        None => step(
            "agent image",
            "Python and LangChain, nothing of Postern",
            || cluster.load(&image::langchain_python(&cache)?),
        )?,
    };
    House::install(cluster.clone(), images)?;

    // A namespace of an earlier run goes first: every run shows the whole way.
    delete_namespace(&cluster)?;
    cluster.kubectl(["create", "namespace", NAMESPACE])?;
    cluster.kubectl([
        "label",
        "namespace",
        NAMESPACE,
        "pod-security.kubernetes.io/enforce=restricted",
    ])?;
    let provider = step(
        "provider",
        "aimock, a mock of OpenAI's API that we did not write, over TLS",
        || match &args.provider_image {
            Some(reference) => Provider::run(&cluster, NAMESPACE, reference, &[]),
            None => Provider::ensure(&cluster, NAMESPACE, &image::aimock(&cache)?, &[]),
        },
    )?;

    // As OpenAI's keys look.
    let key = format!("sk-live-{}", random()?);
    let pod = step(
        "agent",
        "a Secret, an AgentIdentity, an EgressPolicy, and a Deployment with one annotation",
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
            in_namespace(&story::KEY.replace("KEY", &key))?;
            in_namespace(&story::IDENTITY.replace("NAMESPACE", NAMESPACE))?;
            in_namespace(story::POLICY)?;
            let program = house::root().join("e2e/demo/agent.py");
            cluster.kubectl([
                "create",
                "configmap",
                "program",
                "--namespace",
                NAMESPACE,
                &format!("--from-file={}", program.display()),
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
        pod: &pod,
        key: &key,
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
        Some(context) => remove(&Cluster::external(context)?, true),
        None => Cluster::down(),
    }
}

/// Removes the demo from a cluster that goes on. On another's cluster the release and the custom resources go too: the demo made them.
fn remove(cluster: &Cluster, whole: bool) -> Result<()> {
    step("removal", "the demo's namespace and what is in it", || {
        delete_namespace(cluster)
    })?;
    if whole {
        step("removal", "the release and its custom resources", || {
            cluster.helm([
                "uninstall",
                house::RELEASE,
                "--namespace",
                house::NAMESPACE,
                "--ignore-not-found",
                "--wait",
            ])?;
            cluster.kubectl([
                "delete",
                "namespace",
                house::NAMESPACE,
                "--ignore-not-found",
            ])?;
            let crds = house::root().join("crds");
            cluster.kubectl([
                "delete".as_ref(),
                "--ignore-not-found".as_ref(),
                "--filename".as_ref(),
                crds.as_os_str(),
            ])
        })?;
    }
    Ok(())
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

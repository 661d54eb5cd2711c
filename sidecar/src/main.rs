//! The command line of the sidecar.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use postern_sidecar::{App, config::ServeArgs, process};
use tokio::signal::unix::{SignalKind, signal};

// musl's own allocator takes a lock for every allocation.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The gate between an agent and the services it calls: holds the keys, decides every call.
#[derive(Parser, Debug)]
#[command(name = "postern", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Serve as the sidecar of a pod
    ///
    /// Takes the calls of the pod's containers on localhost, decides each by the policies in the mounted bundle, and sends those that are
    /// allowed to the credential's own host with the real key. Without a bundle it denies everything and is not ready.
    Serve(ServeArgs),
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    process::harden().context("shielding the process's memory")?;
    match cli.command {
        Command::Serve(args) => serve(args),
    }
}

fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    process::start_log(args.log_level, args.log_format);
    process::quieten_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(process::WORKER_THREADS)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let app = App::bind(args.into_config())
            .await
            .context("starting the sidecar")?;
        app.run(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
        Ok(ExitCode::SUCCESS)
    })
}

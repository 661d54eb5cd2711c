//! The command line of the sidecar.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use postern_sidecar::{
    App,
    config::{LogFormat, ServeArgs},
    policy_command, process, run,
};
use tokio::signal::unix::{SignalKind, signal};

// musl's own allocator takes one lock for every allocation. Without huge pages (`no_thp`), which would make 9 MiB of one MiB in use.
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
    Run(run::Args),
    Policy(policy_command::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    process::harden().context("shielding the process's memory")?;
    match cli.command {
        Command::Serve(args) => serve(args),
        Command::Run(args) => run_program(args),
        Command::Policy(args) => Ok(policy_command::run(args).into()),
    }
}

fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    process::start_log(args.log_level, args.log_format);
    process::quieten_panics();
    process::runtime()
        .context("starting the runtime")?
        .block_on(async {
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

fn run_program(args: run::Args) -> anyhow::Result<ExitCode> {
    // Standard output is the program's.
    let log = process::log(args.log_level(), LogFormat::Text, std::io::stderr);
    tracing::subscriber::set_global_default(log).context("starting the log")?;
    process::quieten_panics();
    process::runtime()
        .context("starting the runtime")?
        .block_on(async { Ok(run::run(args, std::env::vars_os().collect()).await.into()) })
}

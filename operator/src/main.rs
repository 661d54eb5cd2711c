//! The binary: parses, starts logging, binds, runs.

use std::pin::pin;

use anyhow::Context as _;
use clap::Parser;
use kube::Client;
use postern_operator::{
    app::App,
    check,
    config::{Cli, Role},
    telemetry,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // First of all: whatever uses TLS later finds one provider, and never has to guess.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider was installed before main"))?;

    match Cli::parse() {
        Cli::Run(role) => run(role).await,
        Cli::Check(args) => check::run(connect().await?, args).await,
    }
}

async fn connect() -> anyhow::Result<Client> {
    Client::try_default()
        .await
        .context("connecting to the Kubernetes API")
}

/// Runs a role until it is told to stop, or fails.
async fn run(role: Role) -> anyhow::Result<()> {
    let common = role.common();
    telemetry::init(&common.log_level, common.log_format)?;

    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let app = App::bind(role).await?;
    let mut running = pin!(app.run(connect().await?, shutdown.clone()));
    tokio::select! {
        result = &mut running => return result,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
    running.await
}

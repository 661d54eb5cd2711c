//! The admission webhook: puts the sidecar into pods that ask for it. Every replica works, and none keeps anything. Beside that it hears of events of stores.

mod admit;
mod authority;
mod cluster;
mod events;
mod files;
pub mod inject;
mod metrics;
mod review;
mod server;
pub mod snapshot;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::metrics::Metrics;
use self::{
    admit::Admission,
    authority::{Authority, Settings},
    cluster::Cluster,
    events::Events,
    files::Files,
    server::Server,
};
use crate::{
    admin::Readiness,
    config::{Certificates, CommonArgs, WebhookArgs},
    sidecar::SidecarTemplate,
    tls::serving::Serving,
};

/// How often it is looked whether a call would succeed.
const READINESS_PERIOD: Duration = Duration::from_millis(500);

/// Serves until `shutdown`, then drains.
///
/// # Errors
/// If the flags contradict each other, the address cannot be bound, or something that must go on ends.
pub async fn run(
    args: WebhookArgs,
    client: Client,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let WebhookArgs {
        common,
        sidecar,
        listen,
        webhook_configuration,
        webhook_service,
        certificates,
        ca_secret,
        certificate_dir,
        events_token_file,
    } = args;
    let CommonArgs {
        namespace,
        watch_namespaces,
        pod_name: _,
        log_level: _,
        log_format: _,
        admin_address: _,
    } = common;
    let template = SidecarTemplate::new(sidecar).context("reading the sidecar's flags")?;
    let serving = Arc::new(Serving::default());
    let server = Server::bind(listen, Arc::clone(&serving), metrics.clone())
        .await
        .with_context(|| format!("binding {listen}"))?;
    tracing::info!(address = %server.address().context("reading the bound address")?, "serving admissions");

    // Whatever is in here is needed until the last connection has ended.
    let mut tasks = JoinSet::new();
    let cluster = Cluster::watch(&client, &watch_namespaces, &mut tasks);
    let events =
        events_token_file.map(|file| Arc::new(Events::new(client.clone(), file, metrics.clone())));
    let drained = CancellationToken::new();
    match certificates {
        Certificates::Own => {
            let settings = Settings {
                namespace,
                secret: ca_secret,
                configuration: webhook_configuration,
                service: webhook_service,
            };
            let authority = Authority::new(client, settings, Arc::clone(&serving), metrics.clone());
            tasks.spawn(authority.run(drained.clone()));
        }
        Certificates::Files => {
            let directory =
                certificate_dir.context("--certificates files needs --certificate-dir")?;
            tasks.spawn(
                Files::new(directory, Arc::clone(&serving), metrics.clone()).run(drained.clone()),
            );
        }
    }
    tasks.spawn(keep_ready(
        readiness,
        cluster.clone(),
        serving,
        shutdown.clone(),
    ));

    let admission = Arc::new(Admission::new(cluster, Arc::new(template), metrics));
    tokio::select! {
        () = server.serve(admission, events, shutdown.clone()) => {}
        () = first_end(&mut tasks, &shutdown) => anyhow::bail!("a task of the webhook ended by itself"),
    }
    drained.cancel();
    tasks.shutdown().await;
    Ok(())
}

/// Returns when a task ends although nobody asked for it.
async fn first_end(tasks: &mut JoinSet<()>, shutdown: &CancellationToken) {
    while tasks.join_next().await.is_some() {
        if !shutdown.is_cancelled() {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Ready while a call of the API server would succeed; not any more once a stop is asked for, so that the Service looks elsewhere.
async fn keep_ready(
    readiness: Readiness,
    cluster: Cluster,
    serving: Arc<Serving>,
    shutdown: CancellationToken,
) {
    loop {
        readiness.set(cluster.is_synced() && serving.is_useful(Timestamp::now()));
        tokio::select! {
            () = tokio::time::sleep(READINESS_PERIOD) => {}
            () = shutdown.cancelled() => return readiness.set(false),
        }
    }
}

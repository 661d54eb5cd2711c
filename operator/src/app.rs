//! One process of the operator, as something that a test can start: `bind` takes the addresses, `run` works until told to stop.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use futures::{FutureExt as _, future::BoxFuture};
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{Admin, Readiness},
    config::Role,
    controller, metrics, webhook,
};

/// One process of the operator, bound but not yet working.
#[derive(Debug)]
pub struct App {
    role: Role,
    admin: Admin,
}

impl App {
    /// Takes the admin address.
    ///
    /// # Errors
    /// If it cannot be bound.
    pub async fn bind(role: Role) -> anyhow::Result<Self> {
        let admin = Admin::bind(role.common().admin_address).await?;
        Ok(Self { role, admin })
    }

    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Works until `shutdown`, or until the role or the admin listener fails.
    ///
    /// # Errors
    /// What failed.
    pub async fn run(self, client: Client, shutdown: CancellationToken) -> anyhow::Result<()> {
        let Self { role, admin } = self;
        let readiness = Readiness::default();
        let mut registry = metrics::registry();
        tracing::info!(role = role.name(), admin = %admin.address(), version = env!("CARGO_PKG_VERSION"), "starting");
        let role: BoxFuture<'_, anyhow::Result<()>> = match role {
            Role::Controller(args) => {
                let metrics = controller::Metrics::register(&mut registry);
                controller::run(args, client, metrics, readiness.clone(), shutdown.clone()).boxed()
            }
            Role::Webhook(args) => {
                let metrics = webhook::Metrics::register(&mut registry);
                webhook::run(args, client, metrics, readiness.clone(), shutdown.clone()).boxed()
            }
        };
        // The admin listener outlives the role, so that a probe during the drain does not kill the process.
        let drained = CancellationToken::new();
        let work = async {
            let _stop_admin = drained.clone().drop_guard();
            let result = role.await;
            readiness.set(false);
            result
        };
        let serve = async {
            // Should the listener fail, the role stops too: a process that cannot be probed is not kept.
            let _stop_role = shutdown.clone().drop_guard();
            admin
                .serve(readiness.clone(), Arc::new(registry), drained.clone())
                .await
        };
        let (worked, served) = tokio::join!(work, serve);
        worked.context("running the role")?;
        served?;
        tracing::info!("stopped");
        Ok(())
    }
}

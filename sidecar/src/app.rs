//! The program as a value: bind it, ask for its addresses, run it until a future says stop.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::AccessLog,
    admin::Admin,
    bundle::{Publisher, Wanted, Watcher},
    config::{Config, Source},
    fetch::Fetcher,
    limits::Limits,
    listener::{self, Server},
    metrics::Metrics,
    proxy::{Proxy, authority::OwnNames},
    snapshot::Snapshot,
    token,
    upstream::Upstreams,
};

/// The sidecar with its sockets open, ready to run.
pub struct App {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    admin: Option<(TcpListener, SocketAddr)>,
    server: Arc<Server>,
    log: Arc<AccessLog>,
    metrics: Arc<Metrics>,
    limits: Arc<Limits>,
    upstreams: Arc<Upstreams>,
    source: Bundles,
    fetcher: Option<Fetcher>,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    drain_timeout: Duration,
}

/// What keeps the bundle in use.
enum Bundles {
    Watched(Watcher),
    /// Holds the sending side, without which the snapshots would end.
    Fixed(Arc<Publisher>),
}

/// Why the sidecar cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// A data address that is not this host's alone.
    #[error("{0} is not a loopback address: whoever reaches it could use every credential")]
    NotLoopback(SocketAddr),
    /// Not one data address was left.
    #[error("there is no address to listen on: this host has no IPv6, and no other was given")]
    NoAddress,
    /// The bundle that was given has no meaning.
    #[error(transparent)]
    Bundle(#[from] postern_crds::bundle::Error),
}

impl App {
    /// Opens the sockets and takes the bundle into use, if it is there. Nothing is served before [`run`](Self::run).
    ///
    /// # Errors
    /// [`Error`]; a bundle in a directory that is missing or cannot be used is none, since it may come yet.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let Config {
            listen,
            admin,
            source,
            token,
            drain_timeout,
            cluster_api,
            max_connections,
            head_timeout,
            connect_timeout,
            pod,
            observer,
        } = config;
        let mut listeners = Vec::with_capacity(listen.len());
        let mut addresses = Vec::with_capacity(listen.len());
        for address in listen {
            if !address.ip().is_loopback() {
                return Err(Error::NotLoopback(address));
            }
            if let Some((listener, address)) = bind(address).await? {
                listeners.push(listener);
                addresses.push(address);
            }
        }
        if listeners.is_empty() {
            return Err(Error::NoAddress);
        }
        let admin = match admin {
            Some(address) => match bind(address).await? {
                // `[::]` serves IPv4 as well where there is IPv6, and where there is none, IPv4 is what is meant.
                None => bind(SocketAddr::from(([0, 0, 0, 0], address.port()))).await?,
                bound => bound,
            },
            None => None,
        };

        let metrics = Arc::new(Metrics::new());
        let limits = Arc::new(Limits::default());
        // Nobody waits for these at the end: what they serve has ended by then.
        let tasks = TaskTracker::new();
        let upstreams = Arc::new(Upstreams::new(
            cluster_api,
            connect_timeout,
            Arc::clone(&metrics),
            tasks.clone(),
        ));
        let tokens = token::Sources::new(Arc::clone(&metrics), tasks);
        let (sender, snapshots) = watch::channel(None);
        let publisher = Arc::new(Publisher::new(
            sender,
            Arc::clone(&upstreams),
            tokens,
            Arc::clone(&metrics),
        ));
        let wanted = Arc::new(Wanted::default());
        let fetcher = token.map(|token| Fetcher {
            token,
            bell: Arc::clone(wanted.bell()),
            publisher: Arc::clone(&publisher),
            snapshots: snapshots.clone(),
            metrics: Arc::clone(&metrics),
        });
        let source = match source {
            Source::Directory(directory) => {
                let mut watcher = Watcher::new(&directory, publisher, Arc::clone(&wanted));
                watcher.look();
                Bundles::Watched(watcher)
            }
            Source::Fixed(bundle) => {
                publisher.publish(*bundle)?;
                Bundles::Fixed(publisher)
            }
        };
        let log = Arc::new(AccessLog::new(Arc::clone(&metrics), observer));
        let proxy = Arc::new(Proxy::new(
            snapshots.clone(),
            OwnNames::new(&addresses),
            Arc::clone(&log),
            Arc::clone(&limits),
            wanted,
            pod,
        ));
        let server = Arc::new(Server::new(
            proxy,
            Arc::clone(&metrics),
            max_connections,
            head_timeout,
        ));
        Ok(Self {
            listeners,
            addresses,
            admin,
            server,
            log,
            metrics,
            limits,
            upstreams,
            source,
            fetcher,
            snapshots,
            drain_timeout,
        })
    }

    /// The data addresses that are really listened on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The admin address that is really listened on.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(_, address)| *address)
    }

    /// Serves until `shutdown` is ready, then drains: takes no new connection, lets running requests end, and cuts off those that are not at
    /// their end after the drain timeout.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            listeners,
            addresses,
            admin,
            server,
            log,
            metrics,
            limits,
            upstreams,
            source,
            fetcher,
            snapshots,
            drain_timeout,
        } = self;
        // Dropped at the end of this function, and with it whatever still runs there.
        let mut tasks = JoinSet::new();
        let stopping = CancellationToken::new();
        let (_keeps_the_bundle, watcher) = match source {
            Bundles::Watched(watcher) => (None, Some(watcher)),
            Bundles::Fixed(publisher) => (Some(publisher), None),
        };
        if let Some(watcher) = watcher {
            tasks.spawn(watcher.follow());
        }
        let bell = fetcher.map(|fetcher| {
            let bell = Arc::clone(&fetcher.bell);
            tasks.spawn(fetcher.follow());
            bell
        });
        let warmed = Arc::clone(&upstreams);
        tasks.spawn_blocking(move || warmed.warm_up());
        tasks.spawn(async move { upstreams.sweep().await });
        if let Some((listener, _)) = admin {
            let stopping = stopping.clone();
            let ready = snapshots.clone();
            let is_ready = Box::new(move || !stopping.is_cancelled() && ready.borrow().is_some());
            let of_limits = Arc::clone(&metrics);
            let told = snapshots.clone();
            let refresh = Box::new(move || {
                if let Some(snapshot) = &*snapshots.borrow() {
                    let remaining = limits.remaining(snapshot.policy.limits(), Instant::now());
                    of_limits.limits_remain(&remaining);
                }
            });
            let admin = Admin {
                is_ready,
                snapshots: told,
                metrics,
                refresh,
                bell,
            };
            tasks.spawn(Arc::new(admin).serve(listener));
        }
        for listener in listeners {
            tasks.spawn(Arc::clone(&server).accept(listener));
        }
        tracing::info!(?addresses, version = env!("CARGO_PKG_VERSION"), "serving");

        shutdown.await;
        tracing::info!(
            timeout_s = drain_timeout.as_secs(),
            "stopping: running requests may end, new ones are not taken"
        );
        stopping.cancel();
        let all_ended = server.drain(drain_timeout).await;
        log.written().await;
        if all_ended {
            tracing::info!("stopped: every request came to its end");
        } else {
            tracing::warn!("stopped: some requests were cut off");
        }
    }
}

async fn bind(address: SocketAddr) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    let failed = |source| Error::Bind { address, source };
    let Some(listener) = listener::bind(address).await.map_err(failed)? else {
        tracing::warn!(%address, "this host has no IPv6: going on without the address");
        return Ok(None);
    };
    let real = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, real)))
}

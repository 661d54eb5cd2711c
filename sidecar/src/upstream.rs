//! Carries requests to the hosts that credentials are bound to, over connections that are verified and used again.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use http::{
    Response, StatusCode,
    uri::{Authority, Scheme},
};
use hyper::body::Incoming;
use postern_crds::{Route, route::Token};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_util::task::TaskTracker;

use crate::{
    config::ApiHost,
    metrics::{Metrics, RouteLabel},
};

use cluster_api::ClusterApi;

pub(crate) mod address;
mod cluster_api;
mod dial;
mod pool;
pub(crate) mod tls;

pub(crate) use pool::{Lease, Outgoing};

/// Why an upstream gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Its name has no address.
    #[error("its name was not resolved")]
    Unresolved(#[source] std::io::Error),
    /// None of its addresses may be dialled.
    #[error("its address {address} is refused: {refusal}")]
    Refused {
        /// The first address that was refused.
        address: IpAddr,
        /// Why.
        refusal: address::Refusal,
    },
    /// No address took the connection.
    #[error("no address of it took the connection")]
    Unreachable(#[source] std::io::Error),
    /// Not connected in time.
    #[error("it was not connected in time")]
    Timeout,
    /// The handshake failed; nothing was sent.
    #[error("the TLS handshake with it failed")]
    Tls(#[source] std::io::Error),
    /// The connection broke before the response's head was there.
    #[error("the connection broke before it answered")]
    Broken(#[source] hyper::Error),
    /// It switched to another protocol, which nobody asked it to.
    #[error("it switched protocols unasked")]
    Switched,
}

/// What all upstream connections have in common.
pub(crate) struct Shared {
    cluster_api: ClusterApi,
    /// How long name, connection and handshake may take together.
    connect_timeout: Duration,
    metrics: Arc<Metrics>,
    /// Drives the connections.
    tasks: TaskTracker,
}

/// Every host that a credential is bound to.
pub(crate) struct Upstreams {
    shared: Arc<Shared>,
    trust: tls::Trust,
    /// Connections survive a new bundle when nothing that they rest on has changed.
    origins: Mutex<HashMap<OriginKey, Weak<Origin>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct OriginKey {
    route: String,
    authority: String,
    plaintext: bool,
    authorities: Option<String>,
}

/// A place that requests with a credential go to: a service, or the server of the tokens that the credential buys. Both are dialled alike, with the
/// same checks of addresses and certificates.
pub(crate) struct Destination<'a> {
    /// The credential, for metrics.
    credential: &'a str,
    scheme: &'a Scheme,
    authority: &'a Authority,
    port: u16,
}

impl<'a> Destination<'a> {
    /// The service of `route`.
    pub(crate) fn of(route: &'a Route) -> Self {
        Self {
            credential: &route.credential,
            scheme: &route.scheme,
            authority: &route.authority,
            port: route.port(),
        }
    }

    /// The server that has `token`s for `route`, always by TLS.
    pub(crate) fn of_token(route: &'a Route, token: &'a Token) -> Self {
        Self {
            credential: &route.credential,
            scheme: &Scheme::HTTPS,
            authority: &token.authority,
            port: token.authority.port_u16().unwrap_or(443),
        }
    }
}

/// One host with the connections to it.
pub(crate) struct Origin {
    shared: Arc<Shared>,
    /// The credential, for metrics.
    label: RouteLabel,
    scheme: Scheme,
    authority: Authority,
    /// The host without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Absent where the spec allows plain text.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pool: pool::Pool,
}

impl Upstreams {
    /// No connections yet.
    pub(crate) fn new(
        cluster_api: Vec<ApiHost>,
        connect_timeout: Duration,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                cluster_api: ClusterApi::new(cluster_api),
                connect_timeout,
                metrics,
                tasks,
            }),
            trust: tls::Trust::load(),
            origins: Mutex::default(),
        }
    }

    /// The connections to `destination`, verified by the public authorities and those in `pem`.
    ///
    /// # Errors
    /// [`tls::TrustError`] when `pem` holds no authority that can be used.
    pub(crate) fn origin(
        &self,
        destination: &Destination<'_>,
        pem: Option<&str>,
    ) -> Result<Arc<Origin>, tls::TrustError> {
        let Destination {
            credential,
            scheme,
            authority,
            port,
        } = *destination;
        let key = OriginKey {
            route: credential.to_owned(),
            authority: authority.to_string(),
            plaintext: *scheme == Scheme::HTTP,
            authorities: pem.map(str::to_owned),
        };
        let mut origins = self
            .origins
            .lock()
            .expect("no panic while the lock is held");
        if let Some(origin) = origins.get(&key).and_then(Weak::upgrade) {
            return Ok(origin);
        }
        let bracketed = authority.host();
        let host = bracketed
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(bracketed)
            .to_owned();
        let tls = if key.plaintext {
            None
        } else {
            let name = ServerName::try_from(host.clone()).map_err(|_| tls::TrustError::NotAName)?;
            Some((self.trust.config(pem)?, name))
        };
        let origin = Arc::new(Origin {
            shared: Arc::clone(&self.shared),
            label: RouteLabel {
                route: credential.to_owned(),
            },
            scheme: scheme.clone(),
            authority: authority.clone(),
            host,
            port,
            tls,
            pool: pool::Pool::default(),
        });
        origins.retain(|_, origin| origin.strong_count() > 0);
        origins.insert(key, Arc::downgrade(&origin));
        Ok(origin)
    }

    /// Does ahead of the first connection what would make it slow. Takes a while, without waiting.
    pub(crate) fn warm_up(&self) {
        self.trust.warm_up();
    }

    /// Closes connections that were idle for long, for ever.
    pub(crate) async fn sweep(&self) {
        loop {
            tokio::time::sleep(pool::SWEEP_INTERVAL).await;
            let origins: Vec<Arc<Origin>> = {
                let origins = self
                    .origins
                    .lock()
                    .expect("no panic while the lock is held");
                origins.values().filter_map(Weak::upgrade).collect()
            };
            for origin in origins {
                origin.pool.sweep();
            }
        }
    }
}

impl Origin {
    /// Sends one request and returns the response as soon as its head is there, with the lease of its place on the connection.
    ///
    /// A pooled connection that turns out to be closed is passed over for another as long as nothing of the request was written to it;
    /// after the first byte nothing is sent twice.
    ///
    /// # Errors
    /// [`SendError`]; all but `Broken` and `Switched` mean that the upstream saw nothing.
    pub(crate) async fn send(
        &self,
        request: Outgoing,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let (response, lease) = self.deliver(request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(SendError::Switched);
        }
        Ok((response, lease))
    }

    async fn deliver(
        &self,
        mut request: Outgoing,
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let mut stale = 0;
        loop {
            let connection = match self.pool.take() {
                Some(connection) => connection,
                None => tokio::time::timeout(self.shared.connect_timeout, self.connect())
                    .await
                    .map_err(|_| SendError::Timeout)??,
            };
            let failed = match connection.send(self, request).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            stale += 1;
            match failed.unsent {
                Some(unsent) if stale <= pool::MAX_STALE => request = unsent,
                _ => return Err(SendError::Broken(failed.error)),
            }
        }
    }

    /// A connection with room for one request: a new one, or one that another request opened meanwhile.
    async fn connect(&self) -> Result<pool::Connection, SendError> {
        // While it is unknown whether the host speaks HTTP/2, and when it does, one connection serves many requests: open them one by one.
        let _turn = self.pool.turn().await;
        if let Some(connection) = self.pool.take() {
            return Ok(connection);
        }
        let stream = dial::dial(self).await?;
        self.shared
            .metrics
            .upstream_connects
            .get_or_create(&self.label)
            .inc();
        self.pool
            .handshake(stream, &self.shared.tasks)
            .await
            .map_err(SendError::Broken)
    }
}

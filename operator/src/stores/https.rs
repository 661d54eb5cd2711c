//! One request to a store and its whole answer: over verified TLS, bounded in time and size, and never where a redirect leads.

use std::{
    error::Error,
    io,
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper_rustls::{
    HttpsConnector, HttpsConnectorBuilder,
    builderstates::{WantsProtocols1, WantsSchemes},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::problem::Problem;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(4);
/// How long a request may take, with its connection and its whole answer, in seconds.
const REQUEST: u64 = 8;
/// The longest answer that is read, in bytes: a credential has at most 16 KiB, and others may stand beside it.
const MAX_ANSWER: usize = 512 * 1024;
/// How long a connection that nobody uses is kept: longer than the shortest `refreshInterval`, shorter than load balancers do.
const IDLE: Duration = Duration::from_secs(45);
/// How many such connections are kept.
const MAX_IDLE: usize = 4;

/// A client of one store. A clone uses the same connections.
#[derive(Clone)]
pub(super) struct Https {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// A whole answer, which is wiped when dropped. It has no `Debug`: it may hold a secret.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Https {
    /// A client that trusts `authorities` (in PEM), or the public ones without them.
    ///
    /// # Errors
    /// [`Problem::Tls`], if the authorities cannot be used.
    pub(super) fn new(authorities: Option<&str>) -> Result<Self, Problem> {
        let roots = match authorities {
            Some(pem) => Arc::new(read(pem)?),
            None => Arc::clone(&PUBLIC),
        };
        Self::build(roots, |connector| connector.https_only())
    }

    /// A client that also speaks without TLS, to what is on the operator's own node. Whoever uses it sees to it that nothing else is called.
    ///
    /// # Errors
    /// [`Problem::Tls`].
    pub(super) fn local() -> Result<Self, Problem> {
        Self::build(Arc::clone(&PUBLIC), |connector| connector.https_or_http())
    }

    fn build(
        roots: Arc<RootCertStore>,
        schemes: impl FnOnce(
            HttpsConnectorBuilder<WantsSchemes>,
        ) -> HttpsConnectorBuilder<WantsProtocols1>,
    ) -> Result<Self, Problem> {
        let tls = |error: rustls::Error| Problem::Tls(error.to_string());
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let connector = schemes(HttpsConnectorBuilder::new().with_tls_config(config))
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self { client })
    }

    /// Whether anything answers at the host of `address`: with what status, and in how many bytes, says nothing.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) async fn answers(&self, address: &str) -> Result<(), Problem> {
        let host = address.strip_prefix("https://").unwrap_or(address);
        let host = host.split(['/', '?']).next().unwrap_or_default();
        let request = Request::get(format!("https://{host}/")).body(Full::default());
        let request = request.map_err(|_| Problem::Spec("it has no address".to_owned()))?;
        match self.send(request).await {
            Ok(_) | Err(Problem::Redirect(_) | Problem::TooLong(_)) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Sends `request` and reads its answer.
    ///
    /// # Errors
    /// Why there is none, or that it leads elsewhere. Other statuses are for the caller to judge.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Problem> {
        timeout(Duration::from_secs(REQUEST), self.exchange(request))
            .await
            .unwrap_or(Err(Problem::TimedOut(REQUEST)))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Problem> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| unanswered(&error))?;
        let (head, body) = response.into_parts();
        if head.status.is_redirection() {
            return Err(Problem::Redirect(head.status.as_u16()));
        }
        let mut body = Limited::new(body, MAX_ANSWER);
        // Room for most answers from the start: a vector that grows leaves copies behind.
        let mut whole = Zeroizing::new(Vec::with_capacity(32 * 1024));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    Problem::TooLong(MAX_ANSWER)
                } else {
                    unanswered(&*error)
                }
            })?;
            if let Some(data) = frame.data_ref() {
                whole.extend_from_slice(data);
            }
        }
        Ok(Answer {
            status: head.status,
            body: whole,
        })
    }
}

/// The authorities of the public internet, as Mozilla keeps them.
static PUBLIC: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    Arc::new(RootCertStore::from_iter(
        webpki_roots::TLS_SERVER_ROOTS.iter().cloned(),
    ))
});

fn read(pem: &str) -> Result<RootCertStore, Problem> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate
            .map_err(|_| ())
            .and_then(|certificate| roots.add(certificate).map_err(|_| ()));
        if added.is_err() {
            return Err(Problem::Tls(
                "an authority of caBundle cannot be read".to_owned(),
            ));
        }
    }
    Ok(roots)
}

/// Why there is no answer: TLS, or everything before it.
fn unanswered(error: &(dyn Error + 'static)) -> Problem {
    match tls(error) {
        Some(error) => Problem::Tls(error.to_string()),
        None => Problem::Address(root(error)),
    }
}

/// The error of TLS that is behind `error`, if there is one. An `io::Error` has its cause inside, and names as its source the cause of that.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let inside: Option<&'a (dyn Error + 'static)> = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .map(|inner| inner as &(dyn Error + 'static));
    error
        .downcast_ref::<rustls::Error>()
        .or_else(|| inside.and_then(tls))
        .or_else(|| error.source().and_then(tls))
}

/// The last cause, which is the one that says something.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests;

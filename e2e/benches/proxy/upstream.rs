//! The provider's stand-in: HTTPS on loopback, answers at once or by events, and notes every request that is not the one it expects.

mod reply;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_e2e::pki::{Authority, Subject};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Fidelity, Fixture};
use crate::machine::Cores;
use reply::Reply;

/// The name in the certificate.
pub(crate) const HOST: &str = "localhost";
/// How many wrong requests are kept to be shown.
const SHOWN: usize = 5;

/// A listener with one set of protocols.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    asked: AtomicU64,
    handshakes: AtomicU64,
    suites: Mutex<BTreeSet<String>>,
    complaints: Mutex<Vec<String>>,
}

impl Upstream {
    /// Starts it on a thread of its own, which ends with the program. `protocols` are offered by ALPN; requests must be the caller's as far as
    /// `fidelity` demands.
    pub(crate) fn start(
        cores: &Cores,
        authority: &Authority,
        fixture: &Arc<Fixture>,
        protocols: &[&str],
        fidelity: Fidelity,
    ) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .context("binding the upstream")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let acceptor = acceptor(authority, protocols)?;
        let tally = Arc::new(Tally::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (cores, fixture, shared) = (cores.clone(), Arc::clone(fixture), Arc::clone(&tally));
        thread::Builder::new()
            .name("upstream".into())
            .spawn(move || {
                let ended = cores.stay_beside_the_upstream().and_then(|()| {
                    runtime.block_on(serve(
                        listener,
                        acceptor,
                        fixture,
                        Arc::clone(&shared),
                        fidelity,
                    ))
                });
                if let Err(error) = ended {
                    shared.complain(format!("the upstream ended: {error:#}"));
                }
            })?;
        Ok(Self { address, tally })
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.tally.requests.load(Ordering::Relaxed)
    }

    /// Requests so far that asked what their stream uses.
    pub(crate) fn asked(&self) -> u64 {
        self.tally.asked.load(Ordering::Relaxed)
    }

    /// Connections so far: each is one TLS handshake.
    pub(crate) fn handshakes(&self) -> u64 {
        self.tally.handshakes.load(Ordering::Relaxed)
    }

    /// The cipher suites that callers and proxies agreed on with it.
    pub(crate) fn suites(&self) -> Vec<String> {
        let suites = self
            .tally
            .suites
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        suites.iter().cloned().collect()
    }

    /// Fails if any request since it was last asked was not the expected one.
    pub(crate) fn check(&self) -> Result<()> {
        let complaints = std::mem::take(
            &mut *self
                .tally
                .complaints
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if complaints.is_empty() {
            return Ok(());
        }
        bail!(
            "wrong requests reached the provider: {}",
            complaints.join("; ")
        )
    }
}

impl Tally {
    fn complain(&self, complaint: String) {
        let mut complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if complaints.len() < SHOWN {
            complaints.push(complaint);
        }
    }
}

fn acceptor(authority: &Authority, protocols: &[&str]) -> Result<TlsAcceptor> {
    let identity = authority.issue(&Subject {
        name: HOST,
        group: None,
        hosts: &[HOST, "127.0.0.1"],
    })?;
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
    fixture: Arc<Fixture>,
    tally: Arc<Tally>,
    fidelity: Fidelity,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        let connection = connection(
            stream,
            acceptor.clone(),
            Arc::clone(&fixture),
            Arc::clone(&tally),
            fidelity,
        );
        // The end of the program ends them: nothing waits for a connection.
        tokio::spawn(connection);
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    fixture: Arc<Fixture>,
    tally: Arc<Tally>,
    fidelity: Fidelity,
) {
    let served = async {
        stream.set_nodelay(true)?;
        let stream = acceptor.accept(stream).await.context("in the handshake")?;
        tally.handshakes.fetch_add(1, Ordering::Relaxed);
        if let Some(suite) = stream.get_ref().1.negotiated_cipher_suite() {
            tally
                .suites
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(format!("{:?}", suite.suite()));
        }
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let service =
            service_fn(|req| answer(req, Arc::clone(&fixture), Arc::clone(&tally), fidelity));
        let stream = TokioIo::new(stream);
        // How a connection ends is the proxies' business: a program that stops does not always say goodbye.
        let _ = match http2 {
            true => {
                http2::Builder::new(TokioExecutor::new())
                    .serve_connection(stream, service)
                    .await
            }
            false => {
                http1::Builder::new()
                    .serve_connection(stream, service)
                    .await
            }
        };
        anyhow::Ok(())
    };
    if let Err(error) = served.await {
        tally.complain(format!("{error:#}"));
    }
}

async fn answer(
    req: Request<Incoming>,
    fixture: Arc<Fixture>,
    tally: Arc<Tally>,
    fidelity: Fidelity,
) -> Result<Response<Reply>, Infallible> {
    if fidelity == Fidelity::Meaning && req.method() == Method::GET {
        // A gateway may look around before it is called.
        return Ok(Response::new(Reply::new(&Arc::from([Bytes::from_static(
            br#"{"object":"list","data":[]}"#,
        )]))));
    }
    tally.requests.fetch_add(1, Ordering::Relaxed);
    let (head, body) = req.into_parts();
    let found = match body.collect().await {
        Ok(body) => fixture.answer(
            head.method.as_str(),
            head.uri.path(),
            &head.headers,
            &body.to_bytes(),
            fidelity,
        ),
        Err(error) => Err(error).context("a broken body"),
    };
    let answer = match found {
        Ok(answer) => answer,
        Err(complaint) => {
            tally.complain(format!("{complaint:#}"));
            let mut res = Response::new(Reply::nothing());
            *res.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(res);
        }
    };
    tally
        .asked
        .fetch_add(u64::from(answer.was_asked), Ordering::Relaxed);
    let mut res = Response::new(Reply::new(&answer.pieces));
    *res.headers_mut() = answer.headers.clone();
    Ok(res)
}

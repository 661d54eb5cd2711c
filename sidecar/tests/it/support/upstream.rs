//! An upstream that answers as it is told and remembers what it saw.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Notify, mpsc, watch},
};
use tokio_rustls::TlsAcceptor;

/// A body of the upstream; an error in it breaks its connection off.
pub(crate) type Body = BoxBody<Bytes, std::io::Error>;
type Handler = dyn Fn(&Parts, &Bytes) -> Response<Body> + Send + Sync;

/// What the upstream speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Plaintext,
}

/// A certificate authority of one's own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        // A name of its own, so that one authority is not taken for another with a wrong signature.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = format!("authority {number} of the test");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate, as it stands in a ConfigMap.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    fn server_config(&self, names: &[&str], protocol: Protocol) -> ServerConfig {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &self.0)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let alpn: &[u8] = match protocol {
            Protocol::Http2 => b"h2",
            Protocol::Http1 | Protocol::Plaintext => b"http/1.1",
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }
}

/// One request as the upstream saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authority: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Seen {
    /// The value of a header, which must not be there twice.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }
}

/// A running upstream.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) authority: Arc<Authority>,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    retiring: Arc<Notify>,
    is_held: watch::Sender<bool>,
}

impl Upstream {
    /// One that answers every request with `handler`, and has a certificate for the address that it listens on.
    pub(crate) async fn answering(
        protocol: Protocol,
        handler: impl Fn(&Parts, &Bytes) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::with_names(protocol, &["127.0.0.1", "localhost"], handler).await
    }

    /// One with a certificate for `names`.
    pub(crate) async fn with_names(
        protocol: Protocol,
        names: &[&str],
        handler: impl Fn(&Parts, &Bytes) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = Arc::new(Authority::new());
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_config(names, protocol)));
        let upstream = Self {
            address: listener.local_addr().unwrap(),
            protocol,
            authority,
            seen: Arc::default(),
            connections: Arc::default(),
            retiring: Arc::default(),
            is_held: watch::Sender::new(false),
        };
        let handler: Arc<Handler> = Arc::new(handler);
        let this = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (this, handler, acceptor) = (this.clone(), handler.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if protocol == Protocol::Plaintext {
                        this.serve(stream, handler).await;
                    } else if let Ok(stream) = acceptor.accept(stream).await {
                        this.serve(stream, handler).await;
                    }
                });
            }
        });
        upstream
    }

    /// One that says `{"ok":true}`.
    pub(crate) async fn ok(protocol: Protocol) -> Self {
        Self::answering(protocol, |_, _| Response::new(full("{\"ok\":true}"))).await
    }

    async fn serve<IO>(&self, stream: IO, handler: Arc<Handler>)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let service = service_fn(|request: Request<Incoming>| {
            let (this, handler) = (self.clone(), handler.clone());
            async move {
                let (parts, body) = request.into_parts();
                let collected = body.collect().await;
                let (body, trailers) = match collected {
                    Ok(collected) => {
                        let trailers = collected.trailers().cloned();
                        (collected.to_bytes(), trailers)
                    }
                    Err(_) => return Ok::<_, Infallible>(Response::new(full("broken"))),
                };
                this.seen.lock().unwrap().push(Seen {
                    method: parts.method.to_string(),
                    target: parts.uri.path_and_query().unwrap().to_string(),
                    authority: parts.uri.authority().map(ToString::to_string),
                    version: parts.version,
                    headers: parts.headers.clone(),
                    body: body.clone(),
                    trailers,
                });
                let mut is_held = this.is_held.subscribe();
                let _ = is_held.wait_for(|is_held| !is_held).await;
                Ok(handler(&parts, &body))
            }
        });
        let io = TokioIo::new(stream);
        // A test that breaks a connection off expects the error.
        let _ = if self.protocol == Protocol::Http2 {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(io, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = self.retiring.notified() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        } else {
            hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .await
        };
    }

    /// Keeps requests waiting for their answers, or lets them go on.
    pub(crate) fn hold(&self, is_held: bool) {
        self.is_held.send_replace(is_held);
    }

    /// Tells the callers on all HTTP/2 connections to go elsewhere with new requests, and lets the running ones end.
    pub(crate) fn retire(&self) {
        self.retiring.notify_waiters();
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that there was.
    pub(crate) fn saw_one(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().unwrap()
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Its address as an `endpoint`, without a path.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.protocol == Protocol::Plaintext {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{}", self.address)
    }
}

/// A body that is there at once.
pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body that is told what to send while it is read.
pub(crate) fn stream() -> (mpsc::UnboundedSender<std::io::Result<Frame<Bytes>>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, BoxBody::new(Told(receiver)))
}

struct Told(mpsc::UnboundedReceiver<std::io::Result<Frame<Bytes>>>);

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(cx)
    }
}

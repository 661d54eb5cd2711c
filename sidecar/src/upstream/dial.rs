//! Opens one connection: name, address check, TCP, TLS. What is dialled is the very address that was checked.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Origin, SendError,
    address::{self, Refusal},
};

/// How long an address may hesitate before the next one is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A connection to an upstream, verified unless the spec allows plain text.
pub(super) enum Stream {
    /// An `http://` endpoint.
    Plain(TcpStream),
    /// Everything else.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether the other side chose HTTP/2.
    pub(super) fn speaks_h2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

/// Opens a connection to `origin`.
pub(super) async fn dial(origin: &Origin) -> Result<Stream, SendError> {
    let addresses = resolve(origin).await?;
    let tcp = connect(addresses).await.map_err(SendError::Unreachable)?;
    tune(&tcp).map_err(SendError::Unreachable)?;
    match &origin.tls {
        None => Ok(Stream::Plain(tcp)),
        Some((config, name)) => {
            let connector = TlsConnector::from(config.clone());
            let stream = connector
                .connect(name.clone(), tcp)
                .await
                .map_err(SendError::Tls)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

/// The addresses of `origin` that may be dialled.
async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>, SendError> {
    let cluster_api = &origin.shared.cluster_api;
    let (found, of_the_api) = tokio::join!(
        tokio::net::lookup_host((origin.host.as_str(), origin.port)),
        cluster_api.addresses(),
    );
    let found: Vec<SocketAddr> = found.map_err(SendError::Unresolved)?.collect();
    let check = |address| {
        // Two look-ups of one name may have two answers.
        if cluster_api.is_called(&origin.host) {
            return Err(Refusal::ClusterApi);
        }
        address::check(&origin.host, address, &of_the_api)
    };
    let mut refused = None;
    let mut allowed = Vec::with_capacity(found.len());
    for found in found {
        match check(found.ip()) {
            Ok(()) => allowed.push(found),
            Err(refusal) => refused = refused.or(Some((found.ip(), refusal))),
        }
    }
    match (allowed.is_empty(), refused) {
        (true, Some((address, refusal))) => Err(SendError::Refused { address, refusal }),
        (true, None) => Err(SendError::Unresolved(io::Error::other(
            "the name has no address",
        ))),
        (false, _) => Ok(allowed),
    }
}

/// The first of `addresses` that takes a connection. Each next one is tried when the one before failed or hesitates.
async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    // Dropping the set ends the attempts that lost.
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::other("there was no address to try");
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(failure);
        }
        let ended = if waiting.len() == 0 {
            attempts.join_next().await
        } else {
            tokio::time::timeout(ATTEMPT_DELAY, attempts.join_next())
                .await
                .unwrap_or_default()
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => failure = error,
            Some(Err(panicked)) => failure = io::Error::other(panicked),
            None => {}
        }
    }
}

/// No Nagle, and probes that find out when the other side vanished in the middle of a long stream.
fn tune(tcp: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    tcp.set_nodelay(true)?;
    sockopt::set_socket_keepalive(tcp, true)?;
    sockopt::set_tcp_keepidle(tcp, Duration::from_secs(30))?;
    sockopt::set_tcp_keepintvl(tcp, Duration::from_secs(10))?;
    sockopt::set_tcp_keepcnt(tcp, 3)?;
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}

//! Callers: a well-behaved one for HTTP/1.1 and HTTP/2, and one that sends bytes as they are.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Body, full};

/// One connection to the sidecar.
pub(crate) struct Client {
    address: SocketAddr,
    sender: Sender,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
    body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The reason, which only answers of the sidecar's own have.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.header("postern-reason")
    }

    pub(crate) fn request_id(&self) -> &str {
        self.header("postern-request-id").unwrap()
    }

    async fn read(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        Self {
            status: parts.status,
            headers: parts.headers,
            trailers: collected.trailers().cloned(),
            body: collected.to_bytes(),
        }
    }
}

impl Client {
    pub(crate) async fn http1(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self {
            address,
            sender: Sender::Http1(sender),
        }
    }

    /// HTTP/2 with prior knowledge.
    pub(crate) async fn http2(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self {
            address,
            sender: Sender::Http2(sender),
        }
    }

    /// A request for `path`, ready to be changed.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let builder = Request::builder().method(method);
        match self.sender {
            Sender::Http1(_) => builder.uri(path).header("host", self.address.to_string()),
            Sender::Http2(_) => builder.version(Version::HTTP_2).uri(
                format!("http://{}{path}", self.address)
                    .parse::<Uri>()
                    .unwrap(),
            ),
        }
    }

    /// The response as soon as its head is there.
    pub(crate) async fn open(
        &mut self,
        request: Request<Body>,
    ) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// The whole answer.
    pub(crate) async fn send(&mut self, request: Request<Body>) -> Answer {
        let response = super::soon("the sidecar answered", self.open(request)).await;
        super::soon("the answer ended", Answer::read(response.unwrap())).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        let request = self.request("GET", path).body(full("")).unwrap();
        self.send(request).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &'static str) -> Answer {
        let request = self.request("POST", path).body(full(body)).unwrap();
        self.send(request).await
    }
}

/// Sends `bytes` as they are and returns everything that comes back until the sidecar closes the connection.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut received = Vec::new();
    super::soon("the sidecar closed the connection", async {
        let (mut read, mut write) = stream.split();
        // The sidecar may have had enough before all is written.
        let (_, read) = tokio::join!(write.write_all(bytes), read.read_to_end(&mut received));
        read.unwrap();
    })
    .await;
    String::from_utf8_lossy(&received).into_owned()
}

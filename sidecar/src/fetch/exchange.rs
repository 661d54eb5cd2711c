//! One question to the operator over a connection of its own. Nothing is sent before it is known who is there.

use std::sync::Arc;

use http::{
    Request, StatusCode, Uri,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::{Body as _, Bytes},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use postern_crds::{
    bundle::{Error as BundleError, Fetch, MAX_BYTES},
    control::{FETCH_PATH, TICKET_HEADER},
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::Error;
use crate::{upstream::tls, wiped};

/// The port of an address that says none.
const HTTPS: u16 = 443;

/// What the operator at the address in `fetch` answers to who shows `token`.
pub(super) async fn get(fetch: &Fetch, token: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let address: Uri = fetch.address.parse().map_err(|_| Error::Address)?;
    let authority = address.authority().ok_or(Error::Address)?;
    let host = authority.host();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Error::Address)?;
    if address.scheme_str() != Some("https") {
        return Err(Error::Address);
    }
    let header = |parts: &[&[u8]]| wiped::header(parts).map_err(|_| Error::Header);
    let request = Request::get(FETCH_PATH)
        .header(HOST, authority.as_str())
        .header(AUTHORIZATION, header(&[b"Bearer ", token.trim_ascii()])?)
        .header(TICKET_HEADER, header(&[fetch.ticket.expose()])?)
        .body(Empty::<Bytes>::new())
        .map_err(|_| Error::Header)?;

    let config = tls::only(&fetch.authorities).map_err(Error::Trust)?;
    let port = authority.port_u16().unwrap_or(HTTPS);
    let tcp = TcpStream::connect((host, port)).await;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp.map_err(Error::Unreachable)?)
        .await
        .map_err(Error::Tls)?;
    let handshake = http1::handshake(TokioIo::new(tls)).await;
    let (mut sender, connection) = handshake.map_err(Error::Broken)?;
    let exchange = async move {
        let mut response = sender.send_request(request).await.map_err(Error::Broken)?;
        if response.status() != StatusCode::OK {
            return Err(Error::Refused(response.status().as_u16()));
        }
        // Never larger than this, and never copied: what is left of it is wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(Error::Broken)?;
            let data = frame.data_ref().map_or(&[][..], |data| data);
            let length = bytes.len() + data.len();
            if length > MAX_BYTES {
                return Err(BundleError::TooLarge(length).into());
            }
            bytes.extend_from_slice(data);
            if response.body().is_end_stream() {
                break;
            }
        }
        Ok(bytes)
    };
    // The connection is driven until the exchange lets go of it. What it ends with shows in the exchange.
    let (bytes, _) = tokio::join!(exchange, connection);
    bytes
}

//! What AWS's libraries send goes over a store's own client: the same TLS, the same bounds, and no redirects.

use std::fmt;

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;

use crate::stores::{https::Https, problem::Problem};

/// A client as AWS's libraries want one. A [`Problem`] of it is among the sources of their errors.
#[derive(Clone)]
pub(super) struct Wire(Https);

impl Wire {
    pub(super) fn new(https: &Https) -> Self {
        Self(https.clone())
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let https = self.0.clone();
        HttpConnectorFuture::new(async move {
            let sent = exchange(&https, request).await;
            sent.map_err(|problem| ConnectorError::other(Box::new(problem), None))
        })
    }
}

async fn exchange(https: &Https, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let request = request.try_into_http1x().map_err(|_| Problem::Malformed)?;
    let (head, body) = request.into_parts();
    // None of the operations streams its body.
    let body = Bytes::copy_from_slice(body.bytes().unwrap_or_default());
    let answer = https
        .send(Request::from_parts(head, Full::new(body)))
        .await?;
    Ok(HttpResponse::new(
        answer.status.into(),
        // It is wiped when the library has read it.
        SdkBody::from(Bytes::from_owner(answer.body)),
    ))
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

//! What Kubernetes does for OpenBao's Kubernetes logins: it reviews tokens. Here it believes every token's own words.

use std::convert::Infallible;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// A reviewer of tokens, which ends when dropped.
pub(crate) struct Reviewer {
    address: String,
    _task: JoinSet<()>,
}

impl Reviewer {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let served =
                    http1::Builder::new().serve_connection(TokioIo::new(tcp), service_fn(answer));
                // OpenBao closes when it has had enough.
                let _ = served.await;
            }
        });
        Ok(Self {
            address,
            _task: task,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let status = review(&asked["spec"]).unwrap_or_else(|_| json!({ "authenticated": false }));
    let answer = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status });
    let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
    let json = "application/json".parse().unwrap();
    response.headers_mut().insert("content-type", json);
    Ok(response)
}

/// Whose token it is, if it is for one of the audiences that are asked for.
fn review(spec: &Value) -> Result<Value> {
    let token = spec["token"].as_str().context("a token")?;
    let payload = token.split('.').nth(1).context("a JWT")?;
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload)?)?;
    let audiences = spec["audiences"].as_array().context("audiences")?;
    let audience = &claims["aud"][0];
    Ok(json!({
        "authenticated": audiences.contains(audience),
        "audiences": [audience],
        "user": {
            "username": claims["sub"],
            "uid": claims["kubernetes.io"]["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts"],
        },
    }))
}

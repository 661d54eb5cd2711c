//! A store of a test's own: a server that speaks TLS and answers as the test says, and an API server that has what a store names.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{own::Own, problem::Problem};

/// Fails unless `problem` has this reason, is definitive or not, and repeats nothing of an answer that has `hunter2` in it. `shown` tells the case.
pub(super) fn assert_told(problem: &Problem, told: (&str, bool), shown: &str) {
    assert_eq!((problem.reason(), problem.is_definitive()), told, "{shown}");
    assert!(
        !format!("{problem} {problem:?}").contains("hunter2"),
        "{shown}"
    );
}

/// What the server was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// As in `GET /v1/secret/data/a?version=1`.
    pub(super) line: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// What it answers.
pub(super) struct Said(pub(super) u16, pub(super) String);

impl From<(u16, Value)> for Said {
    fn from((status, body): (u16, Value)) -> Self {
        Self(status, body.to_string())
    }
}

/// A running server, which ends when dropped.
pub(super) struct Server {
    address: SocketAddr,
    /// Whom to trust for its certificate.
    pub(super) authority: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&asked));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (tls, answer, seen) = (tls.clone(), Arc::clone(&answer), Arc::clone(&seen));
                connections.spawn(async move {
                    // Clients that do not trust us hang up here.
                    let Ok(stream) = tls.accept(tcp).await else {
                        return;
                    };
                    let service = service_fn(move |request: Request<Incoming>| {
                        let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                        async move {
                            let asked = read(request).await;
                            seen.lock().unwrap().push(asked.clone());
                            let Said(status, body) = answer(&asked);
                            let mut response = Response::new(Full::new(Bytes::from(body)));
                            *response.status_mut() = StatusCode::from_u16(status).unwrap();
                            if status == 307 {
                                let elsewhere = "https://127.0.0.1:1/".parse().unwrap();
                                response.headers_mut().insert("location", elsewhere);
                            }
                            Ok::<_, Infallible>(response)
                        }
                    });
                    let served =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // The client closes when it has had enough.
                    let _ = served.await;
                });
            }
        });
        Self {
            address,
            authority: issuer.pem(),
            asked,
            _tasks: tasks,
        }
    }

    /// Its address, as a store names it.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Everything that it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The lines of that.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Asked {
        line: format!("{} {}", head.method, head.uri),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

/// The operator's namespace `postern-system`, with these objects in it by path, as in `secrets/vault`. A service account's token says whose it is and for
/// whom. Objects can be changed later.
#[derive(Clone, Default)]
pub(super) struct Home(Arc<Mutex<BTreeMap<String, Value>>>);

impl Home {
    /// Puts a Secret there.
    pub(super) fn secret(self, name: &str, key: &str, value: &str) -> Self {
        let data = json!({ key: BASE64_STANDARD.encode(value) });
        self.put(&format!("secrets/{name}"), json!({ "data": data }))
    }

    /// Puts a ConfigMap there.
    pub(super) fn config_map(self, name: &str, key: &str, value: &str) -> Self {
        self.put(
            &format!("configmaps/{name}"),
            json!({ "data": { key: value } }),
        )
    }

    fn put(self, path: &str, mut object: Value) -> Self {
        object["metadata"] = json!({ "name": path });
        let mut objects = self.0.lock().unwrap();
        json_patch::merge(objects.entry(path.to_owned()).or_default(), &object);
        drop(objects);
        self
    }

    pub(super) fn own(&self) -> Own {
        Own::new(
            self.client(),
            "postern-system".to_owned(),
            Some("postern-controller".to_owned()),
        )
    }

    /// A client that finds the objects in every namespace, and `namespaces/agents` with the label `team: ai`.
    pub(super) fn client(&self) -> Client {
        let objects = Arc::clone(&self.0);
        let service = tower::service_fn(move |request: Request<Body>| {
            let objects = Arc::clone(&objects);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let path = head.uri.path().trim_start_matches("/api/v1/");
                let path = path.trim_start_matches("namespaces/postern-system/");
                let found = if path == "namespaces/agents" {
                    Some(json!({
                        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                        "metadata": { "name": "agents", "labels": { "team": "ai" } },
                    }))
                } else if let Some(account) = path.strip_suffix("/token") {
                    let asked: Value = serde_json::from_slice(&body).unwrap();
                    let audience = asked["spec"]["audiences"][0].as_str().unwrap();
                    let token = format!("{account} for {audience}");
                    Some(json!({
                        "metadata": {}, "spec": { "audiences": [] },
                        "status": { "token": token, "expirationTimestamp": "2030-01-01T00:00:00Z" },
                    }))
                } else {
                    objects.lock().unwrap().get(path).cloned()
                };
                let (status, object) = match found {
                    Some(object) => (200, object),
                    None => (
                        404,
                        json!({
                            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                            "message": "not found", "reason": "NotFound",
                        }),
                    ),
                };
                let response = Response::builder()
                    .status(status)
                    .body(Body::from(object.to_string().into_bytes()))
                    .unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        Client::new(service, "default")
    }
}

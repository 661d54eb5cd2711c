//! The part of the Kubernetes API that the authority uses: one Secret with optimistic concurrency, one webhook configuration.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// A handle on the API; clones share it.
#[derive(Clone)]
pub(super) struct FakeApi(Arc<Mutex<State>>);

struct State {
    secret: Option<Value>,
    configuration: Value,
    version: u64,
    writes: Vec<String>,
}

impl FakeApi {
    pub(super) fn new() -> Self {
        let api = Self(Arc::new(Mutex::new(State {
            secret: None,
            configuration: Value::Null,
            version: 1,
            writes: Vec::new(),
        })));
        api.set_webhook("inject.postern.dev");
        api
    }

    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await.expect("a body in memory").to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or_default();
                // Others get a chance between any two calls of one replica.
                tokio::task::yield_now().await;
                let (status, answer) =
                    api.0
                        .lock()
                        .unwrap()
                        .handle(&parts.method, parts.uri.path(), &body);
                let body = Body::from(answer.to_string().into_bytes());
                let mut response = Response::new(body);
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        Client::new(service, "postern")
    }

    /// The `caBundle` that the API server has.
    pub(super) fn bundle(&self) -> String {
        let state = self.0.lock().unwrap();
        let bundle = state.configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str();
        String::from_utf8(STANDARD.decode(bundle.unwrap_or_default()).unwrap()).unwrap()
    }

    /// Every write that succeeded.
    pub(super) fn writes(&self) -> Vec<String> {
        self.0.lock().unwrap().writes.clone()
    }

    pub(super) fn delete_secret(&self) {
        self.0.lock().unwrap().secret = None;
    }

    pub(super) fn set_secret(&self, data: &Value) {
        let metadata = json!({"name": "postern-webhook-ca", "resourceVersion": "0"});
        self.0.lock().unwrap().secret = Some(json!({"metadata": metadata, "data": data}));
    }

    pub(super) fn set_webhook(&self, name: &str) {
        let service = json!({"name": "postern-webhook", "namespace": "postern", "path": "/inject"});
        self.0.lock().unwrap().configuration = json!({
            "metadata": {"name": "postern"},
            "webhooks": [{
                "name": name,
                "clientConfig": {"service": service},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
    }
}

impl State {
    fn handle(&mut self, method: &Method, path: &str, body: &Value) -> (StatusCode, Value) {
        const SECRETS: &str = "/api/v1/namespaces/postern/secrets";
        const SECRET: &str = "/api/v1/namespaces/postern/secrets/postern-webhook-ca";
        const CONFIGURATION: &str =
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/postern";
        let conflict = (StatusCode::CONFLICT, status(409, "Conflict"));
        match (method.as_str(), path) {
            ("GET", SECRET) => match &self.secret {
                Some(secret) => (StatusCode::OK, secret.clone()),
                None => (StatusCode::NOT_FOUND, status(404, "NotFound")),
            },
            ("POST", SECRETS) if self.secret.is_some() => conflict,
            ("POST", SECRETS) => self.store("POST secrets", body),
            ("PUT", SECRET) => {
                let current = self
                    .secret
                    .as_ref()
                    .map(|secret| &secret["metadata"]["resourceVersion"]);
                if current != Some(&body["metadata"]["resourceVersion"]) {
                    return conflict;
                }
                self.store("PUT secret", body)
            }
            ("GET", CONFIGURATION) => (StatusCode::OK, self.configuration.clone()),
            ("PATCH", CONFIGURATION) => {
                let bundle = &body["webhooks"][0]["clientConfig"]["caBundle"];
                self.configuration["webhooks"][0]["clientConfig"]["caBundle"] = bundle.clone();
                self.writes.push("PATCH configuration".into());
                (StatusCode::OK, self.configuration.clone())
            }
            _ => panic!("{method} {path}: the authority has no right to this"),
        }
    }

    fn store(&mut self, what: &str, body: &Value) -> (StatusCode, Value) {
        self.version += 1;
        let mut secret = body.clone();
        secret["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.secret = Some(secret.clone());
        self.writes.push(what.into());
        (StatusCode::OK, secret)
    }
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "", "reason": reason, "code": code})
}

/// A Secret's data whose certificate and key were made apart.
pub(super) fn mixed_pair() -> Value {
    let pair = || rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
    let encode = |text: String| STANDARD.encode(text);
    json!({"tls.crt": encode(pair().cert.pem()), "tls.key": encode(pair().signing_key.serialize_pem())})
}

//! An API server in memory: enough of one for what the operator asks of it.
//!
//! It keeps objects, versions and generations, lists and watches, compares `resourceVersion` on replacement and takes server-side applies.
//! Field ownership is left to the real cluster's tests: an apply here merges.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::{StreamExt as _, channel::mpsc, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use kube::{Client, client::Body};
use serde_json::{Value, json};

type ResponseBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// Where an object is: resource, namespace, name.
type Key = (String, String, String);

/// A handle on the server. A clone is the same server.
#[derive(Clone, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    /// The members of an object's status that a field manager applied last.
    applied: BTreeMap<(Key, String), Vec<String>>,
    version: u64,
    watches: Vec<Watch>,
    /// Every request, as `GET secrets/agents/name`.
    requests: Vec<String>,
    faults: Vec<Fault>,
}

struct Watch {
    resource: String,
    namespace: Option<String>,
    label: Option<String>,
    events: mpsc::UnboundedSender<Bytes>,
}

struct Fault {
    request: String,
    status: u16,
}

/// One request's target.
struct Target {
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

impl ApiServer {
    /// A client of this server.
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Creates or replaces an object, as a user would.
    pub(crate) fn put(&self, resource: &str, mut object: Value) {
        let mut state = self.0.lock().unwrap();
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or(default_namespace(resource))
            .to_owned();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let key = (resource.to_owned(), namespace, name);
        if let Some(before) = state.objects.get(&key) {
            object["metadata"]["uid"] = before["metadata"]["uid"].clone();
            object["status"] = before["status"].clone();
        }
        state.store(&key, object);
    }

    /// Changes an object in place, as a user would.
    pub(crate) fn edit(&self, resource: &str, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut state = self.0.lock().unwrap();
        let key = key(resource, name);
        let mut object = state.objects.get(&key).cloned().unwrap();
        edit(&mut object);
        state.store(&key, object);
    }

    /// Removes an object.
    pub(crate) fn delete(&self, resource: &str, name: &str) {
        let mut state = self.0.lock().unwrap();
        let key = key(resource, name);
        let object = state.objects.remove(&key).unwrap();
        state.tell("DELETED", &key, &object);
    }

    /// An object as it is now; `Null` if there is none.
    pub(crate) fn object(&self, resource: &str, name: &str) -> Value {
        self.0
            .lock()
            .unwrap()
            .objects
            .get(&key(resource, name))
            .cloned()
            .unwrap_or_default()
    }

    /// All objects of `resource`.
    pub(crate) fn objects(&self, resource: &str) -> Vec<Value> {
        let state = self.0.lock().unwrap();
        state
            .objects
            .iter()
            .filter(|((r, _, _), _)| r == resource)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// From now on, requests that start so (`GET secrets/agents/a`) are answered with `status`.
    pub(crate) fn fail(&self, request: &str, status: u16) {
        self.0.lock().unwrap().faults.push(Fault {
            request: request.to_owned(),
            status,
        });
    }

    /// Ends all faults.
    pub(crate) fn mend(&self) {
        self.0.lock().unwrap().faults.clear();
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.lock().unwrap().requests.clone()
    }

    /// Every request so far that writes; not those that keep the Lease.
    pub(crate) fn writes(&self) -> Vec<String> {
        let mut requests = self.requests();
        requests.retain(|request| {
            let reads = ["GET ", "LIST ", "WATCH "]
                .iter()
                .any(|verb| request.starts_with(verb));
            !reads && !request.contains(" leases/")
        });
        requests
    }

    async fn answer(&self, request: Request<Body>) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let query: BTreeMap<String, String> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.replace("%2F", "/")))
            .collect();
        let target = Target::parse(parts.uri.path());
        let mut state = self.0.lock().unwrap();
        let watches = query.contains_key("watch");
        let verb = match (&parts.method, target.name.is_some()) {
            (&Method::GET, false) if watches => "WATCH",
            (&Method::GET, false) => "LIST",
            (method, _) => method.as_str(),
        };
        let shown = target.shown(verb);
        state.requests.push(shown.clone());
        if let Some(fault) = state
            .faults
            .iter()
            .find(|fault| shown.starts_with(&fault.request))
        {
            return failure(fault.status, "the test wants it so");
        }
        let manager = query.get("fieldManager").map_or("", String::as_str);
        match verb {
            "WATCH" => state.watch(&target, query.get("labelSelector")),
            "LIST" => {
                let accept = parts.headers.get("accept");
                let accept = accept.and_then(|accept| accept.to_str().ok());
                let is_whole = accept.is_none_or(|accept| !accept.contains("PartialObject"));
                state.list(&target, query.get("labelSelector"), is_whole)
            }
            _ => state.one(verb, &target, &body, manager),
        }
    }
}

impl Target {
    /// `/api/v1/namespaces/agents/secrets/name/status` and the like.
    fn parse(path: &str) -> Self {
        let mut segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let api = if segments[0] == "api" { 2 } else { 3 };
        segments.drain(..api);
        let namespace =
            (segments[0] == "namespaces" && segments.len() > 2).then(|| segments[1].to_owned());
        if namespace.is_some() {
            segments.drain(..2);
        }
        let segment = |index: usize| segments.get(index).map(|&segment| segment.to_owned());
        Self {
            resource: segments[0].to_owned(),
            namespace,
            name: segment(1),
            subresource: segment(2),
        }
    }

    fn shown(&self, verb: &str) -> String {
        let mut shown = format!(
            "{verb} {}/{}",
            self.resource,
            self.namespace.as_deref().unwrap_or("*")
        );
        for part in [&self.name, &self.subresource].into_iter().flatten() {
            shown = format!("{shown}/{part}");
        }
        shown
    }

    fn key(&self, name: &str) -> Key {
        (
            self.resource.clone(),
            self.namespace.clone().unwrap_or_default(),
            name.to_owned(),
        )
    }
}

impl State {
    fn store(&mut self, key: &Key, mut object: Value) -> Value {
        self.version += 1;
        let before = self.objects.get(key);
        let meta = &mut object["metadata"];
        meta["name"] = json!(key.2);
        if !key.1.is_empty() {
            meta["namespace"] = json!(key.1);
        }
        meta["resourceVersion"] = json!(self.version.to_string());
        if meta["uid"].is_null() {
            meta["uid"] = json!(format!("uid-{}", self.version));
        }
        let generation = before.map_or(0, |before| {
            before["metadata"]["generation"].as_i64().unwrap()
        });
        let changed = before.is_none_or(|before| before["spec"] != object["spec"]);
        object["metadata"]["generation"] = json!(generation + i64::from(changed));
        let event = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.objects.insert(key.clone(), object.clone());
        self.tell(event, key, &object);
        object
    }

    /// What a status is after `manager` applied `patch` to it: what it does not say any more is gone, what others said stays.
    fn apply(&mut self, key: &Key, status: &Value, patch: &Value, manager: &str) -> Value {
        let patch = patch.as_object().cloned().unwrap_or_default();
        let mut status = status.as_object().cloned().unwrap_or_default();
        let members = patch.keys().cloned().collect();
        let applied = self
            .applied
            .insert((key.clone(), manager.to_owned()), members);
        for member in applied.into_iter().flatten() {
            status.remove(&member);
        }
        status.extend(patch);
        status.into()
    }

    fn tell(&mut self, event: &str, key: &Key, object: &Value) {
        let line = Bytes::from(format!(
            "{}\n",
            json!({ "type": event, "object": typed(&key.0, object) })
        ));
        self.watches.retain(|watch| {
            let concerns = watch.resource == key.0
                && watch
                    .namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == key.1)
                && selected(object, watch.label.as_ref());
            !concerns || watch.events.unbounded_send(line.clone()).is_ok()
        });
    }

    fn watch(&mut self, target: &Target, label: Option<&String>) -> Response<ResponseBody> {
        let (events, receiver) = mpsc::unbounded();
        self.watches.push(Watch {
            resource: target.resource.clone(),
            namespace: target.namespace.clone(),
            label: label.cloned(),
            events,
        });
        let frames = receiver.map(|bytes| Ok(Frame::data(bytes)));
        Response::new(ResponseBody::new(StreamBody::new(frames)))
    }

    fn list(
        &self,
        target: &Target,
        label: Option<&String>,
        is_whole: bool,
    ) -> Response<ResponseBody> {
        let items: Vec<Value> = self
            .objects
            .iter()
            .filter(|((resource, namespace, _), object)| {
                *resource == target.resource
                    && target.namespace.as_ref().is_none_or(|ns| ns == namespace)
                    && selected(object, label)
            })
            .map(|(key, object)| match key.0.as_str() {
                "pods" if is_whole => object.clone(),
                resource => typed(resource, object),
            })
            .collect();
        let version = self.version.to_string();
        success(
            &json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": version }, "items": items }),
        )
    }

    fn one(
        &mut self,
        verb: &str,
        target: &Target,
        body: &[u8],
        manager: &str,
    ) -> Response<ResponseBody> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = target
            .name
            .clone()
            .unwrap_or_else(|| body["metadata"]["name"].as_str().unwrap().to_owned());
        let key = target.key(&name);
        let before = self.objects.get(&key).cloned();
        match (verb, before) {
            ("POST", _) if target.subresource.as_deref() == Some("token") => {
                let namespace = target.namespace.as_deref().unwrap_or_default();
                success(&token(namespace, &name, &body))
            }
            ("GET", Some(object)) => success(&typed(&target.resource, &object)),
            ("POST", None) => success(&self.store(&key, body)),
            ("POST", Some(_)) => failure(409, "it exists"),
            ("PUT", Some(before))
                if body["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"] =>
            {
                success(&self.store(&key, body))
            }
            ("PUT", Some(_)) => failure(409, "it was changed"),
            ("PATCH", Some(before)) if target.subresource.is_some() => {
                if body["metadata"]["uid"]
                    .as_str()
                    .is_some_and(|uid| before["metadata"]["uid"] != uid)
                {
                    return failure(409, "it is another one");
                }
                let status = self.apply(&key, &before["status"], &body["status"], manager);
                success(&self.store(&key, merged(before, &json!({ "status": status }), "status")))
            }
            ("PATCH", None) if target.subresource.is_none() => success(&self.store(&key, body)),
            ("PATCH", Some(before)) => success(&self.store(&key, merged(before, &body, "data"))),
            _ => failure(404, "it does not exist"),
        }
    }
}

/// Where objects of `resource` are, where a test does not say so.
fn default_namespace(resource: &str) -> &'static str {
    match resource {
        "credentialstores" | "namespaces" => "",
        _ => "agents",
    }
}

fn key(resource: &str, name: &str) -> Key {
    (
        resource.to_owned(),
        default_namespace(resource).to_owned(),
        name.to_owned(),
    )
}

/// A token of a service account as a JWT, which nobody has signed: whose it is, and for whom.
fn token(namespace: &str, account: &str, request: &Value) -> Value {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "sub": format!("system:serviceaccount:{namespace}:{account}"),
        "aud": request["spec"]["audiences"],
        "nbf": 1_700_000_000_u64,
        "exp": 4_000_000_000_u64,
        "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": account, "uid": "uid-of-account" } },
    });
    let header = part(&json!({ "alg": "ES256", "typ": "JWT" }));
    let mut answer = request.clone();
    answer["apiVersion"] = json!("authentication.k8s.io/v1");
    answer["kind"] = json!("TokenRequest");
    answer["status"] = json!({
        "token": format!("{header}.{}.{}", part(&claims), part(&json!("nobody"))),
        "expirationTimestamp": "2030-01-01T00:00:00Z",
    });
    answer
}

/// `before` with what `patch` says; all of its member `whole` is the patch's.
fn merged(mut before: Value, patch: &Value, whole: &str) -> Value {
    if !patch[whole].is_null() {
        before[whole] = Value::Null;
    }
    json_patch::merge(&mut before, patch);
    before
}

/// The object with the type that a client expects.
fn typed(resource: &str, object: &Value) -> Value {
    let (version, kind) = match resource {
        "agentidentities" => ("postern.dev/v1alpha1", "AgentIdentity"),
        "credentialstores" => ("postern.dev/v1alpha1", "CredentialStore"),
        "egresspolicies" => ("postern.dev/v1alpha1", "EgressPolicy"),
        "namespaces" => ("meta.k8s.io/v1", "PartialObjectMetadata"),
        "pods" => ("meta.k8s.io/v1", "PartialObjectMetadata"),
        "leases" => ("coordination.k8s.io/v1", "Lease"),
        "secrets" => ("v1", "Secret"),
        "configmaps" => ("v1", "ConfigMap"),
        "events" => ("events.k8s.io/v1", "Event"),
        other => panic!("nobody asked for {other} before"),
    };
    let mut object = object.clone();
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    object
}

/// Only selectors that ask for one label, or one value of it, are known here.
fn selected(object: &Value, label: Option<&String>) -> bool {
    let of = |label: &str| object["metadata"]["labels"][label].clone();
    label.is_none_or(|label| match label.split_once("%3D") {
        Some((label, value)) => of(label) == value,
        None => !of(label).is_null(),
    })
}

fn success(object: &Value) -> Response<ResponseBody> {
    respond(StatusCode::OK, object)
}

fn failure(code: u16, message: &str) -> Response<ResponseBody> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason });
    respond(StatusCode::from_u16(code).unwrap(), &status)
}

fn respond(code: StatusCode, object: &Value) -> Response<ResponseBody> {
    let frame = Ok(Frame::data(Bytes::from(object.to_string())));
    let body = ResponseBody::new(StreamBody::new(stream::iter([frame])));
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

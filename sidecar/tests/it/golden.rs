//! What policies mean on the wire, told by the files in `sidecar/tests/golden`: these bytes, this policy, this decision.
//!
//! Every request goes through a real sidecar to a real upstream, by HTTP/1.1 and by HTTP/2 alike. What is denied must not be seen there; what
//! is allowed must be seen once, as it was decided about.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use postern_crds::yaml;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Answer, Body, Client, Identity, Protocol, Upstream, full, line_of, stream};

mod bytes_of;

/// Keys of the shape that a signature needs.
const AWS_KEYS: &str = r#"{"accessKeyId": "AKIDREAL", "secretAccessKey": "aws-key-of-the-test"}"#;

/// One file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Golden {
    /// Names of credentials, and their providers.
    credentials: BTreeMap<String, String>,
    /// Rules of the one policy, which is called `egress`.
    rules: Vec<Value>,
    /// Other members of its spec.
    #[serde(default)]
    policy: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Case {
    /// Why it stands there.
    name: String,
    /// Method and target.
    request: String,
    /// `Content-Type`; JSON where there is a body and nothing is said, none where it is empty.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// More headers, each `name: value`.
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    body: bytes_of::Body,
    /// Sends the body in pieces of so many bytes, without its length.
    chunks: Option<usize>,
    /// For HTTP/2 alone: what stands in `:authority`.
    authority: Option<String>,
    /// Only by HTTP/1.1: what HTTP/2 has no way to say.
    #[serde(default)]
    only_http1: bool,
    /// `Allow RULE`, `Deny RULE`, or the reason of a denial.
    expect: String,
    /// The target that the upstream sees, where it is another than the request's without its route.
    sent: Option<String>,
}

impl Case {
    fn is_allowed(&self) -> bool {
        self.expect.starts_with("Allow ")
    }

    fn request(&self, client: &Client, is_http2: bool) -> Request<Body> {
        let (method, target) = self.request.split_once(' ').unwrap();
        let mut builder = client.request(method, target);
        if let Some(authority) = self.authority.as_ref().filter(|_| is_http2) {
            builder = builder.uri(format!("http://{authority}{target}"));
        }
        let body = self.body.bytes();
        let json = (!body.is_empty()).then_some("application/json");
        if let Some(kind) = self
            .kind
            .as_deref()
            .or(json)
            .filter(|kind| !kind.is_empty())
        {
            builder = builder.header("content-type", kind);
        }
        if let Some(encoding) = self.body.encoding() {
            builder = builder.header("content-encoding", encoding);
        }
        for header in &self.headers {
            let (name, value) = header.split_once(": ").unwrap();
            builder = builder.header(name, value);
        }
        builder.body(self.pieces(body)).unwrap()
    }

    fn pieces(&self, body: Bytes) -> Body {
        let Some(size) = self.chunks else {
            return full(body);
        };
        let (sender, pieces) = stream();
        for piece in body.chunks(size) {
            sender.send(Ok(Frame::data(body.slice_ref(piece)))).unwrap();
        }
        pieces
    }

    /// What the sidecar decided, in the words of `expect`.
    async fn decided(&self, answer: &Answer) -> String {
        let rule = async || {
            let line = line_of(answer.request_id()).await;
            let rule = line["rule"].as_str().unwrap_or_default();
            rule.trim_start_matches("egress/").to_owned()
        };
        match answer.reason() {
            None => format!("Allow {}", rule().await),
            Some("denied_by_rule") => format!("Deny {}", rule().await),
            Some(reason) => reason.to_owned(),
        }
    }
}

fn goldens() -> Vec<(String, Golden)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut goldens: Vec<(String, Golden)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let golden = yaml::from_str(&fs::read_to_string(&path).unwrap());
            (
                name.clone(),
                golden.unwrap_or_else(|error| panic!("{name}: {error}")),
            )
        })
        .collect();
    goldens.sort_by(|one, other| one.0.cmp(&other.0));
    goldens
}

fn identity(golden: &Golden, upstream: &Upstream) -> Identity {
    let mut identity = Identity::new();
    for (name, provider) in &golden.credentials {
        identity = match provider.as_str() {
            "bedrock" => identity
                .credential(name, provider, upstream, AWS_KEYS)
                .overriding(
                    name,
                    &json!({"awsSigV4": {"service": "bedrock", "region": "eu-central-1"}}),
                ),
            // Its own way fetches a token first, which is no matter of what a request says.
            "vertex" => identity
                .credential(name, provider, upstream, "sk-real")
                .overriding(name, &json!({"bearer": {}})),
            "http" => identity.injected(name, upstream, &json!({"bearer": {}}), "sk-real"),
            _ => identity.credential(name, provider, upstream, "sk-real"),
        };
    }
    for rule in &golden.rules {
        identity = identity.rule(rule.clone());
    }
    for (name, value) in &golden.policy {
        identity = identity.member(name, value.clone());
    }
    identity
}

/// Sends `case` and returns what is wrong with what became of it.
async fn fault(
    case: &Case,
    address: SocketAddr,
    upstream: &Upstream,
    is_http2: bool,
) -> Option<String> {
    // A connection of its own, since some requests end theirs.
    let mut client = if is_http2 {
        Client::http2(address).await
    } else {
        Client::http1(address).await
    };
    let before = upstream.seen().len();
    let request = case.request(&client, is_http2);
    let answer = client.send(request).await;
    let decided = case.decided(&answer).await;
    if decided != case.expect {
        return Some(format!("{decided}: {}", answer.text()));
    }
    let seen = upstream.seen().split_off(before);
    if !case.is_allowed() {
        let is_right = answer.status.is_client_error() && seen.is_empty();
        return (!is_right).then(|| format!("{} {seen:?}", answer.status));
    }
    let (method, target) = case.request.split_once(' ').unwrap();
    let below = target[1..].find('/').map_or("/", |at| &target[at + 1..]);
    let is_right = seen.len() == 1
        && seen[0].method == method
        && seen[0].target == case.sent.as_deref().unwrap_or(below)
        && seen[0].body == case.body.decoded()
        && seen[0].header("content-encoding").is_none();
    (!is_right).then(|| format!("{seen:?}"))
}

#[tokio::test]
async fn every_request_is_decided_as_written_by_http1_and_by_http2() {
    let mut faults = Vec::new();
    for (file, golden) in goldens() {
        let upstream = Upstream::ok(Protocol::Http1).await;
        let sidecar = identity(&golden, &upstream).serve().await;
        for case in &golden.cases {
            for is_http2 in [false, true] {
                if is_http2 && case.only_http1 || !is_http2 && case.authority.is_some() {
                    continue;
                }
                let protocol = if is_http2 { "HTTP/2" } else { "HTTP/1.1" };
                let fault = fault(case, sidecar.address, &upstream, is_http2).await;
                faults.extend(fault.map(|fault| {
                    format!(
                        "{file}, {}, {protocol}: not {} but {fault}",
                        case.name, case.expect
                    )
                }));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn beside_every_allowed_request_stands_one_that_is_not() {
    for (file, golden) in goldens() {
        for (at, case) in golden.cases.iter().enumerate() {
            let beside = [at.checked_sub(1), Some(at + 1)];
            let mut beside = beside.into_iter().flatten();
            assert!(
                !case.is_allowed()
                    || beside.any(|at| golden.cases.get(at).is_some_and(|case| !case.is_allowed())),
                "{file}: {}",
                case.name
            );
        }
    }
}

#[test]
fn there_are_as_many_cases_as_promised() {
    let count: usize = goldens().iter().map(|(_, golden)| golden.cases.len()).sum();
    assert!(count >= 250, "{count}");
}

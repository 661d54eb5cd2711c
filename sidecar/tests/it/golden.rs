//! What policies mean on the wire, told by the files in `sidecar/tests/golden`: these bytes, this policy, this decision.
//!
//! Every request goes through a real sidecar to a real upstream, by HTTP/1.1 and by HTTP/2 alike. What is denied must not be seen there; what
//! is allowed must be seen once, as it was decided about.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    goldens,
    support::{Answer, Body, Client, Identity, Protocol, Upstream, full, line_of, stream},
};

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
    /// Rules and limits of a second policy, `trial`, which only observes.
    trial: Option<Value>,
    /// What the upstream answers to everything; `{"ok":true}` where nothing is said.
    answer: Option<Value>,
    cases: Vec<Case>,
}

impl Golden {
    /// Whether what becomes of a call depends on those before it: then every case has a sidecar of its own.
    fn counts(&self) -> bool {
        let is_trial_counting = self
            .trial
            .as_ref()
            .is_some_and(|spec| !spec["limits"].is_null());
        is_trial_counting || self.policy.contains_key("limits")
    }
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
    /// How many calls like it were made before, each of which passed.
    #[serde(default)]
    after: usize,
    /// `Allow RULE`, `Deny RULE`, `Unenforced`, or the reason of a denial, with the rule or limit behind it that could not be evaluated or is
    /// in the way. Those of the policy `trial` by their full names.
    expect: String,
    /// What it would be if policies that only observe were in force, where that is something else.
    observed: Option<String>,
    /// The status, where it is a particular one of those that fit.
    status: Option<u16>,
    /// Seconds in `Retry-After`, at least and at most; no such header where nothing is said.
    retry_after: Option<(u64, u64)>,
    /// The target that the upstream sees, where it is another than the request's without its route.
    sent: Option<String>,
}

impl Case {
    fn is_allowed(&self) -> bool {
        self.expect.starts_with("Allow ") || self.expect == "Unenforced"
    }

    /// Whether all policies together would allow it.
    fn is_allowed_by_all(&self) -> bool {
        let together = self.observed.as_ref().unwrap_or(&self.expect);
        together.starts_with("Allow ")
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

    /// What is wrong with `answer`, whose line in the log is `line`.
    fn fault_of_answer(&self, answer: &Answer, line: &Value) -> Option<String> {
        let told = |reason: &str, rule: &str| {
            line[reason]
                .as_str()
                .map(|reason| in_words(reason, &line[rule]))
        };
        let decided = told("reason", "rule").unwrap_or_default();
        if decided != self.expect {
            return Some(format!("{decided}: {}", answer.text()));
        }
        let observed = told("observed", "observed_rule");
        if observed != self.observed {
            return Some(format!("{observed:?} observed, not {:?}", self.observed));
        }
        let status = answer.status;
        let is_right = match self.status {
            Some(expected) => status.as_u16() == expected,
            None if self.is_allowed() => status.is_success(),
            None => status.is_client_error(),
        };
        // What limits refuse is mostly worth another try, and nothing else is.
        let wait = answer
            .header("retry-after")
            .map(|wait| wait.parse::<u64>().unwrap());
        let is_wait_right = match (self.retry_after, wait) {
            (Some((least, most)), Some(wait)) => (least..=most).contains(&wait),
            (expected, wait) => expected.is_none() && wait.is_none(),
        };
        (!is_right || !is_wait_right).then(|| format!("{status}, Retry-After {wait:?}"))
    }
}

/// What was decided, in the words of `expect`: `reason` and `rule` are as in the log.
fn in_words(reason: &str, rule: &Value) -> String {
    let word = match reason {
        "allowed" => "Allow",
        "denied_by_rule" => "Deny",
        "unenforced" => "Unenforced",
        reason => reason,
    };
    match rule.as_str() {
        Some(rule) => format!("{word} {}", rule.trim_start_matches("egress/")),
        None => word.to_owned(),
    }
}

fn goldens() -> Vec<(String, Golden)> {
    goldens::all("tests/golden")
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
    if let Some(spec) = &golden.trial {
        identity = identity.trial(spec.clone());
    }
    identity
}

/// Sends `case`, after as many like it as it wants, and returns what is wrong with what became of it.
async fn fault(
    case: &Case,
    address: SocketAddr,
    upstream: &Upstream,
    is_http2: bool,
) -> Option<String> {
    for _ in 0..case.after {
        let answer = sent(case, address, is_http2).await;
        if answer.reason().is_some() {
            return Some(format!("{} too early", answer.text()));
        }
    }
    let before = upstream.seen().len();
    let answer = sent(case, address, is_http2).await;
    let line = line_of(answer.request_id()).await;
    if let Some(fault) = case.fault_of_answer(&answer, &line) {
        return Some(fault);
    }
    let seen = upstream.seen().split_off(before);
    if !case.is_allowed() {
        return (!seen.is_empty()).then(|| format!("{seen:?}"));
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

/// Sends `case` on a connection of its own, since some requests end theirs.
async fn sent(case: &Case, address: SocketAddr, is_http2: bool) -> Answer {
    let mut client = if is_http2 {
        Client::http2(address).await
    } else {
        Client::http1(address).await
    };
    let request = case.request(&client, is_http2);
    client.send(request).await
}

async fn upstream_of(golden: &Golden) -> Upstream {
    let answer = golden.answer.clone();
    let text = answer.unwrap_or_else(|| json!({"ok": true})).to_string();
    Upstream::answering(Protocol::Http1, move |_, _| {
        Response::builder()
            .header("content-type", "application/json")
            .body(full(text.clone()))
            .unwrap()
    })
    .await
}

#[tokio::test]
async fn every_request_is_decided_as_written_by_http1_and_by_http2() {
    let mut faults = Vec::new();
    for (file, golden) in goldens() {
        let upstream = upstream_of(&golden).await;
        let identity = identity(&golden, &upstream);
        let mut sidecar = identity.serve().await;
        for case in &golden.cases {
            for is_http2 in [false, true] {
                if is_http2 && case.only_http1 || !is_http2 && case.authority.is_some() {
                    continue;
                }
                if golden.counts() {
                    sidecar = identity.serve().await;
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
                !case.is_allowed_by_all()
                    || beside.any(|at| {
                        let case = golden.cases.get(at);
                        case.is_some_and(|case| !case.is_allowed_by_all())
                    }),
                "{file}: {}",
                case.name
            );
        }
    }
}

#[test]
fn there_are_as_many_cases_as_promised() {
    let count: usize = goldens().iter().map(|(_, golden)| golden.cases.len()).sum();
    assert!(count >= 480, "{count}");
}

#[test]
fn a_rule_names_every_fact_that_there_is() {
    let rules = goldens()
        .iter()
        .flat_map(|(_, golden)| &golden.rules)
        .filter_map(|rule| rule["when"].as_str())
        .collect::<Vec<_>>()
        .join("\n");
    // The table of facts, where it says them to readers.
    let facts: Vec<&str> = include_str!("../../../crds/src/policy.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('|').next())
        .flat_map(|cell| cell.split('`'))
        .filter(|name| name.contains('.'))
        .collect();
    assert!(facts.len() > 20, "{facts:?}");
    let missing: Vec<_> = facts
        .iter()
        .filter(|fact| !rules.contains(**fact))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

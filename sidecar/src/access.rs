//! One line a request, from a guard's `Drop`: whatever path a request takes, its line is written, once, when its response ends.
//!
//! Never in it: the query, values of headers, bodies. The path is the normalised one, so it holds printable ASCII only.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Method};
use postern_crds::policy::RuleId;
use rustix::rand::GetRandomFlags;

use crate::{
    error::Error,
    metrics::{Metrics, RequestLabels, RouteLabel, status_class},
    snapshot::{Binding, Snapshot},
};

/// Paths are cut to this many bytes in a line.
const MAX_PATH: usize = 512;

/// What is known of a request at its end.
#[derive(Debug)]
pub struct Record<'a> {
    /// The id that the response carried.
    pub request_id: &'a str,
    /// The credential, unless the path named none.
    pub credential: Option<&'a str>,
    /// The method; `-` where the head of the request could not be read.
    pub method: &'a str,
    /// The path that policy read, unless it was refused before.
    pub path: Option<&'a str>,
    /// Whether it was sent to the upstream.
    pub allowed: bool,
    /// `allowed`, or the reason of our answer.
    pub reason: &'static str,
    /// The rule that decided.
    pub rule: Option<&'a RuleId>,
    /// Status of the response, unless the caller left before.
    pub status: Option<u16>,
    /// Bytes of the request's body that were sent on.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// From the request's head to the end.
    pub duration: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response was delivered to its end.
    Complete,
    /// The caller went away first.
    ClientAborted,
    /// The upstream went away in the middle of its response.
    UpstreamAborted,
}

impl Outcome {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientAborted => "client_aborted",
            Self::UpstreamAborted => "upstream_aborted",
        }
    }
}

/// Is told of every request at its end, beside log and metrics.
pub type Observer = Arc<dyn Fn(&Record<'_>) + Send + Sync>;

/// Where the lines go.
pub(crate) struct AccessLog {
    metrics: Arc<Metrics>,
    observer: Option<Observer>,
    /// Random for each process, so that ids do not repeat after a restart.
    prefix: u64,
    next: AtomicU64,
}

/// Bytes that a request's body sent on; shared with the body, which may outlive the request.
#[derive(Debug, Default)]
pub(crate) struct Sent(AtomicU64);

impl Sent {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// One request on its way. Dropping it ends it.
pub(crate) struct Exchange {
    log: Arc<AccessLog>,
    id: HeaderValue,
    started: Instant,
    first_byte: Option<Instant>,
    upstream_started: Option<Instant>,
    snapshot: Option<Arc<Snapshot>>,
    binding: Option<Arc<Binding>>,
    method: Option<Method>,
    path: Option<String>,
    rule: Option<RuleId>,
    refusal: Option<Refusal>,
    allowed: bool,
    status: Option<u16>,
    sent: Arc<Sent>,
    received: u64,
    outcome: Outcome,
    failure: Option<String>,
}

/// Why it ended with an answer of ours.
struct Refusal {
    reason: &'static str,
    chain: String,
}

impl AccessLog {
    /// A log that counts in `metrics` and tells `observer`.
    pub(crate) fn new(metrics: Arc<Metrics>, observer: Option<Observer>) -> Self {
        let mut random = [0; 8];
        // From the kernel: the TLS library's own source takes longer to set up than all the rest of the start. Without randomness ids may
        // repeat after a restart, which is no reason not to serve.
        let _ = rustix::rand::getrandom(&mut random, GetRandomFlags::empty());
        Self {
            metrics,
            observer,
            prefix: u64::from_ne_bytes(random),
            next: AtomicU64::new(0),
        }
    }

    /// A request begins. Its method is not known when its head is not.
    pub(crate) fn begin(self: &Arc<Self>, method: Option<Method>) -> Exchange {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let id = HeaderValue::try_from(format!("{:016x}-{count:x}", self.prefix))
            .expect("hexadecimal digits are fit for a header");
        self.metrics.in_flight.inc();
        Exchange {
            log: Arc::clone(self),
            id,
            started: Instant::now(),
            first_byte: None,
            upstream_started: None,
            snapshot: None,
            binding: None,
            method,
            path: None,
            rule: None,
            refusal: None,
            allowed: false,
            status: None,
            sent: Arc::default(),
            received: 0,
            // What is true of a request that is dropped before its response is complete.
            outcome: Outcome::ClientAborted,
            failure: None,
        }
    }
}

impl Exchange {
    /// The id that the response carries.
    pub(crate) fn id(&self) -> &HeaderValue {
        &self.id
    }

    /// The bundle that it is decided by is known.
    pub(crate) fn started_under(&mut self, snapshot: &Arc<Snapshot>) {
        self.snapshot = Some(Arc::clone(snapshot));
    }

    /// Its credential and its path are known.
    pub(crate) fn routed_to(&mut self, binding: &Arc<Binding>, path: &str) {
        self.binding = Some(Arc::clone(binding));
        self.path = Some(path.to_owned());
    }

    /// A rule allows it.
    pub(crate) fn allowed_by(&mut self, rule: RuleId) {
        self.allowed = true;
        self.rule = Some(rule);
    }

    /// It is about to be sent to the upstream.
    pub(crate) fn calling_upstream(&mut self) {
        self.upstream_started = Some(Instant::now());
    }

    /// It ends with an answer of ours.
    pub(crate) fn refused(&mut self, error: &Error) {
        if matches!(error, Error::Canary { .. }) {
            self.log
                .metrics
                .canaries
                .get_or_create(&RouteLabel {
                    route: self.route_label(),
                })
                .inc();
        }
        if let Some(rule) = error.rule() {
            self.rule = Some(rule.clone());
        }
        // An upstream's failure is no denial: the decision stands, and so the metrics tell policy and network apart.
        self.allowed =
            self.allowed && matches!(error, Error::Upstream(_)) && error.status().is_server_error();
        let mut chain = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let text = cause.to_string();
            if !chain.contains(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            source = cause.source();
        }
        self.refusal = Some(Refusal {
            reason: error.reason(),
            chain,
        });
    }

    /// The response's head is there.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// A part of the response's body passed.
    pub(crate) fn passed(&mut self, bytes: usize) {
        if self.first_byte.is_none() && bytes > 0 {
            self.first_byte = Some(Instant::now());
        }
        self.received += bytes as u64;
    }

    /// The response passed to its end.
    pub(crate) fn completed(&mut self) {
        self.outcome = Outcome::Complete;
    }

    /// The upstream broke off in the middle of its response.
    pub(crate) fn broke_off(&mut self, error: &hyper::Error) {
        self.outcome = Outcome::UpstreamAborted;
        self.failure = Some(error.to_string());
    }

    /// Counts what its request body sends.
    pub(crate) fn sent(&self) -> Arc<Sent> {
        Arc::clone(&self.sent)
    }

    /// Identity, credential, host, method and path, as far as they are known.
    pub(crate) fn call(&self) -> crate::error::Call<'_> {
        crate::error::Call {
            identity: self
                .snapshot
                .as_ref()
                .map_or("", |snapshot| &snapshot.identity),
            credential: self.credential().unwrap_or_default(),
            host: self
                .binding
                .as_ref()
                .map_or("", |binding| binding.route.authority.as_str()),
            method: self.method(),
            path: self.path.as_deref().unwrap_or_default(),
        }
    }

    /// The dialect to answer in.
    pub(crate) fn dialect(&self) -> postern_crds::provider::Dialect {
        self.binding
            .as_ref()
            .map_or(postern_crds::provider::Dialect::Plain, |binding| {
                binding.route.dialect
            })
    }

    fn method(&self) -> &str {
        self.method.as_ref().map_or("-", Method::as_str)
    }

    fn credential(&self) -> Option<&str> {
        self.binding
            .as_ref()
            .map(|binding| binding.route.credential.as_str())
    }

    fn route_label(&self) -> String {
        self.credential().unwrap_or("none").to_owned()
    }

    fn count(&self, record: &Record<'_>, now: Instant) {
        let metrics = &self.log.metrics;
        metrics.in_flight.dec();
        let label = RouteLabel {
            route: self.route_label(),
        };
        metrics
            .duration
            .get_or_create(&label)
            .observe(record.duration.as_secs_f64());
        if let Some(first) = self.first_byte {
            metrics
                .first_byte
                .get_or_create(&label)
                .observe((first - self.started).as_secs_f64());
        }
        if let Some(called) = self.upstream_started {
            metrics
                .upstream_duration
                .get_or_create(&label)
                .observe((now - called).as_secs_f64());
            if let Some(first) = self.first_byte.filter(|_| self.refusal.is_none()) {
                metrics
                    .upstream_first_byte
                    .get_or_create(&label)
                    .observe((first - called).as_secs_f64());
            }
        }
        let labels = RequestLabels {
            route: label.route,
            decision: if record.allowed { "allow" } else { "deny" },
            reason: record.reason,
            status: status_class(record.status),
            outcome: record.outcome.as_str(),
        };
        metrics.requests.get_or_create(&labels).inc();
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = Instant::now();
        let record = Record {
            request_id: self.id.to_str().unwrap_or_default(),
            credential: self.credential(),
            method: self.method(),
            path: self.path.as_deref(),
            allowed: self.allowed,
            reason: self
                .refusal
                .as_ref()
                .map_or("allowed", |refusal| refusal.reason),
            rule: self.rule.as_ref(),
            status: self.status,
            bytes_in: self.sent.0.load(Ordering::Relaxed),
            bytes_out: self.received,
            outcome: self.outcome,
            duration: now - self.started,
        };
        self.count(&record, now);
        if let Some(observer) = &self.log.observer {
            observer(&record);
        }
        let path = record.path.map(|path| &path[..path.len().min(MAX_PATH)]);
        let upstream = self
            .upstream_started
            .map(|called| milliseconds(now - called));
        let first_byte = self
            .first_byte
            .map(|first| milliseconds(first - self.started));
        let error = self
            .refusal
            .as_ref()
            .map(|refusal| refusal.chain.as_str())
            .or(self.failure.as_deref());
        tracing::info!(
            target: "postern::access",
            request_id = record.request_id,
            identity = self.snapshot.as_ref().map(|snapshot| snapshot.identity.as_str()),
            credential = record.credential,
            method = record.method,
            path,
            decision = if record.allowed { "allow" } else { "deny" },
            reason = record.reason,
            rule = record.rule.map(tracing::field::display),
            status = record.status,
            bytes_in = record.bytes_in,
            bytes_out = record.bytes_out,
            duration_ms = milliseconds(record.duration),
            first_byte_ms = first_byte,
            upstream_ms = upstream,
            outcome = record.outcome.as_str(),
            error,
            "request",
        );
    }
}

/// With three digits after the point: a proxy's own time is less than a millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

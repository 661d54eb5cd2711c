//! One line a request, from a guard's `Drop`: whatever path a request takes, its line is written, once, when its response has ended.
//!
//! The guard is dropped with the response's last byte, just before that byte is written to the caller. Counting and writing take a good part of
//! what a call costs, so they come after it, in a task of their own: the caller does not wait for its line.
//!
//! Never in it: the query, values of headers, bodies. The path is the normalised one, so it holds printable ASCII only.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderValue, Method};
use postern_crds::{facts::Call, money::Usd, policy::RuleId, usage::Usage};
use rustix::rand::GetRandomFlags;
use tokio_util::task::TaskTracker;

use crate::{
    body::BodyError,
    error::Error,
    metrics::{LimitLabel, Metrics, RetryLabels, RouteLabel},
    snapshot::{Binding, Snapshot},
};

mod ending;

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
    /// What policies that only observe would have done instead.
    pub observed: &'a [Observed],
    /// What the call said, if it was read.
    pub call: Option<&'a Call>,
    /// What it used, if it was a call that uses tokens and was answered.
    pub used: Option<&'a Used>,
    /// What was masked in what was sent.
    pub request_masked: &'a [Masked],
    /// What was masked in the answer.
    pub masked: &'a [Masked],
    /// How often something that was masked in the call was put back into the answer.
    pub restored: u64,
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

/// What a policy that only observes would have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// `allowed`, or the reason of the answer that the call would have got.
    pub reason: &'static str,
    /// The rule or limit, if one decided.
    pub rule: Option<RuleId>,
}

/// What a call used.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// Tokens.
    pub usage: Usage,
    /// What they cost; `None` where a price is unknown.
    pub cost: Option<Usd>,
    /// The model that answered, by its own word.
    pub model: Option<String>,
    /// Why it stopped.
    pub finish_reasons: Vec<String>,
}

/// What was masked in a call or in an answer, or would have been by a policy that only observes. Never the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The name of a detector, pattern or dictionary, or `FIELD`.
    pub name: String,
    /// Whether it was masked, or counted alone.
    pub applied: bool,
    /// How often.
    pub count: u64,
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
    /// A limit was used up in the middle of a stream, and ended it.
    LimitEnded,
    /// The response could not be masked any further, and was broken off.
    Unmaskable,
}

impl Outcome {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientAborted => "client_aborted",
            Self::UpstreamAborted => "upstream_aborted",
            Self::LimitEnded => "limit_ended",
            Self::Unmaskable => "unmaskable",
        }
    }
}

/// Is told of every request at its end, beside log and metrics.
pub type Observer = Arc<dyn Fn(&Record<'_>) + Send + Sync>;

/// Where the lines go.
pub(crate) struct AccessLog {
    metrics: Arc<Metrics>,
    observer: Option<Observer>,
    /// Requests that ended and are still to be counted and written.
    ended: TaskTracker,
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
pub(crate) struct Exchange(
    /// Taken by `Drop` alone.
    Option<Box<Entry>>,
);

/// What is known of one request so far.
pub(crate) struct Entry {
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
    observed: Vec<Observed>,
    call: Option<Arc<Call>>,
    used: Option<Used>,
    request_masked: Vec<Masked>,
    masked: Vec<Masked>,
    restored: u64,
    refusal: Option<Refusal>,
    allowed: bool,
    status: Option<u16>,
    sent: Arc<Sent>,
    received: u64,
    /// How often the secret was taken out of the response.
    echoes: u64,
    outcome: Outcome,
    failure: Option<String>,
}

/// Why an exchange can be asked.
const HAS_ENTRY: &str = "its entry is there until it is dropped";

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
            ended: TaskTracker::new(),
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
        Exchange(Some(Box::new(Entry {
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
            observed: Vec::new(),
            call: None,
            used: None,
            request_masked: Vec::new(),
            masked: Vec::new(),
            restored: 0,
            refusal: None,
            allowed: false,
            status: None,
            sent: Arc::default(),
            received: 0,
            echoes: 0,
            // What is true of a request that is dropped before its response is complete.
            outcome: Outcome::ClientAborted,
            failure: None,
        })))
    }

    /// Waits until all requests that ended are counted and written. For the end of the program: what begins meanwhile may be missed.
    pub(crate) async fn written(&self) {
        self.ended.close();
        self.ended.wait().await;
    }
}

impl Deref for Exchange {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.0.as_ref().expect(HAS_ENTRY)
    }
}

impl DerefMut for Exchange {
    fn deref_mut(&mut self) -> &mut Entry {
        self.0.as_mut().expect(HAS_ENTRY)
    }
}

impl Entry {
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

    /// What it says is known.
    pub(crate) fn understood(&mut self, call: &Arc<Call>) {
        self.call = Some(Arc::clone(call));
    }

    /// A rule allows it; or no rule has to, where all policies only observe.
    pub(crate) fn allowed_by(&mut self, rule: Option<RuleId>) {
        self.allowed = true;
        self.rule = rule;
    }

    /// A policy that only observes would have done otherwise.
    pub(crate) fn observed(&mut self, observed: Observed) {
        self.observed.push(observed);
    }

    /// What it used is known.
    pub(crate) fn used(&mut self, used: Used) {
        self.used = Some(used);
    }

    /// What was masked in it is known.
    pub(crate) fn request_masked(&mut self, masked: Vec<Masked>) {
        self.request_masked = masked;
    }

    /// What was put back into its answer is known.
    pub(crate) fn restored(&mut self, restored: &[Masked]) {
        self.restored = restored.iter().map(|one| one.count).sum();
    }

    /// What was masked in its answer is known.
    pub(crate) fn masked(&mut self, masked: Vec<Masked>) {
        self.masked = masked;
    }

    /// It is about to be sent to the upstream.
    pub(crate) fn calling_upstream(&mut self) {
        self.upstream_started = Some(Instant::now());
    }

    /// It was sent a second time, with a newer secret; `error` says why that came to no answer.
    pub(crate) fn sent_again(&self, error: Option<&Error>) {
        let labels = RetryLabels {
            route: self.route_label(),
            outcome: if error.is_none() {
                "answered"
            } else {
                "failed"
            },
        };
        self.log
            .metrics
            .rotation_retries
            .get_or_create(&labels)
            .inc();
        let (credential, reason) = (&labels.route, error.map(Error::reason));
        tracing::info!(
            credential,
            reason,
            "a call that was refused with a rotated secret was sent again with the newer one"
        );
    }

    /// It ends with the provider's 401.
    pub(crate) fn not_taken(&self) {
        let route = self.route_label();
        let refused = &self.log.metrics.unauthorized;
        refused.get_or_create(&RouteLabel { route }).inc();
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

    /// So many secrets were taken out of the response. Told once, since one answer may be full of them.
    pub(crate) fn echoed(&mut self, secrets: u64) {
        if secrets == 0 {
            return;
        }
        let label = RouteLabel {
            route: self.route_label(),
        };
        self.log
            .metrics
            .secret_echoes
            .get_or_create(&label)
            .inc_by(secrets);
        if self.echoes == 0 {
            let request_id = self.id.to_str().unwrap_or_default();
            tracing::warn!(
                request_id,
                credential = label.route,
                "the upstream sent the secret back: it was taken out of the answer"
            );
        }
        self.echoes += secrets;
    }

    /// The response passed to its end.
    pub(crate) fn completed(&mut self) {
        if self.outcome != Outcome::LimitEnded {
            self.outcome = Outcome::Complete;
        }
    }

    /// A limit ended the response before its time.
    pub(crate) fn ended_by(&mut self, limit: &RuleId) {
        self.outcome = Outcome::LimitEnded;
        self.failure = Some(format!("limit {limit} is used up"));
        let label = LimitLabel {
            limit: limit.to_string(),
        };
        self.log.metrics.streams_ended.get_or_create(&label).inc();
    }

    /// Whether the response passed to its end.
    pub(crate) fn is_complete(&self) -> bool {
        self.outcome == Outcome::Complete
    }

    /// The response broke off in the middle.
    pub(crate) fn broke_off(&mut self, error: &BodyError) {
        self.outcome = match error {
            BodyError::Upstream(_) | BodyError::Encoding => Outcome::UpstreamAborted,
            BodyError::Unmaskable => Outcome::Unmaskable,
        };
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
}

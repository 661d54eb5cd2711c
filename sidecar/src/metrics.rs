//! Every metric of the sidecar. Labels come from the bundle and from constants, never from a request, so their number is bounded.

use std::{
    sync::{Mutex, atomic::AtomicU64},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use postern_crds::{money::Usd, policy::Measure};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

use crate::limits::Remaining;

/// Labels of a finished request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    /// The credential, or `none` where the path named none.
    pub(crate) route: String,
    /// `allow` or `deny`.
    pub(crate) decision: &'static str,
    /// `allowed`, or the reason of our answer.
    pub(crate) reason: &'static str,
    /// `2xx` and so on; `none` when the caller left before there was one.
    pub(crate) status: &'static str,
    /// How it ended.
    pub(crate) outcome: &'static str,
}

/// A route alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabel {
    /// The credential.
    pub(crate) route: String,
}

/// Access tokens that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AccessTokenLabels {
    /// The credential.
    pub(crate) route: String,
    /// `ok`, `refused` or `unavailable`.
    pub(crate) outcome: &'static str,
}

/// Newer bundles that were looked for at the operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FetchLabel {
    /// `taken`, `current` where there was none that is newer, or why none could be had: see `fetch::Error::outcome`.
    pub(crate) outcome: &'static str,
}

/// Calls that were sent a second time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RetryLabels {
    /// The credential.
    pub(crate) route: String,
    /// `answered`, whatever the answer was, or `failed`.
    pub(crate) outcome: &'static str,
}

/// Calls that were denied, or would have been.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DenialLabels {
    /// The credential, or `none`.
    pub(crate) route: String,
    /// The reason of our answer.
    pub(crate) reason: &'static str,
    /// The rule or limit that decided, as in `policy/rule`; empty where none did.
    pub(crate) rule: String,
}

/// Tokens of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TokenLabels {
    /// The credential.
    pub(crate) route: String,
    /// The name or pattern in the policies that the call's model fits, or `other`.
    pub(crate) model: String,
    /// `input` and `output` count everything; `cached_input`, `cache_write` and `reasoning` are parts of them.
    pub(crate) kind: &'static str,
    /// `complete`, `partial` or `estimated`.
    pub(crate) source: &'static str,
}

/// A model of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ModelLabel {
    /// The credential.
    pub(crate) route: String,
    /// As in [`TokenLabels`].
    pub(crate) model: String,
}

/// Money.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CostLabels {
    /// The credential.
    pub(crate) route: String,
    /// As in [`TokenLabels`].
    pub(crate) model: String,
    /// `USD`.
    pub(crate) currency: &'static str,
}

/// What is masked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MaskLabels {
    /// The name of a detector, pattern or dictionary, or `FIELD`.
    pub(crate) detector: String,
    /// The credential.
    pub(crate) route: String,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LimitLabel {
    /// `policy/limit`.
    pub(crate) limit: String,
}

/// The revision of the bundle in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct BundleLabels {
    /// `namespace/name`.
    pub(crate) identity: String,
    /// The bundle's revision.
    pub(crate) revision: String,
}

/// How many models of a route are shown before any of them is called: a policy may name thousands of them, and a series of each is scraped from each pod.
const MAX_AWAITED_MODELS: usize = 100;

type Histograms = Family<RouteLabel, Histogram, fn() -> Histogram>;

/// The metrics themselves.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) duration: Histograms,
    pub(crate) first_byte: Histograms,
    pub(crate) upstream_duration: Histograms,
    pub(crate) upstream_first_byte: Histograms,
    pub(crate) upstream_connects: Family<RouteLabel, Counter>,
    pub(crate) access_tokens: Family<AccessTokenLabels, Counter>,
    pub(crate) rotation_retries: Family<RetryLabels, Counter>,
    pub(crate) unauthorized: Family<RouteLabel, Counter>,
    pub(crate) canaries: Family<RouteLabel, Counter>,
    pub(crate) secret_echoes: Family<RouteLabel, Counter>,
    pub(crate) request_masked: Family<MaskLabels, Counter>,
    pub(crate) request_mask_observed: Family<MaskLabels, Counter>,
    pub(crate) mask_restored: Family<RouteLabel, Counter>,
    pub(crate) masked: Family<MaskLabels, Counter>,
    pub(crate) mask_observed: Family<MaskLabels, Counter>,
    pub(crate) denials: Family<DenialLabels, Counter>,
    pub(crate) observed: Family<DenialLabels, Counter>,
    pub(crate) tokens: Family<TokenLabels, Counter>,
    pub(crate) cost: Family<CostLabels, Counter<f64, AtomicU64>>,
    pub(crate) unpriced: Family<ModelLabel, Counter>,
    pub(crate) limit_remaining: Family<LimitLabel, Gauge<f64, AtomicU64>>,
    pub(crate) streams_ended: Family<LimitLabel, Counter>,
    pub(crate) connections: Gauge,
    pub(crate) in_flight: Gauge,
    pub(crate) bundle_errors: Counter,
    pub(crate) bundle_fetches: Family<FetchLabel, Counter>,
    bundle: Family<BundleLabels, Gauge>,
    bundle_loaded: Gauge<f64, AtomicU64>,
    /// Guards the swap of the bundle's labels against a scrape between its two steps.
    bundle_swap: Mutex<()>,
}

/// From half a millisecond to half an hour: an answer from a cache, and a long stream.
fn histogram() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        60.0, 300.0, 1800.0,
    ])
}

impl Metrics {
    /// All metrics at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("postern");
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(histogram),
            first_byte: Family::new_with_constructor(histogram),
            upstream_duration: Family::new_with_constructor(histogram),
            upstream_first_byte: Family::new_with_constructor(histogram),
            upstream_connects: Family::default(),
            access_tokens: Family::default(),
            rotation_retries: Family::default(),
            unauthorized: Family::default(),
            canaries: Family::default(),
            secret_echoes: Family::default(),
            request_masked: Family::default(),
            request_mask_observed: Family::default(),
            mask_restored: Family::default(),
            masked: Family::default(),
            mask_observed: Family::default(),
            denials: Family::default(),
            observed: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unpriced: Family::default(),
            limit_remaining: Family::default(),
            streams_ended: Family::default(),
            connections: Gauge::default(),
            in_flight: Gauge::default(),
            bundle_errors: Counter::default(),
            bundle_fetches: Family::default(),
            bundle: Family::default(),
            bundle_loaded: Gauge::default(),
            bundle_swap: Mutex::new(()),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests that ended", metrics.requests.clone());
        registry.register(
            "request_duration_seconds",
            "From the request's head to the end of its response",
            metrics.duration.clone(),
        );
        registry.register(
            "request_first_byte_seconds",
            "From the request's head to the first byte of the response's body",
            metrics.first_byte.clone(),
        );
        registry.register(
            "upstream_duration_seconds",
            "From the call of the upstream to the end of its response",
            metrics.upstream_duration.clone(),
        );
        registry.register(
            "upstream_first_byte_seconds",
            "From the call of the upstream to the first byte of its response's body",
            metrics.upstream_first_byte.clone(),
        );
        registry.register(
            "upstream_connects",
            "Connections opened to upstreams",
            metrics.upstream_connects.clone(),
        );
        registry.register(
            "access_token_requests",
            "Access tokens that were asked for, as OAuth 2.0 has them",
            metrics.access_tokens.clone(),
        );
        registry.register(
            "rotation_retries",
            "Calls that were refused with a rotated secret and sent again with the newer one",
            metrics.rotation_retries.clone(),
        );
        registry.register(
            "unauthorized",
            "Calls that ended with 401 of the upstream, which did not take the secret",
            metrics.unauthorized.clone(),
        );
        registry.register(
            "placeholders_misplaced",
            "Requests refused because a placeholder stood where none belongs",
            metrics.canaries.clone(),
        );
        registry.register(
            "secret_echo",
            "Secrets that an upstream sent back, and that were taken out",
            metrics.secret_echoes.clone(),
        );
        registry.register(
            "request_masked",
            "Values in calls that were masked",
            metrics.request_masked.clone(),
        );
        registry.register(
            "request_mask_observed",
            "Values in calls that policies in mode Observe would have masked",
            metrics.request_mask_observed.clone(),
        );
        registry.register(
            "mask_restored",
            "Pseudonyms in answers whose values were put back",
            metrics.mask_restored.clone(),
        );
        registry.register(
            "masked",
            "Values in answers that were masked",
            metrics.masked.clone(),
        );
        registry.register(
            "mask_observed",
            "Values in answers that policies in mode Observe would have masked",
            metrics.mask_observed.clone(),
        );
        registry.register("denials", "Requests denied", metrics.denials.clone());
        registry.register(
            "observed_differences",
            "Requests that policies in mode Observe would have decided otherwise",
            metrics.observed.clone(),
        );
        registry.register("tokens", "Tokens of answered calls", metrics.tokens.clone());
        registry.register(
            "cost",
            "Cost of answered calls, by the price table",
            metrics.cost.clone(),
        );
        registry.register(
            "unpriced_requests",
            "Answered calls whose cost is unknown",
            metrics.unpriced.clone(),
        );
        registry.register(
            "limit_remaining",
            "What is left of a limit now: requests, tokens, dollars or calls at a time",
            metrics.limit_remaining.clone(),
        );
        registry.register(
            "limit_ended_streams",
            "Streams that a limit ended",
            metrics.streams_ended.clone(),
        );
        registry.register(
            "connections",
            "Open connections of the application",
            metrics.connections.clone(),
        );
        registry.register(
            "requests_in_flight",
            "Requests that did not end yet",
            metrics.in_flight.clone(),
        );
        registry.register(
            "bundle_errors",
            "Bundles that could not be used; the last good one stayed",
            metrics.bundle_errors.clone(),
        );
        registry.register(
            "bundle_fetches",
            "Newer bundles that were looked for at the operator, by outcome: taken, current, denied, unavailable, untrusted or invalid",
            metrics.bundle_fetches.clone(),
        );
        registry.register(
            "bundle_info",
            "1 for the bundle in use",
            metrics.bundle.clone(),
        );
        registry.register(
            "bundle_loaded_timestamp_seconds",
            "When the bundle in use was loaded; 0 when there is none",
            metrics.bundle_loaded.clone(),
        );
        registry.register(
            "build",
            "This build",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry,
            ..metrics
        }
    }

    /// Records that a bundle is in use from now on.
    pub(crate) fn bundle_loaded(&self, identity: &str, revision: &str) {
        let _swap = self
            .bundle_swap
            .lock()
            .expect("no panic while the lock is held");
        let labels = BundleLabels {
            identity: identity.to_owned(),
            revision: revision.to_owned(),
        };
        self.bundle.clear();
        self.bundle.get_or_create(&labels).set(1);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        self.bundle_loaded.set(now.as_secs_f64());
    }

    /// Shows what should never happen with `credential` as not happened yet. A counter that comes up with its first event has not risen, and
    /// no alert sees it.
    pub(crate) fn watch_for_misuse(&self, credential: &str) {
        let label = RouteLabel {
            route: credential.to_owned(),
        };
        for counter in [&self.secret_echoes, &self.canaries] {
            drop(counter.get_or_create(&label));
        }
    }

    /// Shows that nothing was spent yet by calls with `credential` of any of `models`: `increase()` does not see the value that a
    /// counter comes up with, so the first call of each model in each pod would cost nothing.
    pub(crate) fn watch_spending<'a>(
        &self,
        credential: &str,
        models: impl Iterator<Item = &'a str>,
    ) {
        for model in models.take(MAX_AWAITED_MODELS) {
            let labels = CostLabels {
                route: credential.to_owned(),
                model: model.to_owned(),
                currency: "USD",
            };
            drop(self.cost.get_or_create(&labels));
        }
    }

    /// Records what is left of each limit.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric needs no more than 53 bits"
    )]
    pub(crate) fn limits_remain(&self, limits: &[Remaining<'_>]) {
        // A limit that is gone must not stand there for ever.
        self.limit_remaining.clear();
        for Remaining { limit, left } in limits {
            let left = match limit.measure {
                Measure::Spend(_) => Usd::from_pico(*left).as_f64(),
                Measure::Requests(_) | Measure::Tokens(_) | Measure::Concurrent(_) => *left as f64,
            };
            let label = LimitLabel {
                limit: limit.id.to_string(),
            };
            self.limit_remaining.get_or_create(&label).set(left);
        }
    }

    /// All metrics in OpenMetrics text.
    pub(crate) fn encode(&self) -> String {
        let _swap = self
            .bundle_swap
            .lock()
            .expect("no panic while the lock is held");
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

/// `2xx` for 200 and so on.
pub(crate) fn status_class(status: Option<u16>) -> &'static str {
    match status.map(|status| status / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        _ => "none",
    }
}

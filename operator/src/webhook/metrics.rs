//! What the webhook counts.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{metrics::operator, tls::validity::Validity};

/// What the webhook counts. A clone is another handle on the same numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    admissions: Family<Admission, Counter>,
    in_flight: Gauge,
    duration: Histogram,
    certificate_not_after: Gauge<f64, AtomicU64>,
    certificate_errors: Counter,
    handshake_errors: Counter,
    events: Family<Event, Counter>,
}

/// One way for an event of a store to end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Event {
    outcome: &'static str,
}

/// One way for an admission to end.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Admission {
    outcome: &'static str,
    reason: &'static str,
}

/// An admission that is under way. A client that goes away ends it too, so that only a drop is sure to come.
pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        // The API server waits for five seconds.
        let buckets = [
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0,
        ];
        Self {
            admissions: Family::default(),
            in_flight: Gauge::default(),
            duration: Histogram::new(buckets),
            certificate_not_after: Gauge::default(),
            certificate_errors: Counter::default(),
            handshake_errors: Counter::default(),
            events: Family::default(),
        }
    }
}

impl Metrics {
    /// Adds the metrics to `registry`, under the prefix `postern_operator_webhook_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.clone().expose(registry);
        metrics
    }

    /// Shows these very numbers in `registry`.
    pub(super) fn expose(self, registry: &mut Registry) {
        let registry = operator(registry).sub_registry_with_prefix("webhook");
        registry.register(
            "admissions",
            "Pods that were asked about, by outcome (injected, complete, untouched, denied, failed) and reason",
            self.admissions,
        );
        registry.register(
            "admissions_in_flight",
            "Pods that are being decided about, or wait for their identity",
            self.in_flight,
        );
        registry.register(
            "admission_duration_seconds",
            "Time to answer, from the request's last byte on",
            self.duration,
        );
        registry.register(
            "certificate_not_after_timestamp_seconds",
            "When the serving certificate expires, in seconds since 1970",
            self.certificate_not_after,
        );
        registry.register(
            "certificate_errors",
            "Rounds in which the serving certificate could not be looked after",
            self.certificate_errors,
        );
        registry.register(
            "handshake_errors",
            "TLS handshakes that failed",
            self.handshake_errors,
        );
        registry.register(
            "events",
            "Events of stores that were told, by outcome (accepted, unauthorized, malformed, not_found, throttled, unavailable)",
            self.events,
        );
    }

    /// Counts an event of a store.
    pub(super) fn event_told(&self, outcome: &'static str) {
        self.events.get_or_create(&Event { outcome }).inc();
    }

    /// Counts an admission as under way, as long as what is returned lives.
    pub(super) fn admitting(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an admission.
    pub(super) fn admitted(&self, outcome: &'static str, reason: &'static str, took: Duration) {
        let labels = Admission { outcome, reason };
        self.admissions.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Notes the certificate that is served from now on.
    pub(super) fn certificate_served(&self, validity: &Validity) {
        let seconds = validity.not_after.as_duration().as_secs_f64();
        self.certificate_not_after.set(seconds);
    }

    /// Counts a failure to look after the certificate.
    pub(super) fn certificate_failed(&self) {
        self.certificate_errors.inc();
    }

    /// Counts a client that did not get through the handshake.
    pub(super) fn handshake_failed(&self) {
        self.handshake_errors.inc();
    }
}

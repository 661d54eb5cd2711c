//! What the controller counts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::{ObjectRef, Store};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};

use super::{
    agent_identity::is_ready,
    freshness::{Freshness, Shown},
    object::IdentityObject,
};
use crate::metrics::operator;

/// Bounds of the durations, in seconds: a reconcile is a handful of calls to the API server.
const SECONDS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// Bounds of rotations, in seconds: with and without the kubelet's minute and a half.
const ROTATION_SECONDS: [f64; 12] = [
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 90.0, 120.0, 300.0, 600.0, 1800.0,
];

/// What the controller counts. A clone is another handle on the same counters.
#[derive(Clone, Debug)]
pub struct Metrics {
    reconciles: Family<ReconcileLabels, Counter>,
    durations: Family<KindLabels, Histogram>,
    stores: Family<StoreLabels, Counter>,
    circuits: Family<StoreLabel, Gauge>,
    leader: Gauge,
    identities: Identities,
    rotations: Histogram,
    nudges: Family<OutcomeLabel, Counter>,
    bundles: Family<OutcomeLabel, Counter>,
    freshness: Freshness,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    store: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabel {
    store: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// The identities by readiness, counted when somebody asks.
#[derive(Clone, Debug, Default)]
struct Identities(Arc<Mutex<Vec<Store<IdentityObject>>>>);

impl Metrics {
    /// Adds the metrics to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            stores: Family::default(),
            circuits: Family::default(),
            leader: Gauge::default(),
            identities: Identities::default(),
            rotations: Histogram::new(ROTATION_SECONDS),
            nudges: Family::default(),
            bundles: Family::default(),
            freshness: Freshness::default(),
        };
        registry.register(
            "rotation_seconds",
            "From the reading of a store that found a new value until the last sidecar used it",
            metrics.rotations.clone(),
        );
        registry.register_collector(Box::new(Secrets {
            freshness: metrics.freshness.clone(),
            identities: metrics.identities.clone(),
        }));
        let registry = operator(registry);
        registry.register(
            "reconciles",
            "Reconciles by kind and result: ok, or the reason of the error",
            metrics.reconciles.clone(),
        );
        registry.register(
            "reconcile_duration_seconds",
            "How long a reconcile took, by kind",
            metrics.durations.clone(),
        );
        registry.register(
            "store_requests",
            "Readings and checks of a store that were not answered from memory, by result: ok, or the reason of the problem",
            metrics.stores.clone(),
        );
        registry.register(
            "store_circuit_open",
            "1 from when a store fails until it answers again: it is asked at most once in a while, by whoever comes first",
            metrics.circuits.clone(),
        );
        registry.register(
            "nudges",
            "Sidecars that were told to fetch a new bundle, by outcome: accepted, refused or unanswered",
            metrics.nudges.clone(),
        );
        registry.register(
            "bundle_requests",
            "Sidecars that came for a bundle, by outcome: answered, denied, unavailable, or handshake where that failed",
            metrics.bundles.clone(),
        );
        registry.register(
            "leader",
            "1 while this replica leads",
            metrics.leader.clone(),
        );
        registry.register_collector(Box::new(metrics.identities.clone()));
        metrics
    }

    /// Counts one reconcile; `result` is `ok` or a reason.
    pub(crate) fn reconciled(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.reconciles
            .get_or_create(&ReconcileLabels { kind, result })
            .inc();
        self.durations
            .get_or_create(&KindLabels { kind })
            .observe(took.as_secs_f64());
    }

    /// Counts one reading or check of a store; `result` is `ok` or a reason.
    pub(crate) fn store_asked(&self, store: &str, result: &'static str) {
        let labels = StoreLabels {
            store: store.to_owned(),
            result,
        };
        self.stores.get_or_create(&labels).inc();
    }

    /// A store is left alone for a while since it failed, or is not since it answered.
    pub(crate) fn store_left_alone(&self, store: &str, is_left_alone: bool) {
        let store = store.to_owned();
        let gauge = self.circuits.get_or_create(&StoreLabel { store });
        gauge.set(i64::from(is_left_alone));
    }

    /// A store is gone, or another one of its name is there.
    pub(crate) fn store_gone(&self, store: &str) {
        let store = store.to_owned();
        self.circuits.remove(&StoreLabel { store });
    }

    /// Counts a rotation that is complete.
    pub(crate) fn rotated(&self, took: Duration) {
        self.rotations.observe(took.as_secs_f64());
    }

    /// Counts a sidecar that was told to fetch a new bundle.
    pub(crate) fn nudged(&self, outcome: &'static str) {
        self.nudges.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a sidecar that came for a bundle.
    pub(crate) fn bundle_asked_for(&self, outcome: &'static str) {
        self.bundles.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// What is known of the age of each credential, which the metrics show.
    pub(crate) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// This replica leads from now on, with these stores; or does not, with none.
    pub(crate) fn leads(
        &self,
        leads: bool,
        identities: impl IntoIterator<Item = Store<IdentityObject>>,
    ) {
        self.leader.set(i64::from(leads));
        *self
            .identities
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = identities.into_iter().collect();
    }
}

impl Collector for Identities {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stores = self.stores();
        let (mut ready, mut not_ready) = (0_i64, 0_i64);
        for identity in stores.iter().flat_map(Store::state) {
            if is_ready(&identity) {
                ready += 1;
            } else {
                not_ready += 1;
            }
        }
        let gauge = ConstGauge::new(0_i64);
        let mut metric = encoder.encode_descriptor(
            "identities",
            "Identities by whether they are Ready; counted by the leader",
            None,
            gauge.metric_type(),
        )?;
        for (label, number) in [("true", ready), ("false", not_ready)] {
            let labels = [("ready", label)];
            ConstGauge::new(number).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// What is known of the credentials, looked up when somebody asks: one series for each of each identity, from the leader alone. No label has anything of a
/// value in it.
#[derive(Debug)]
struct Secrets {
    freshness: Freshness,
    identities: Identities,
}

impl Collector for Secrets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let shown = self.freshness.shown();
        let labels = |one: &Shown| {
            [
                ("identity", one.identity.clone()),
                ("credential", one.credential.clone()),
            ]
        };
        let one = ConstGauge::new(1_i64);

        let kind = ConstGauge::new(0.0_f64).metric_type();
        let help = "Seconds since the source of a credential last gave it";
        let mut metric = encoder.encode_descriptor("secret_age_seconds", help, None, kind)?;
        for one in &shown {
            if let Some(age) = one.age {
                let gauge = ConstGauge::new(age.as_secs_f64());
                gauge.encode(metric.encode_family(&labels(one))?)?;
            }
        }

        let help = "1 for the version of a credential in the bundle: a digest of the version's name, salted by identity and credential, never of the value";
        let mut metric = encoder.encode_descriptor("secret_version_info", help, None, kind)?;
        for shown in &shown {
            if let Some(version) = &shown.version {
                let [identity, credential] = labels(shown);
                let labels = [identity, credential, ("version", version.clone())];
                one.encode(metric.encode_family(&labels)?)?;
            }
        }

        let help = "1 for a credential whose calls are denied, since its source could not be read for longer than maxStaleness; 0 for others";
        let mut metric = encoder.encode_descriptor("secret_stale", help, None, kind)?;
        for one in &shown {
            let gauge = ConstGauge::new(i64::from(one.is_stale));
            gauge.encode(metric.encode_family(&labels(one))?)?;
        }

        let help = "Seconds since a rotation began that is not complete: a sidecar does not use the new values, or does not say so";
        let mut metric = encoder.encode_descriptor("rotation_pending_seconds", help, None, kind)?;
        for (identity, since) in self.identities.rotating() {
            let labels = [("identity", identity)];
            ConstGauge::new(since).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Identities {
    fn stores(&self) -> Vec<Store<IdentityObject>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The identities whose values are on their way, and since when, in seconds.
    fn rotating(&self) -> Vec<(String, f64)> {
        let now = Timestamp::now();
        let rotating = |object: &Arc<IdentityObject>| {
            let rotation = object.status.read()?.rotation.as_ref()?;
            if rotation.credentials.is_empty() || rotation.completed_at.is_some() {
                return None;
            }
            let name = ObjectRef::from_obj(&**object);
            let namespace = name.namespace.as_deref().unwrap_or_default();
            let since = now.duration_since(rotation.started_at.0);
            Some((format!("{namespace}/{}", name.name), since.as_secs_f64()))
        };
        let stores = self.stores();
        let identities = stores.iter().flat_map(Store::state);
        identities.filter_map(|object| rotating(&object)).collect()
    }
}

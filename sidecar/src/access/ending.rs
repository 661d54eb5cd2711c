//! The end of a request: counted, told to the observer, and written as one line.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{Entry, Exchange, Masked, Record};
use crate::metrics::{
    CostLabels, DenialLabels, MaskLabels, ModelLabel, RequestLabels, RouteLabel, TokenLabels,
    status_class,
};

/// Paths are cut to this many bytes in a line.
const MAX_PATH: usize = 512;
/// And names of models.
const MAX_MODEL: usize = 128;

impl Drop for Exchange {
    fn drop(&mut self) {
        let Some(entry) = self.0.take() else { return };
        let now = Instant::now();
        match Handle::try_current() {
            Ok(runtime) => {
                let ended = entry.log.ended.clone();
                ended.spawn_on(async move { entry.end(now) }, &runtime);
            }
            // The runtime is gone, and nobody waits for the answer any more.
            Err(_) => entry.end(now),
        }
    }
}

impl Entry {
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
        if !record.allowed {
            let rule = record.rule.map_or_else(String::new, ToString::to_string);
            let denial = DenialLabels {
                route: labels.route.clone(),
                reason: record.reason,
                rule,
            };
            metrics.denials.get_or_create(&denial).inc();
        }
        for observed in record.observed {
            let denial = DenialLabels {
                route: labels.route.clone(),
                reason: observed.reason,
                rule: observed
                    .rule
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
            };
            metrics.observed.get_or_create(&denial).inc();
        }
        let directions = [
            (
                record.request_masked,
                &metrics.request_masked,
                &metrics.request_mask_observed,
            ),
            (record.masked, &metrics.masked, &metrics.mask_observed),
        ];
        for (all, applied, observed) in directions {
            for masked in all {
                let family = if masked.applied { applied } else { observed };
                let labels = MaskLabels {
                    detector: masked.name.clone(),
                    route: labels.route.clone(),
                };
                family.get_or_create(&labels).inc_by(masked.count);
            }
        }
        if record.restored > 0 {
            let label = RouteLabel {
                route: labels.route.clone(),
            };
            metrics
                .mask_restored
                .get_or_create(&label)
                .inc_by(record.restored);
        }
        self.count_use(record, &labels.route);
    }

    /// Tokens and money, under a name of the model that the policies have: what a call names is no label.
    fn count_use(&self, record: &Record<'_>, route: &str) {
        let (Some(used), Some(snapshot)) = (record.used, &self.snapshot) else {
            return;
        };
        let metrics = &self.log.metrics;
        let asked = self.asked_model();
        let model = asked
            .or(used.model.as_deref())
            .map_or("none", |name| snapshot.policy.model_label(name));
        let usage = &used.usage;
        let kinds = [
            ("input", usage.input),
            ("cached_input", usage.cached_input),
            ("cache_write", usage.cache_write + usage.cache_write_long),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ];
        for (kind, count) in kinds {
            // Every call has the first kind, so that a series is there from the first call on.
            if count > 0 || kind == "input" {
                let labels = TokenLabels {
                    route: route.to_owned(),
                    model: model.to_owned(),
                    kind,
                    source: usage.source.as_str(),
                };
                metrics.tokens.get_or_create(&labels).inc_by(count);
            }
        }
        let labels = ModelLabel {
            route: route.to_owned(),
            model: model.to_owned(),
        };
        match used.cost {
            Some(cost) => {
                let labels = CostLabels {
                    route: labels.route,
                    model: labels.model,
                    currency: "USD",
                };
                metrics.cost.get_or_create(&labels).inc_by(cost.as_f64());
            }
            None => {
                metrics.unpriced.get_or_create(&labels).inc();
            }
        }
    }

    /// The vendor's name in OpenTelemetry's conventions, where they have one.
    fn provider_name(&self) -> Option<&'static str> {
        let provider = self.binding.as_ref()?.route.provider?;
        Some(provider.telemetry_name.as_deref().unwrap_or(&provider.name))
    }

    /// The first model that the call names.
    fn asked_model(&self) -> Option<&str> {
        self.call.as_ref().and_then(|call| call.models.first())
    }

    /// Counts what ended at `now`, tells it to the observer, and writes its line.
    fn end(&self, now: Instant) {
        let record = Record {
            request_id: self.id.to_str().unwrap_or_default(),
            credential: self.credential(),
            method: self.method(),
            path: self.path.as_deref(),
            allowed: self.allowed,
            reason: match &self.refusal {
                Some(refusal) => refusal.reason,
                // All policies only observe, so that no rule had to allow it.
                None if self.allowed && self.rule.is_none() => "unenforced",
                None => "allowed",
            },
            rule: self.rule.as_ref(),
            observed: &self.observed,
            call: self.call.as_deref(),
            used: self.used.as_ref(),
            request_masked: &self.request_masked,
            masked: &self.masked,
            restored: self.restored,
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
        let path = record.path.map(|path| cut(path, MAX_PATH));
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
        let observed = record.observed.first();
        let usage = record.used.map(|used| &used.usage);
        let masked = |all: &[Masked], applied| {
            let of = all.iter().filter(|masked| masked.applied == applied);
            Some(of.map(|masked| masked.count).sum::<u64>()).filter(|count| *count > 0)
        };
        let model = self.asked_model().map(|model| cut(model, MAX_MODEL));
        // What speaks of the model has the names of OpenTelemetry's conventions for generative AI
        // (https://github.com/open-telemetry/semantic-conventions-genai), which has none for a cost.
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
            observed = observed.map(|observed| observed.reason),
            observed_rule = observed.and_then(|observed| observed.rule.as_ref()).map(tracing::field::display),
            gen_ai.operation.name = record.call.map(|call| call.operation.as_str()),
            gen_ai.provider.name = record.call.and_then(|_| self.provider_name()),
            gen_ai.request.model = model,
            gen_ai.request.max_tokens = record.call.and_then(|call| call.max_tokens),
            gen_ai.response.model = record.used.and_then(|used| used.model.as_deref()).map(|model| cut(model, MAX_MODEL)),
            gen_ai.response.finish_reasons = record.used.filter(|used| !used.finish_reasons.is_empty()).map(|used| used.finish_reasons.join(",")),
            gen_ai.usage.input_tokens = usage.map(|usage| usage.input),
            gen_ai.usage.output_tokens = usage.map(|usage| usage.output),
            gen_ai.usage.cache_read.input_tokens = usage.map(|usage| usage.cached_input).filter(|count| *count > 0),
            gen_ai.usage.cache_creation.input_tokens = usage.map(|usage| usage.cache_write + usage.cache_write_long).filter(|count| *count > 0),
            gen_ai.usage.reasoning.output_tokens = usage.map(|usage| usage.reasoning).filter(|count| *count > 0),
            usage_source = usage.map(|usage| usage.source.as_str()),
            cost_usd = record.used.and_then(|used| used.cost).map(tracing::field::display),
            request_masked = masked(record.request_masked, true),
            request_mask_observed = masked(record.request_masked, false),
            masked = masked(record.masked, true),
            mask_observed = masked(record.masked, false),
            restored = Some(record.restored).filter(|count| *count > 0),
            status = record.status,
            secret_echoes = Some(self.echoes).filter(|count| *count > 0),
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

/// At most `length` bytes of `text`.
fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

/// With three digits after the point: a proxy's own time is less than a millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

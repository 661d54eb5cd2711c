//! What a call used: read from its answer while that passes, drawn from what was set aside, and settled at its end.

use std::{sync::Arc, time::Instant};

use http::{HeaderMap, HeaderValue, Response, header};
use postern_crds::{
    facts::{Call, Model, Operation},
    policy::RuleId,
    price::Listed,
    usage::Usage,
};

use crate::{
    access::Used,
    limits::{Draw, Running},
    meter::{self, Meter, Metered},
    snapshot::{Binding, Snapshot},
    upstream::SendError,
};

/// Asks for an answer that can be read, where it says what the call used.
pub(crate) fn ask_for_plain_answer(headers: &mut HeaderMap, operation: Operation) {
    if meter::has_tokens(operation) {
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
    }
}

/// Gives back what was set aside for a call that did not reach its provider. What may have reached it counts as used.
pub(crate) fn not_answered(running: Running, error: &SendError) {
    match error {
        SendError::Unresolved(_)
        | SendError::Refused { .. }
        | SendError::Unreachable(_)
        | SendError::Timeout
        | SendError::Tls(_) => running.release(),
        SendError::Broken(_) | SendError::Switched => drop(running),
    }
}

/// The meter of one answer.
pub(crate) struct Metering {
    snapshot: Arc<Snapshot>,
    binding: Arc<Binding>,
    /// Absent where the answer is read for nothing, and after the end.
    meter: Option<Meter>,
    /// Until it is settled.
    running: Option<Running>,
    /// What is known of the models that the call names.
    listed: Option<Listed>,
    /// Some limit draws from what the answer uses as it comes.
    draws: bool,
}

impl Metering {
    /// Of the answer to `call`, which starts with `response`.
    pub(crate) fn new<B>(
        snapshot: Arc<Snapshot>,
        binding: Arc<Binding>,
        call: &Call,
        listed: Option<Listed>,
        running: Running,
        response: &Response<B>,
    ) -> Self {
        let meter = Meter::new(
            binding.route.dialect,
            call.operation,
            response.status(),
            response.headers(),
            call.stream,
        );
        let draws = snapshot
            .policy
            .limits()
            .iter()
            .any(|limit| limit.concerns(&binding.route.credential));
        Self {
            snapshot,
            binding,
            meter: Some(meter.with_input(call.estimated_input_tokens)),
            running: Some(running),
            listed,
            draws,
        }
    }

    /// Reads a part of the answer.
    ///
    /// # Errors
    /// The limit of which nothing is left: the answer has to end here.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), RuleId> {
        let Some(meter) = &mut self.meter else {
            return Ok(());
        };
        meter.push(bytes);
        if let Some(running) = self.running.as_mut().filter(|_| self.draws) {
            match running.draw(&meter.so_far(), Instant::now()) {
                Draw::Continue => {}
                Draw::Exhausted(limit) => return Err(limit),
            }
        }
        Ok(())
    }

    /// The answer is over, to its end if `is_whole`. Settles what was set aside; what the call used is returned once.
    pub(crate) fn finish(&mut self, is_whole: bool) -> Option<Used> {
        let Metered {
            usage,
            model,
            finish_reasons,
            failed: _,
        } = self.meter.take()?.finish(is_whole);
        if let Some(running) = self.running.take() {
            running.settle(&usage.unwrap_or_default(), Instant::now());
        }
        let usage = usage?;
        let cost = self.cost(&usage, model.as_deref());
        Some(Used {
            usage,
            cost,
            model,
            finish_reasons,
        })
    }

    /// By the models that the call named; where it was not read, by the one that answered.
    fn cost(&self, usage: &Usage, answered: Option<&str>) -> Option<postern_crds::money::Usd> {
        let by_answer = || {
            let model = postern_crds::facts::Models::Named(vec![Model::new(answered?)]);
            self.snapshot.listed(&self.binding.route, &model)
        };
        let listed = self.listed.or_else(by_answer)?;
        Some(listed.cost(usage))
    }
}

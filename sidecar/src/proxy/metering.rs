//! What a call used: read from its answer while that passes, drawn from what was set aside, and settled at its end.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{Response, header};
use postern_crds::{
    Route,
    facts::{Call, Model, Models},
    money::Usd,
    policy::RuleId,
    price::Listed,
    provider::{Dialect, StreamUsage},
    usage::Usage,
};

use crate::{
    access::Used,
    body::CallerBody,
    limits::{Draw, Running},
    meter::{
        Meter, Metered,
        ending::{Cut, Ending},
        stream_usage::{self, UsageFilter},
    },
    snapshot::{Binding, Snapshot},
    upstream::SendError,
};

/// Asks for the usage of a stream that would not say it, where its provider can be asked. Returns whether the answer has more in it now than the
/// caller wants.
pub(crate) fn ask_for_usage(
    route: &Route,
    call: &Call,
    path: &str,
    query: Option<&str>,
    body: &mut CallerBody,
) -> bool {
    let is_known_to_take_it = route
        .provider
        .is_some_and(|provider| provider.stream_usage == StreamUsage::Ask)
        && (route.dialect != Dialect::AzureOpenAi || stream_usage::azure_understands(query));
    // Responses always say it, and refuse the question.
    if !call.stream || !is_known_to_take_it || !path.ends_with("/completions") {
        return false;
    }
    let CallerBody::Read(bytes) = body else {
        return false;
    };
    match stream_usage::ask(bytes) {
        Some(asking) => {
            *bytes = asking.into();
            true
        }
        None => false,
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

/// What an answer is metered for.
pub(crate) struct Subject<'a> {
    /// The bundle that decided.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The credential.
    pub(crate) binding: Arc<Binding>,
    /// The path, as it was sent.
    pub(crate) path: &'a str,
    /// What was asked for.
    pub(crate) call: &'a Call,
    /// What is known of its models.
    pub(crate) listed: Option<Listed>,
    /// Its usage was asked for, and not by the caller.
    pub(crate) asked: bool,
    /// What was set aside.
    pub(crate) running: Running,
}

/// The meter of one answer, on its way to the caller.
pub(crate) struct Metering {
    snapshot: Arc<Snapshot>,
    binding: Arc<Binding>,
    /// Until the end.
    meter: Option<Meter>,
    /// Until it is settled.
    running: Option<Running>,
    listed: Option<Listed>,
    /// Some limit draws from what the answer uses as it comes.
    draws: bool,
    /// Takes out what the caller did not ask for.
    filter: Option<UsageFilter>,
    /// Where the answer is a stream that can be ended.
    ending: Option<Ending>,
    /// The limit of which nothing is left.
    exhausted: Option<RuleId>,
}

/// What the caller gets of a part of the answer.
#[derive(Debug)]
pub(crate) enum Passed {
    /// This, which may be nothing; more may follow.
    More(Bytes),
    /// This, and nothing after it: the limit is used up.
    Last(Bytes, RuleId),
}

impl Metering {
    /// Of the answer that starts with `response`. Where the answer is going to be changed, what the head says of its length is taken out.
    pub(crate) fn new<B>(subject: Subject<'_>, response: &mut Response<B>) -> Self {
        let Subject {
            snapshot,
            binding,
            path,
            call,
            listed,
            asked,
            running,
        } = subject;
        let meter = Meter::new(
            binding.route.dialect,
            call.operation,
            response.status(),
            response.headers(),
            call.stream,
        );
        let draws = running.draws();
        let filter = asked
            .then(|| UsageFilter::of(response.headers_mut()))
            .flatten();
        let ending = (draws && call.stream)
            .then(|| Ending::of(binding.route.dialect, path, response.headers()))
            .flatten();
        if ending.is_some() {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        Self {
            meter: Some(meter.with_input(call.estimated_input_tokens)),
            snapshot,
            binding,
            running: Some(running),
            listed,
            draws,
            filter,
            ending,
            exhausted: None,
        }
    }

    /// Whether the answer may have another length than its upstream's.
    pub(crate) fn changes_length(&self) -> bool {
        self.filter.is_some() || self.ending.is_some()
    }

    /// Reads a part of the answer, and says what of it the caller gets.
    pub(crate) fn pass(&mut self, bytes: Bytes) -> Passed {
        let Some(meter) = &mut self.meter else {
            return Passed::More(bytes);
        };
        meter.push(&bytes);
        let piece = match &mut self.filter {
            Some(filter) => filter.push(&bytes).into(),
            None => bytes,
        };
        // Before the caller sees it, so that its next call finds what this one leaves.
        if let Some(usage) = meter.said()
            && let Some(running) = self.running.take()
        {
            running.settle(&usage, Instant::now());
        }
        if self.draws
            && self.exhausted.is_none()
            && let Some(running) = &mut self.running
            && let Draw::Exhausted(limit) = running.draw(&meter.so_far(), Instant::now())
        {
            self.exhausted = Some(limit);
        }
        let Some(ending) = &mut self.ending else {
            return Passed::More(piece);
        };
        let Some(limit) = &self.exhausted else {
            ending.pass(&piece);
            return Passed::More(piece);
        };
        let message = format!("postern: limit {limit} is used up, so the answer ends here");
        match ending.cut(&piece, "limit_exceeded", &message) {
            Cut::At(length, error) => {
                let last = [&piece[..length], &error[..]].concat();
                Passed::Last(last.into(), limit.clone())
            }
            Cut::Later => {
                ending.pass(&piece);
                Passed::More(piece)
            }
        }
    }

    /// What was held back, once the upstream's answer is over.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        let rest = self.filter.as_mut()?.finish();
        (!rest.is_empty()).then(|| rest.into())
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
    fn cost(&self, usage: &Usage, answered: Option<&str>) -> Option<Usd> {
        let by_answer = || {
            let model = Models::Named(vec![Model::new(answered?)]);
            self.snapshot.listed(&self.binding.route, &model)
        };
        let listed = self.listed.or_else(by_answer)?;
        Some(listed.cost(usage))
    }
}

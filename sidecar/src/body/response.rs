//! A response's body: frame by frame, never collected, metered on the way, and searched for the secret.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{
    access::Exchange,
    proxy::{
        headers,
        metering::{Metering, Passed},
    },
    scrub::Scrubber,
    upstream::Lease,
};

/// A response's body on its way to the caller. It carries the request's guard, so that the request ends when its response does.
pub(crate) struct ResponseBody {
    inner: Source,
    exchange: Exchange,
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly every response is the large one"
)]
enum Source {
    /// An answer of ours.
    Own(Option<Bytes>),
    /// The upstream's.
    Upstream(Passing),
}

/// What a response passes, in this order.
pub(crate) struct Stages {
    /// Reads what it used.
    pub(crate) metering: Metering,
    /// Takes the secret out. The last, so that nothing after it brings one back.
    pub(crate) scrubber: Scrubber,
}

/// An upstream's body, the place on its connection, and what it passes.
struct Passing {
    /// Absent once it is over, or cut off.
    body: Option<(Incoming, Lease)>,
    stages: Stages,
    /// Trailers that wait until what was held back before them is gone.
    trailers: Option<Frame<Bytes>>,
}

impl ResponseBody {
    /// An answer of ours.
    pub(crate) fn own(bytes: Bytes, exchange: Exchange) -> Self {
        Self {
            inner: Source::Own(Some(bytes)),
            exchange,
        }
    }

    /// The upstream's response.
    pub(crate) fn upstream(
        body: Incoming,
        lease: Lease,
        stages: Stages,
        exchange: Exchange,
    ) -> Self {
        Self {
            inner: Source::Upstream(Passing {
                body: Some((body, lease)),
                stages,
                trailers: None,
            }),
            exchange,
        }
    }
}

impl Stages {
    /// What of `data` the caller gets now.
    fn pass(&mut self, data: Bytes) -> Passed {
        match self.metering.pass(data) {
            Passed::More(data) => Passed::More(self.scrubber.push(data)),
            Passed::Last(data, limit) => Passed::Last(self.scrubber.finish(data), limit),
        }
    }

    /// What was held back, once the upstream's body is over.
    fn rest(&mut self) -> Option<Bytes> {
        let rest = self.metering.rest().unwrap_or_default();
        let rest = self.scrubber.finish(rest);
        (!rest.is_empty()).then_some(rest)
    }
}

impl Passing {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        while let Some((body, _)) = &mut self.body {
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                None => {
                    self.body = None;
                    if let Some(rest) = self.stages.rest() {
                        return Poll::Ready(Some(Ok(Frame::data(rest))));
                    }
                    break;
                }
                // The error is handed on, so that hyper breaks the caller's stream off too: a clean end would look like a whole answer. What is
                // held back goes with it.
                Some(Err(error)) => {
                    exchange.broke_off(&error);
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) => match self.stages.pass(data) {
                    // Held back. An upstream's empty frames need not go on either.
                    Passed::More(data) if data.is_empty() => {}
                    Passed::More(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Passed::Last(data, limit) => {
                        // Nothing more of it is wanted: its connection is closed, or its stream on it.
                        self.body = None;
                        exchange.ended_by(&limit);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                },
                Err(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        headers::strip_trailers(trailers);
                        self.stages.scrubber.headers(trailers);
                    }
                    match self.stages.rest() {
                        None => return Poll::Ready(Some(Ok(frame))),
                        Some(rest) => {
                            self.trailers = Some(frame);
                            self.body = None;
                            return Poll::Ready(Some(Ok(Frame::data(rest))));
                        }
                    }
                }
            }
        }
        Poll::Ready(self.trailers.take().map(Ok))
    }

    fn is_over(&self) -> bool {
        match &self.body {
            None => self.trailers.is_none(),
            Some((body, _)) => {
                body.is_end_stream()
                    && !self.stages.metering.changes_length()
                    && self.stages.scrubber.held() == 0
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Some((body, _)) = &self.body else {
            return SizeHint::default();
        };
        if self.stages.metering.changes_length() {
            return SizeHint::default();
        }
        // What is held back comes beside what is still to come; what takes a secret's place is as long as it.
        let held = self.stages.scrubber.held() as u64;
        let mut hint = body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(hint.lower() + held);
        hint
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let frame = match &mut this.inner {
            Source::Own(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Source::Upstream(passing) => {
                let frame = passing.poll(cx, &mut this.exchange);
                this.exchange.echoed(passing.stages.scrubber.take_found());
                ready!(frame)
            }
        };
        match &frame {
            None => this.exchange.completed(),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.exchange.passed(data.len());
                }
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Source::Own(bytes) => bytes.is_none(),
            Source::Upstream(passing) => passing.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Source::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Upstream(passing) => passing.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // A body whose length is known is not polled to its very end, and one without content not at all.
        if self.is_end_stream() {
            self.exchange.completed();
        }
        let Source::Upstream(passing) = &mut self.inner else {
            return;
        };
        let Stages { metering, scrubber } = &mut passing.stages;
        if let Some(mut used) = metering.finish(self.exchange.is_complete()) {
            // The upstream's own words, which are logged.
            for word in used.model.iter_mut().chain(&mut used.finish_reasons) {
                scrubber.text(word);
            }
            self.exchange.used(used);
        }
        // Of a head whose body nobody asked for, too.
        self.exchange.echoed(scrubber.take_found());
    }
}

//! A response's body: frame by frame, never collected; on the way it is decoded, metered, masked, and searched for the secret.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{
    access::Exchange,
    body::decode::{Decoder, Undecodable},
    mask::{self, Masking},
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

enum Source {
    /// An answer of ours.
    Own(Option<Bytes>),
    /// The upstream's.
    Upstream(Passing),
}

/// What a response passes, in this order.
pub(crate) struct Stages {
    /// Takes its encoding off, if it has one.
    pub(crate) decoder: Option<Decoder>,
    /// Reads what it used.
    pub(crate) metering: Metering,
    /// Takes out what the policies mask, or counts it, if there is anything.
    pub(crate) masking: Option<Masking>,
    /// Puts back what was masked in the call. After the masks: what the program said itself it may hear again, whatever they take out.
    pub(crate) restoring: Option<Masking>,
    /// Takes the secret out. The last, so that nothing after it brings one back.
    pub(crate) scrubber: Scrubber,
}

/// An upstream's body, the place on its connection, and what it passes.
struct Passing {
    /// Absent once it is over, or cut off.
    body: Option<(Incoming, Lease)>,
    /// In a place of their own, since a response is moved often before it is sent.
    stages: Box<Stages>,
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
        stages: Box<Stages>,
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

/// Why a body breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The upstream broke it off.
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    /// It is not what its encoding says.
    #[error("the answer is not what its Content-Encoding says")]
    Encoding,
    /// It cannot be masked any further.
    #[error(
        "the answer is not what its Content-Type says, or more of it would have to be held back than may be: it cannot be masked"
    )]
    Unmaskable,
}

impl From<Undecodable> for BodyError {
    fn from(_: Undecodable) -> Self {
        Self::Encoding
    }
}

impl From<mask::Unreadable> for BodyError {
    fn from(_: mask::Unreadable) -> Self {
        Self::Unmaskable
    }
}

impl Stages {
    /// What of `data` the caller gets now.
    fn pass(&mut self, data: Bytes) -> Result<Passed, BodyError> {
        let data = match &mut self.decoder {
            Some(decoder) => decoder.push(&data)?.into(),
            None => data,
        };
        Ok(match self.metering.pass(data) {
            Passed::More(data) => {
                let data = self.masked(data)?;
                Passed::More(self.scrubber.push(data))
            }
            Passed::Last(data, limit) => {
                let data = self.masked_to_the_end(data)?;
                Passed::Last(self.scrubber.finish(data), limit)
            }
        })
    }

    /// What was held back, once the upstream's body is over.
    fn rest(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Some(decoder) = &mut self.decoder {
            decoder.finish()?;
        }
        let rest = self.metering.rest().unwrap_or_default();
        let rest = self.masked_to_the_end(rest)?;
        let rest = self.scrubber.finish(rest);
        Ok((!rest.is_empty()).then_some(rest))
    }

    fn masked(&mut self, data: Bytes) -> Result<Bytes, mask::Unreadable> {
        let data = match &mut self.masking {
            Some(masking) => masking.push(data)?,
            None => data,
        };
        match &mut self.restoring {
            Some(restoring) => restoring.push(data),
            None => Ok(data),
        }
    }

    fn masked_to_the_end(&mut self, data: Bytes) -> Result<Bytes, mask::Unreadable> {
        let data = match &mut self.masking {
            Some(masking) => masking.finish(data)?,
            None => data,
        };
        match &mut self.restoring {
            Some(restoring) => restoring.finish(data),
            None => Ok(data),
        }
    }

    /// Whether the body may have another length than its upstream's.
    fn changes_length(&self) -> bool {
        self.decoder.is_some()
            || self.masking.as_ref().is_some_and(Masking::changes_length)
            || self.restoring.is_some()
            || self.metering.changes_length()
    }
}

impl Passing {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        exchange: &mut Exchange,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        while let Some((body, _)) = &mut self.body {
            let frame = match ready!(Pin::new(body).poll_frame(cx)) {
                None => {
                    let rest = match self.stages.rest() {
                        Ok(rest) => rest,
                        Err(error) => return break_off(error, exchange),
                    };
                    self.body = None;
                    match rest {
                        None => break,
                        Some(rest) => return Poll::Ready(Some(Ok(Frame::data(rest)))),
                    }
                }
                // The error is handed on, so that hyper breaks the caller's stream off too: a clean end would look like a whole answer. What is
                // held back goes with it.
                Some(Err(error)) => return break_off(error.into(), exchange),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) => match self.stages.pass(data) {
                    // Held back. An upstream's empty frames need not go on either.
                    Ok(Passed::More(data)) if data.is_empty() => {}
                    Ok(Passed::More(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Ok(Passed::Last(data, limit)) => {
                        // Nothing more of it is wanted: its connection is closed, or its stream on it.
                        self.body = None;
                        exchange.ended_by(&limit);
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Err(error) => return break_off(error, exchange),
                },
                Err(mut frame) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        headers::strip_trailers(trailers);
                        if self.stages.changes_length() {
                            headers::forget_content(trailers);
                        }
                        self.stages.scrubber.headers(trailers);
                    }
                    match self.stages.rest() {
                        Ok(None) => return Poll::Ready(Some(Ok(frame))),
                        Ok(Some(rest)) => {
                            self.trailers = Some(frame);
                            self.body = None;
                            return Poll::Ready(Some(Ok(Frame::data(rest))));
                        }
                        Err(error) => return break_off(error, exchange),
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
                    && !self.stages.changes_length()
                    && self.stages.scrubber.held() == 0
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let Some((body, _)) = &self.body else {
            return SizeHint::default();
        };
        if self.stages.changes_length() {
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

/// The body is not polled after this, and is not over: its end was not seen.
fn break_off(
    error: BodyError,
    exchange: &mut Exchange,
) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
    exchange.broke_off(&error);
    Poll::Ready(Some(Err(error)))
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
        let Stages {
            metering,
            masking,
            restoring,
            scrubber,
            decoder: _,
        } = &mut *passing.stages;
        if let Some(masking) = masking {
            self.exchange.masked(masking.counts());
        }
        if let Some(restoring) = restoring {
            self.exchange.restored(&restoring.counts());
        }
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

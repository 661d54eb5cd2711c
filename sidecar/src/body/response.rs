//! A response's body: frame by frame, never collected, and counted on the way.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{
    access::Exchange,
    proxy::{headers, metering::Metering},
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
    /// The upstream's, with the place on its connection and the meter that reads it.
    Upstream {
        body: Incoming,
        _lease: Lease,
        metering: Metering,
    },
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
        metering: Metering,
        exchange: Exchange,
    ) -> Self {
        Self {
            inner: Source::Upstream {
                body,
                _lease: lease,
                metering,
            },
            exchange,
        }
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
        let (frame, metering) = match &mut this.inner {
            Source::Own(bytes) => {
                let frame = bytes.take().map(|bytes| Ok(Frame::data(bytes)));
                (frame, None)
            }
            Source::Upstream { body, metering, .. } => {
                (ready!(Pin::new(body).poll_frame(cx)), Some(metering))
            }
        };
        Poll::Ready(match frame {
            None => {
                this.exchange.completed();
                None
            }
            // The error is handed on, so that hyper breaks the caller's stream off too: a clean end would look like a whole answer.
            Some(Err(error)) => {
                this.exchange.broke_off(&error);
                Some(Err(error))
            }
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.exchange.passed(data.len());
                    if let Some(metering) = metering {
                        let _ = metering.read(data);
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    headers::strip_trailers(trailers);
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Source::Own(bytes) => bytes.is_none(),
            Source::Upstream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Source::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Upstream { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // A body whose length is known is not polled to its very end, and one without content not at all.
        if self.is_end_stream() {
            self.exchange.completed();
        }
        if let Source::Upstream { metering, .. } = &mut self.inner
            && let Some(used) = metering.finish(self.exchange.is_complete())
        {
            self.exchange.used(used);
        }
    }
}

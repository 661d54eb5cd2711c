//! A caller's body: read for a decision where one needs it, and sent on.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::{
    access::Sent,
    error::Error,
    proxy::{caller, headers, inject::Unsignable},
};

/// A caller's body, as far as it was read before it is sent on.
pub(crate) enum CallerBody {
    /// Not at all: it passes as it comes.
    Unread(Incoming),
    /// To its end. What trailers it had are gone: nothing that is read for a decision has any.
    Read(Bytes),
    /// Its beginning, which was already more than may be read.
    Begun(VecDeque<Bytes>, Incoming),
}

impl CallerBody {
    /// Reads the body, unless it is longer than `limit`.
    ///
    /// # Errors
    /// When it breaks off.
    pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Self, hyper::Error> {
        let announced = body.size_hint().lower();
        if announced > limit as u64 {
            return Ok(Self::Unread(body));
        }
        let mut parts = VecDeque::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            length += data.len();
            parts.push_back(data);
            if length > limit {
                return Ok(Self::Begun(parts, body));
            }
        }
        Ok(Self::Read(joined(parts, length)))
    }

    /// The same body once more, if all of it is held: the bytes are shared.
    pub(crate) fn held(&self) -> Option<Self> {
        match self {
            Self::Read(bytes) => Some(Self::Read(bytes.clone())),
            Self::Unread(rest) if rest.is_end_stream() => Some(Self::Read(Bytes::new())),
            Self::Unread(_) | Self::Begun(..) => None,
        }
    }

    /// All of the body, for a credential that depends on it. Trailers are dropped: no API that wants a signature has any.
    ///
    /// # Errors
    /// [`Error::BodyBroken`] when it breaks off, [`Unsignable::TooLong`] when it is longer than `limit`.
    pub(crate) async fn whole(self, limit: usize) -> Result<Bytes, Error> {
        let read = match self {
            Self::Unread(body) => Self::read(body, limit).await.map_err(Error::BodyBroken)?,
            read => read,
        };
        match read {
            Self::Read(bytes) => Ok(bytes),
            Self::Unread(_) | Self::Begun(..) => Err(Unsignable::TooLong(limit).into()),
        }
    }
}

/// One buffer of all `parts`; no copy where there is one.
fn joined(mut parts: VecDeque<Bytes>, length: usize) -> Bytes {
    if parts.len() <= 1 {
        return parts.pop_front().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(length);
    for part in parts {
        all.extend_from_slice(&part);
    }
    all.freeze()
}

/// A caller's body on its way to the upstream.
pub(crate) struct RequestBody {
    inner: Source,
    sent: Arc<Sent>,
    /// The headers that the route itself uses.
    own: Arc<[HeaderName]>,
}

enum Source {
    /// What was read before.
    Held(VecDeque<Bytes>),
    /// What comes, after what was read before.
    Coming(VecDeque<Bytes>, Incoming),
}

impl RequestBody {
    /// Passes `body` on, less the credentials in its trailers, and counts into `sent`.
    pub(crate) fn new(body: CallerBody, sent: Arc<Sent>, own: Arc<[HeaderName]>) -> Self {
        let inner = match body {
            CallerBody::Unread(rest) => Source::Coming(VecDeque::new(), rest),
            CallerBody::Begun(parts, rest) => Source::Coming(parts, rest),
            CallerBody::Read(bytes) if bytes.is_empty() => Source::Held(VecDeque::new()),
            CallerBody::Read(bytes) => Source::Held(VecDeque::from([bytes])),
        };
        Self { inner, sent, own }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match &mut self.inner {
            Source::Held(parts) => parts.pop_front().map(|part| Ok(Frame::data(part))),
            Source::Coming(parts, rest) => match parts.pop_front() {
                Some(part) => Some(Ok(Frame::data(part))),
                None => ready!(Pin::new(rest).poll_frame(cx)),
            },
        };
        Poll::Ready(frame.map(|frame| {
            let mut frame = frame?;
            if let Some(data) = frame.data_ref() {
                self.sent.add(data.len());
            } else if let Some(trailers) = frame.trailers_mut() {
                headers::strip_trailers(trailers);
                caller::remove_from_headers(trailers, &self.own);
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Source::Held(parts) => parts.is_empty(),
            Source::Coming(parts, rest) => parts.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let length = |parts: &VecDeque<Bytes>| parts.iter().map(|part| part.len() as u64).sum();
        match &self.inner {
            Source::Held(parts) => SizeHint::with_exact(length(parts)),
            Source::Coming(parts, rest) => {
                let before: u64 = length(parts);
                let rest = rest.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(before.saturating_add(rest.lower()));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(before.saturating_add(upper));
                }
                hint
            }
        }
    }
}

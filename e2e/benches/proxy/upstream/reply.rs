//! The body of an answer: one piece at once, or a piece each 20 milliseconds.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Interval, interval_at};

use crate::fixture::EVENT_GAP;

/// What is left to be sent.
pub(super) struct Reply {
    pieces: Arc<[Bytes]>,
    /// How many of them were sent.
    sent: usize,
    /// The pace of all pieces but the first; absent when there is but one.
    pace: Option<Interval>,
}

impl Reply {
    /// The first piece goes at once, the others each after [`EVENT_GAP`].
    pub(super) fn new(pieces: &Arc<[Bytes]>) -> Self {
        Self {
            pieces: Arc::clone(pieces),
            sent: 0,
            pace: (pieces.len() > 1).then(|| interval_at(Instant::now() + EVENT_GAP, EVENT_GAP)),
        }
    }

    pub(super) fn nothing() -> Self {
        Self::new(&Arc::default())
    }

    fn left(&self) -> &[Bytes] {
        &self.pieces[self.sent..]
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.is_end_stream() {
            return Poll::Ready(None);
        }
        if let Some(pace) = &mut this.pace
            && this.sent > 0
        {
            ready!(pace.poll_tick(cx));
        }
        let piece = this.pieces.get(this.sent).cloned();
        this.sent += 1;
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left().is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.pace {
            // A stream does not say how long it will be.
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.left().iter().map(|piece| piece.len() as u64).sum()),
        }
    }
}

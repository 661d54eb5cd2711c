//! When calls begin.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the next caller does.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It calls at once, and its time counts from then, which may have been before.
    Now(Instant),
    /// It waits until then.
    At(Instant),
    /// It has no call to make any more.
    Over,
}

/// The turns of all callers of one run.
pub(super) struct Pace {
    begin: Instant,
    /// No call is made later than this after the beginning, even if it was due before.
    limit: Duration,
    /// How many calls there are to make.
    count: usize,
    /// How many were given out.
    taken: AtomicUsize,
    /// Between two calls, whoever makes them; absent when each caller asks again as soon as it was answered.
    interval: Option<Duration>,
}

impl Pace {
    /// `count` calls from now on, as many a second as `rate` says, or as soon as there is somebody to make them.
    pub(super) fn new(count: usize, limit: Duration, rate: Option<u32>) -> Self {
        Self {
            begin: Instant::now(),
            limit,
            count,
            taken: AtomicUsize::new(0),
            interval: rate.map(|rate| Duration::from_secs(1) / rate),
        }
    }

    /// Waits until the next call is due, and returns since when its time counts; `None` when there are no more.
    ///
    /// A caller that was free and woke late is the clock's fault, whose grain is a millisecond; that is not held against the proxy.
    pub(super) async fn next(&self) -> Option<Instant> {
        match self.turn(Instant::now()) {
            Turn::Now(since) => Some(since),
            Turn::At(due) => {
                tokio::time::sleep_until(due.into()).await;
                Some(Instant::now())
            }
            Turn::Over => None,
        }
    }

    /// The next turn, taken by a caller that is free `now`.
    ///
    /// With a rate, a call that nobody was free to make counts from when it was due: else a proxy that stands still would only be asked less
    /// (the "coordinated omission" of <https://github.com/giltene/wrk2>).
    pub(super) fn turn(&self, now: Instant) -> Turn {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = match (self.interval, u32::try_from(number)) {
            (Some(interval), Ok(number)) => self.begin + interval * number,
            _ => now,
        };
        match due {
            _ if number >= self.count || due.max(now) - self.begin > self.limit => Turn::Over,
            due if due <= now => Turn::Now(due),
            due => Turn::At(due),
        }
    }
}

//! Who asks a store when: those who want the same share one reading, few ask at once, and one that fails is left alone for a while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::problem::Problem;
use crate::controller::{Metrics, jitter};

/// How many requests of readings a store gets at the same time.
const CONCURRENT: usize = 4;
/// How long one waits for its turn, in seconds. It says nothing of the store that many want something of it.
const TURN: u64 = 12;
/// How long a reading may take with its login and all, in seconds: a reconcile has 30, with the turn.
const READ: u64 = 15;
/// How long a store that failed once is left alone; twice as long after each further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most so long.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a reading gives; all who share it get the same.
pub(super) type Outcome<T> = Result<Arc<T>, Problem>;
type Flight<T> = BoxFuture<'static, Outcome<T>>;

/// The gate of one store: `K` names what is read there, and `T` is what that gives.
pub(super) struct Gate<K, T> {
    store: String,
    metrics: Metrics,
    turns: Semaphore,
    flights: Mutex<HashMap<K, WeakShared<Flight<T>>>>,
    pause: Mutex<Pause>,
}

/// Since a store failed.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<(Instant, Problem)>,
    /// The pause is over, and one is trying.
    is_tried: bool,
}

impl<K: Eq + Hash, T> Gate<K, T> {
    /// Of the store called `store`, which nobody has asked yet.
    pub(super) fn new(store: String, metrics: Metrics) -> Self {
        Self {
            store,
            metrics,
            turns: Semaphore::new(CONCURRENT),
            flights: Mutex::default(),
            pause: Mutex::default(),
        }
    }

    /// The reading called `key` that is on its way, or else the one that `start` begins. One whose every reader went away is on its way no more.
    pub(super) async fn share(
        &self,
        key: K,
        start: impl FnOnce() -> BoxFuture<'static, Outcome<T>>,
    ) -> Outcome<T> {
        if let Some(problem) = self.left_alone() {
            return Err(problem);
        }
        self.flight(key, start).await
    }

    fn flight(&self, key: K, start: impl FnOnce() -> Flight<T>) -> Shared<Flight<T>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).and_then(WeakShared::upgrade) {
            return flight;
        }
        let flight = start().shared();
        flights.retain(|_, flight| flight.upgrade().is_some());
        flights.extend(flight.downgrade().map(|flight| (key, flight)));
        flight
    }

    /// Does `work` when its turn has come.
    ///
    /// # Errors
    /// Its own, or what the store failed with a moment ago: it is not asked then.
    pub(super) async fn ask<R>(
        &self,
        work: impl Future<Output = Result<R, Problem>>,
    ) -> Result<R, Problem> {
        if let Some(problem) = self.left_alone() {
            return Err(problem);
        }
        let _turn = self.turn().await?;
        self.look(work).await
    }

    /// Does `work` at once, whatever the store did before.
    ///
    /// # Errors
    /// Its own.
    pub(super) async fn look<R>(
        &self,
        work: impl Future<Output = Result<R, Problem>>,
    ) -> Result<R, Problem> {
        let result = timeout(Duration::from_secs(READ), work)
            .await
            .unwrap_or(Err(Problem::TimedOut(READ)));
        self.heard(result.as_ref().err());
        result
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let turn = timeout(Duration::from_secs(TURN), self.turns.acquire())
            .await
            .map_err(|_| Problem::Crowded(TURN))?
            .expect("the semaphore is never closed");
        // It may have failed while this one waited.
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match &mut pause.until {
            None => {}
            Some((until, problem)) if now < *until => return Err(problem.clone()),
            Some((until, _)) => {
                // This one tries it for all; until it is back, or has gone away, others do not.
                *until = now + Duration::from_secs(READ);
                pause.is_tried = true;
            }
        }
        Ok(turn)
    }

    /// What the store failed with, while it is left alone.
    fn left_alone(&self) -> Option<Problem> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, problem) = pause.until.as_ref()?;
        pause.is_on().then(|| problem.clone())
    }

    /// A store that answered is asked again whenever somebody wants to; one that did not is left alone.
    fn heard(&self, problem: Option<&Problem>) {
        self.metrics
            .store_asked(&self.store, problem.map_or("ok", Problem::reason));
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        match problem.filter(|problem| !problem.is_definitive()) {
            None => {
                *pause = Pause::default();
                self.metrics.store_left_alone(&self.store, false);
            }
            // Others that were on their way at the same time tell nothing new.
            Some(_) if !pause.is_tried && pause.is_on() => {}
            Some(problem) => {
                let length = FIRST_PAUSE * 2_u32.saturating_pow(pause.failures.min(16));
                pause.failures += 1;
                let until = Instant::now() + jitter(length.min(LONGEST_PAUSE));
                pause.until = Some((until, problem.clone()));
                pause.is_tried = false;
                self.metrics.store_left_alone(&self.store, true);
            }
        }
    }
}

impl Pause {
    fn is_on(&self) -> bool {
        self.until
            .as_ref()
            .is_some_and(|(until, _)| Instant::now() < *until)
    }
}

#[cfg(test)]
mod tests;

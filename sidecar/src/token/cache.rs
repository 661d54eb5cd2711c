//! One token at a time: who fetches it, who waits for it, and how long it is good.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Bought, Failure};

/// After a fetch that failed, the next one waits for this long, and twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// But not longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A token is not sent in its last tenth, or in its last thirty seconds: clocks differ, and a call takes its time.
const LONGEST_MARGIN: Duration = Duration::from_secs(30);
/// The next one is fetched in the fifth before that, or in the five minutes.
const LONGEST_LEAD: Duration = Duration::from_secs(300);
/// A service that takes no token at all makes one more be fetched this often, not with every call.
const BETWEEN_DISTRUST: Duration = Duration::from_secs(30);

/// One token, or the way to it.
pub(super) struct Cache {
    state: Mutex<State>,
    /// Counts the fetches that ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    token: Option<Held>,
    is_fetching: bool,
    failure: Option<Failed>,
    distrusted: Option<Instant>,
}

/// A token with its times.
struct Held {
    bought: Bought,
    renew_at: Instant,
    unusable_at: Instant,
}

/// What the last fetch came to, if not to a token.
struct Failed {
    failure: Failure,
    pause: Duration,
    until: Instant,
}

/// What a call finds.
enum Found {
    /// A token.
    Token(Bought),
    /// A token that is to be renewed by whoever found it so.
    Renewable(Bought),
    /// Nothing, and nobody who fetches it.
    Nothing,
    /// Nothing yet.
    Underway,
    /// That there is none, and why.
    Failed(Failure),
}

/// The turn to fetch. Whoever has it ends it; dropped, it ends with [`Failure::CutOff`].
pub(super) struct Turn {
    cache: Arc<Cache>,
    began: Instant,
    has_ended: bool,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        }
    }
}

impl Cache {
    /// The token. `fetch` is given the turn where it is time to fetch another one, and returns at once.
    pub(super) async fn current(self: &Arc<Self>, fetch: impl Fn(Turn)) -> Result<Bought, Failure> {
        // From before the first look, so that no end is missed.
        let mut ended = self.ended.subscribe();
        loop {
            let now = Instant::now();
            match self.look(now) {
                Found::Token(bought) => return Ok(bought),
                Found::Renewable(bought) => {
                    fetch(self.turn(now));
                    return Ok(bought);
                }
                Found::Failed(failure) => return Err(failure),
                Found::Nothing => fetch(self.turn(now)),
                Found::Underway => {}
            }
            ended
                .changed()
                .await
                .expect("the cache has the sender and is borrowed here");
        }
    }

    /// The token that there is, whether or not it may still be sent.
    pub(super) fn newest(&self) -> Option<Bought> {
        let state = self.lock();
        state.token.as_ref().map(|token| token.bought.clone())
    }

    /// Forgets the token, unless that was done shortly before.
    pub(super) fn distrust(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        if state
            .distrusted
            .is_none_or(|before| now >= before + BETWEEN_DISTRUST)
            && state.token.take().is_some()
        {
            state.distrusted = Some(now);
        }
    }

    /// What there is at `now`. It takes the turn for whoever is to fetch.
    fn look(&self, now: Instant) -> Found {
        let mut state = self.lock();
        let is_paused = state.failure.as_ref().is_some_and(|last| now < last.until);
        let may_fetch = !state.is_fetching && !is_paused;
        let usable = state
            .token
            .as_ref()
            .filter(|token| now < token.unusable_at)
            .map(|token| (token.bought.clone(), now >= token.renew_at));
        match usable {
            Some((bought, true)) if may_fetch => {
                state.is_fetching = true;
                Found::Renewable(bought)
            }
            Some((bought, _)) => Found::Token(bought),
            None if may_fetch => {
                state.is_fetching = true;
                Found::Nothing
            }
            None if state.is_fetching => Found::Underway,
            None => match &state.failure {
                Some(last) => Found::Failed(last.failure.clone()),
                None => unreachable!("what pauses is a failure"),
            },
        }
    }

    fn turn(self: &Arc<Self>, began: Instant) -> Turn {
        Turn {
            cache: Arc::clone(self),
            began,
            has_ended: false,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

impl Turn {
    /// Ends the turn with a token and how long it lives from when it was asked for, or with none.
    pub(super) fn end(mut self, fetched: Result<(Bought, Duration), Failure>) {
        self.settle(fetched);
    }

    fn settle(&mut self, fetched: Result<(Bought, Duration), Failure>) {
        self.has_ended = true;
        let mut state = self.cache.lock();
        state.is_fetching = false;
        match fetched {
            Ok((bought, lifetime)) => {
                // A server that gives out tokens without a life does not mean that; the calls that wait for one get it.
                let lifetime = lifetime.max(Duration::from_secs(1));
                let good = lifetime - LONGEST_MARGIN.min(lifetime / 10);
                let lead = LONGEST_LEAD.min(good / 5);
                state.failure = None;
                state.token = Some(Held {
                    bought,
                    renew_at: self.began + (good - lead),
                    unusable_at: self.began + good,
                });
            }
            Err(failure) => {
                let pause = state
                    .failure
                    .as_ref()
                    .map_or(FIRST_PAUSE, |last| LONGEST_PAUSE.min(last.pause * 2));
                state.failure = Some(Failed {
                    failure,
                    pause,
                    until: Instant::now() + pause,
                });
            }
        }
        drop(state);
        self.cache.ended.send_modify(|count| *count += 1);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.has_ended {
            self.settle(Err(Failure::CutOff));
        }
    }
}

#[cfg(test)]
mod tests;

//! What was secret until a rotation, and must not come back for a while longer: its provider may go on to take it, and show it in the answers to calls that
//! were made without it.
//!
//! It is in this process's memory alone, so a sidecar that starts after the rotation does not know it. What a process never sent is seldom echoed to it, and
//! in the bundle it would lie in the cluster's store, and in the backups of that, while its owner thinks that it is gone.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use super::Needles;

/// How many values are kept of a secret that changes more often than its overlap lasts; of more, the oldest go.
const MOST: usize = 4;

/// The forms of the values that one credential had before.
pub(crate) struct Overlap {
    state: Mutex<State>,
}

struct State {
    /// The oldest first.
    previous: Vec<Previous>,
    /// What was made last of them and of the current one: most calls have the same.
    joined: Option<Joined>,
}

#[derive(Clone)]
struct Previous {
    needles: Arc<Needles>,
    until: Instant,
}

struct Joined {
    current: Arc<Needles>,
    all: Arc<Needles>,
}

impl Overlap {
    /// What is known at `now`, when `replaced` was taken out of use after what `before` knows: each of it for `overlap` at most. `None` where that is nothing.
    pub(crate) fn after(
        before: Option<&Self>,
        replaced: Option<Arc<Needles>>,
        now: Instant,
        overlap: Duration,
    ) -> Option<Self> {
        let latest = now + overlap;
        let known = before.map(|before| before.lock().previous.clone());
        let mut previous: Vec<Previous> = known.unwrap_or_default();
        for one in &mut previous {
            one.until = one.until.min(latest);
        }
        previous.extend(replaced.map(|needles| Previous {
            needles,
            until: latest,
        }));
        previous.retain(|one| one.until > now);
        previous.drain(..previous.len().saturating_sub(MOST));
        (!previous.is_empty()).then(|| Self {
            state: Mutex::new(State {
                previous,
                joined: None,
            }),
        })
    }

    /// What must not come back of a call of which `current` must not.
    pub(crate) fn with(&self, current: Option<Arc<Needles>>) -> Option<Arc<Needles>> {
        let mut state = self.lock();
        if state.previous.is_empty() {
            return current;
        }
        if let (Some(joined), Some(current)) = (&state.joined, &current)
            && Arc::ptr_eq(&joined.current, current)
        {
            return Some(Arc::clone(&joined.all));
        }
        let previous = state.previous.iter().map(|one| Arc::clone(&one.needles));
        let all: Vec<_> = current.iter().cloned().chain(previous).collect();
        let all = Needles::union(&all).map(Arc::new);
        if let (Some(all), Some(current)) = (&all, current) {
            let all = Arc::clone(all);
            state.joined = Some(Joined { current, all });
        }
        all
    }

    /// Forgets what is not to be known any longer at `now`. It is wiped when the last call that began before has ended.
    pub(crate) fn forget(&self, now: Instant) {
        let mut state = self.lock();
        let known = state.previous.len();
        state.previous.retain(|one| one.until > now);
        if state.previous.len() < known {
            state.joined = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    const OVERLAP: Duration = Duration::from_secs(600);

    fn needles(secret: &str) -> Option<Arc<Needles>> {
        Needles::new([secret.as_bytes()].into_iter(), "placeholder").map(Arc::new)
    }

    /// Which of the secrets are found.
    fn found(needles: Option<&Arc<Needles>>, secrets: &[&str]) -> Vec<bool> {
        let is_found = |secret: &&str| {
            let scrubbed = needles.map(|needles| needles.scrub(secret.as_bytes(), true).found);
            scrubbed == Some(1)
        };
        secrets.iter().map(is_found).collect()
    }

    #[test]
    fn a_previous_value_is_looked_for_beside_the_current_one_until_its_time_is_over() {
        let start = Instant::now();
        let overlap = Overlap::after(None, needles("sk-previous"), start, OVERLAP).unwrap();
        let current = needles("sk-current");
        let both = ["sk-current", "sk-previous"];
        for (age, is_known) in [(0, true), (599, true), (600, false), (601, false)] {
            overlap.forget(start + Duration::from_secs(age));
            let all = overlap.with(current.clone());
            assert_eq!(found(all.as_ref(), &both), [true, is_known], "{age}");
        }
        let all = overlap.with(current.clone()).unwrap();
        assert!(Arc::ptr_eq(&all, &current.unwrap()), "nothing is added");
    }

    #[test]
    fn a_previous_value_is_wiped_with_the_last_call_that_knew_it() {
        let start = Instant::now();
        let previous = needles("sk-previous").unwrap();
        let left: Weak<Needles> = Arc::downgrade(&previous);
        let overlap = Overlap::after(None, Some(previous), start, OVERLAP).unwrap();
        let running = overlap.with(needles("sk-current")).unwrap();
        let joined = Arc::downgrade(&running);
        overlap.forget(start + OVERLAP);
        assert!(left.upgrade().is_none());
        assert_eq!(found(Some(&running), &["sk-previous"]), [true]);
        drop(running);
        assert!(joined.upgrade().is_none());
    }

    #[test]
    fn what_is_looked_for_is_made_once_for_all_calls_with_the_same_value() {
        let overlap =
            Overlap::after(None, needles("sk-previous"), Instant::now(), OVERLAP).unwrap();
        let today = needles("sk-of-today");
        let first = overlap.with(today.clone()).unwrap();
        assert!(Arc::ptr_eq(&first, &overlap.with(today).unwrap()));
        let other = overlap.with(needles("sk-of-tomorrow"));
        let all = ["sk-of-today", "sk-of-tomorrow", "sk-previous"];
        assert_eq!(found(other.as_ref(), &all), [false, true, true]);
        let none = overlap.with(None);
        assert_eq!(found(none.as_ref(), &all), [false, false, true]);
    }

    #[test]
    fn each_value_has_its_own_time_and_a_shorter_overlap_shortens_it() {
        let start = Instant::now();
        let minute = Duration::from_secs(60);
        let first = Overlap::after(None, needles("sk-first"), start, OVERLAP).unwrap();
        let both = ["sk-first", "sk-second"];
        let second = |overlap| {
            let second = needles("sk-second");
            Overlap::after(Some(&first), second, start + minute, overlap).unwrap()
        };
        let known = |overlap: &Overlap, at| {
            overlap.forget(start + at);
            found(overlap.with(None).as_ref(), &both)
        };
        let long = second(OVERLAP);
        assert_eq!(known(&long, OVERLAP - minute), [true, true]);
        assert_eq!(known(&long, OVERLAP), [false, true]);
        assert_eq!(known(&long, OVERLAP + minute), [false, false]);
        let short = second(minute);
        assert_eq!(known(&short, minute), [true, true]);
        assert_eq!(known(&short, minute * 2), [false, false]);
    }

    #[test]
    fn of_many_values_the_newest_are_known() {
        let now = Instant::now();
        let names: Vec<String> = (0..=MOST).map(|n| format!("sk-number-{n}")).collect();
        let overlap = names.iter().fold(None, |before: Option<Overlap>, name| {
            Overlap::after(before.as_ref(), needles(name), now, OVERLAP)
        });
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = found(overlap.unwrap().with(None).as_ref(), &texts);
        assert_eq!(found, [false, true, true, true, true]);
    }

    #[test]
    fn without_a_change_there_is_nothing() {
        assert!(Overlap::after(None, None, Instant::now(), OVERLAP).is_none());
    }
}

//! When to come back.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use postern_crds::interval;

/// How often sources are read where the identity says nothing.
const DEFAULT_REFRESH: Duration = Duration::from_secs(30);
/// The shortest `refreshInterval` that is obeyed: shorter ones would mostly load the API server.
const MIN_REFRESH: Duration = Duration::from_secs(5);
/// When something is about to change by itself, or failed and may succeed.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// The period that a `refreshInterval` asks for.
pub(crate) fn refresh(text: Option<&str>) -> Duration {
    text.and_then(interval::parse)
        .unwrap_or(DEFAULT_REFRESH)
        .max(MIN_REFRESH)
}

/// `period`, a tenth more or less, so that many objects do not come back at the same moment.
pub(crate) fn jitter(period: Duration) -> Duration {
    let thousandths = 900 + u32::try_from(random() % 201).unwrap_or(100);
    period * thousandths / 1000
}

/// A number that another process, or another call, does not get. The standard library seeds every hasher anew: enough randomness to tell
/// things apart, and no crate for it.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_has_a_default_and_a_floor() {
        assert_eq!(refresh(None), DEFAULT_REFRESH);
        assert_eq!(refresh(Some("10m")), Duration::from_secs(600));
        assert_eq!(refresh(Some("1s")), MIN_REFRESH);
        assert_eq!(refresh(Some("soon")), DEFAULT_REFRESH);
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let period = Duration::from_secs(30);
        for _ in 0..1000 {
            let jittered = jitter(period);
            assert!(
                jittered >= period * 9 / 10 && jittered <= period * 11 / 10,
                "{jittered:?}"
            );
        }
    }
}

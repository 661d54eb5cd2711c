//! Waits for conditions.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// Looks at `condition` until it gives a value, and fails after `limit` with what it last said was missing.
///
/// `condition` returns `Err(what is missing)` while it does not hold.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(missing) if start.elapsed() >= limit => {
                bail!("waited {} s for {what}: {missing:#}", limit.as_secs())
            }
            Err(_) => thread::sleep(INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::bail;

    use super::until;

    #[test]
    fn waits_until_the_condition_holds() {
        let mut looks = 0;
        let value = until("the third look", Duration::from_secs(5), || {
            looks += 1;
            if looks < 3 {
                bail!("look {looks}")
            }
            Ok(looks)
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn gives_up_and_says_what_was_missing() {
        let error = until::<()>("rain", Duration::ZERO, || bail!("the sky is clear")).unwrap_err();
        assert_eq!(error.to_string(), "waited 0 s for rain: the sky is clear");
    }
}

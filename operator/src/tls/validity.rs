//! From when to when a certificate is valid, by the wall clock: a timer would stand still with a machine that sleeps.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// The first moment.
    pub(crate) not_before: Timestamp,
    /// The last.
    pub(crate) not_after: Timestamp,
}

/// Bytes that are not an X.509 certificate.
#[derive(Debug, thiserror::Error)]
#[error("this is not an X.509 certificate")]
pub(crate) struct NotACertificate;

impl Validity {
    /// `lifetime` from `now` on, and a while back, for clocks that are behind.
    pub(crate) fn starting(now: Timestamp, lifetime: SignedDuration) -> Self {
        const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);
        Self {
            not_before: now.saturating_sub(CLOCK_SKEW).unwrap_or(now),
            not_after: now.saturating_add(lifetime).unwrap_or(now),
        }
    }

    /// What `certificate` says.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Result<Self, NotACertificate> {
        let (_, parsed) =
            x509_parser::parse_x509_certificate(certificate).map_err(|_| NotACertificate)?;
        let at = |seconds| Timestamp::from_second(seconds).map_err(|_| NotACertificate);
        let validity = parsed.validity();
        Ok(Self {
            not_before: at(validity.not_before.timestamp())?,
            not_after: at(validity.not_after.timestamp())?,
        })
    }

    /// Whether a certificate may be used now.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Whether it is time for the next one: two thirds are over, or the clock says something odd.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let third = self.not_after.duration_since(self.not_before) / 3;
        !self.holds(now) || self.not_after.duration_since(now) < third
    }

    /// At most as long as `other`.
    pub(crate) fn within(self, other: &Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: self.not_after.min(other.not_after),
        }
    }

    /// Writes both times into a certificate to be.
    pub(crate) fn write(&self, params: &mut rcgen::CertificateParams) {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let since_epoch = |at: Timestamp| Duration::from_secs(at.as_second().unsigned_abs());
        params.not_before = epoch + since_epoch(self.not_before);
        params.not_after = epoch + since_epoch(self.not_after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_of_a_life_are_enough() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let validity = Validity {
            not_before: start,
            not_after: start + SignedDuration::from_hours(30),
        };
        let due_after = |hours| validity.is_due(start + SignedDuration::from_hours(hours));
        assert!(!due_after(0));
        assert!(!due_after(20));
        assert!(due_after(21));
        assert!(due_after(31));
        assert!(due_after(-1), "a clock that was set back");
    }
}

//! Sets aside what a call may use, before anything is sent.

use std::{sync::Arc, time::Instant};

use super::facts::Known;
use crate::{
    access::{Exchange, Observed},
    error::Error,
    limits::{Limits, Reservation},
    snapshot::{Binding, Snapshot},
};

/// Reserves of every limit that concerns the call. What limits that only observe would have refused is told to `exchange`.
///
/// # Errors
/// [`Error::Limit`].
pub(crate) fn reserve(
    limits: &Arc<Limits>,
    snapshot: &Snapshot,
    binding: &Binding,
    known: &Known,
    exchange: &mut Exchange,
) -> Result<Reservation, Error> {
    let reservation = limits.reserve(
        snapshot.policy.limits(),
        &binding.route.credential,
        &known.expected,
        Instant::now(),
    )?;
    for exceeded in reservation.observed() {
        exchange.observed(Observed {
            rule: Some(exceeded.limit.clone()),
            reason: exceeded.reason(),
        });
    }
    Ok(reservation)
}

//! What a bundle says of where a newer one can be fetched.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use postern_crds::{AgentIdentitySpec, Bundle, Secret, bundle::Fetch};
use rustls::crypto::aws_lc_rs;

use crate::controller::fetch::Endpoint;

/// What there is to say at one moment.
#[derive(Debug)]
pub(super) struct Offer {
    /// Where sidecars reach the operator; `None` before there is a certificate.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    /// For an identity that has none.
    pub(super) ticket: Secret,
    /// The time, in milliseconds since 1970.
    pub(super) now: u64,
}

impl Offer {
    /// An offer of `endpoint` now; `None` if the machine has no randomness.
    pub(super) fn new(endpoint: Option<Arc<Endpoint>>) -> Option<Self> {
        let mut random = [0; 32];
        let source = aws_lc_rs::default_provider().secure_random;
        source.fill(&mut random).ok()?;
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let ticket = random
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        Some(Self {
            endpoint,
            ticket: Secret::new(ticket.collect()),
            now: Timestamp::now().as_millisecond().unsigned_abs(),
        })
    }

    /// What a bundle of `spec` says, beside the `last` one, as long as nothing else is new in it.
    pub(super) fn of(&self, spec: &AgentIdentitySpec, last: Option<&Bundle>) -> Option<Fetch> {
        if !spec.is_nudged() {
            return None;
        }
        let last = last.and_then(|bundle| bundle.fetch.as_ref());
        let Some(endpoint) = &self.endpoint else {
            return last.cloned();
        };
        Some(Fetch {
            serial: last.map_or(0, |last| last.serial),
            address: endpoint.address.clone(),
            authorities: endpoint.authorities.clone(),
            // Sidecars show the one in the bundle that they have.
            ticket: last.map_or(&self.ticket, |last| &last.ticket).clone(),
        })
    }

    /// `bundle`, which is about to be written, with a number that none before had.
    pub(super) fn numbered(&self, mut bundle: Bundle) -> Bundle {
        if let Some(fetch) = &mut bundle.fetch {
            fetch.serial = self.now.max(fetch.serial.saturating_add(1));
        }
        bundle
    }
}

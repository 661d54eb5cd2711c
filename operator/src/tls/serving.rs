//! The certificate that is served now. It is swapped while connections are open; those that come next get the new one.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::validity::{NotACertificate, Validity};

/// A serving certificate with its key.
pub(crate) struct Leaf {
    key: Arc<CertifiedKey>,
    validity: Validity,
}

/// A certificate and key that cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no certificate.
    #[error("there is no certificate")]
    Empty,
    /// It is not one.
    #[error(transparent)]
    NotACertificate(#[from] NotACertificate),
    /// The key is of no use, or another certificate's.
    #[error("the key does not fit the certificate")]
    Key(#[source] rustls::Error),
}

impl Leaf {
    /// A certificate with those that follow it in its chain, and its key.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let validity = Validity::of(chain.first().ok_or(Error::Empty)?)?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(Error::Key)?;
        Ok(Self {
            key: Arc::new(key),
            validity,
        })
    }

    /// When it may be served.
    pub(crate) fn validity(&self) -> &Validity {
        &self.validity
    }

    /// The certificates, its own first.
    pub(crate) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

/// What is served now.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    leaf: ArcSwapOption<Leaf>,
    trusted: AtomicBool,
}

impl Serving {
    /// The certificate, once there is one.
    pub(crate) fn leaf(&self) -> Option<Arc<Leaf>> {
        self.leaf.load_full()
    }

    /// Serves `leaf` from the next connection on.
    pub(crate) fn swap(&self, leaf: Leaf) {
        self.leaf.store(Some(Arc::new(leaf)));
    }

    /// Says whether the API server will accept the certificate, as far as we know.
    pub(crate) fn set_trusted(&self, trusted: bool) {
        self.trusted.store(trusted, Ordering::Relaxed);
    }

    /// Whether a call from the API server would succeed now.
    pub(crate) fn is_useful(&self, now: Timestamp) -> bool {
        let leaf = self.leaf.load();
        let valid = leaf.as_ref().is_some_and(|leaf| leaf.validity.holds(now));
        valid && self.trusted.load(Ordering::Relaxed)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf.load().as_ref().map(|leaf| Arc::clone(&leaf.key))
    }
}

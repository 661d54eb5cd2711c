//! Whom upstream connections trust: the public roots, those of the system, and a credential's own authorities.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Why a credential's authorities cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TrustError {
    /// The bundle lacks them, though the identity asks for them.
    #[error("was not found")]
    Missing,
    /// They are not PEM.
    #[error("is not valid PEM")]
    NotPem,
    /// They hold no certificate.
    #[error("holds no certificate")]
    Empty,
    /// One of them is no certificate of an authority.
    #[error("holds something that is not a certificate")]
    NotACertificate,
    /// The host cannot be verified by any certificate.
    #[error("cannot help: the host is neither a DNS name nor an address")]
    NotAName,
}

/// The roots that every upstream connection trusts. Read once.
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    public: Arc<ClientConfig>,
}

impl Trust {
    /// Reads Mozilla's roots, which are compiled in, and the system's, where there are any: the image has none, a laptop may have its
    /// company's.
    pub(crate) fn load() -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let public = config(&provider, roots.clone());
        Self {
            provider,
            roots,
            public,
        }
    }

    /// Sets up the random source, which takes tens of milliseconds once, so that the first handshake need not wait for it.
    pub(crate) fn warm_up(&self) {
        // A source that fails here fails in the handshake too, and is reported there.
        let _ = self.provider.secure_random.fill(&mut [0; 1]);
    }

    /// The configuration that trusts these roots and the authorities in `pem` too.
    ///
    /// # Errors
    /// [`TrustError`] when any part of `pem` cannot be used.
    pub(crate) fn config(&self, pem: Option<&str>) -> Result<Arc<ClientConfig>, TrustError> {
        let Some(pem) = pem else {
            return Ok(Arc::clone(&self.public));
        };
        let mut roots = self.roots.clone();
        add(&mut roots, pem)?;
        Ok(config(&self.provider, roots))
    }
}

/// The configuration that trusts the authorities in `pem` and nobody else.
///
/// # Errors
/// [`TrustError`] when any part of `pem` cannot be used.
pub(crate) fn only(pem: &str) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    add(&mut roots, pem)?;
    Ok(plain_config(&provider, roots))
}

fn add(roots: &mut RootCertStore, pem: &str) -> Result<(), TrustError> {
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots
            .add(certificate.map_err(|_| TrustError::NotPem)?)
            .map_err(|_| TrustError::NotACertificate)?;
        found = true;
    }
    found.then_some(()).ok_or(TrustError::Empty)
}

fn config(provider: &Arc<CryptoProvider>, roots: RootCertStore) -> Arc<ClientConfig> {
    let mut config = plain_config(provider, roots);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn plain_config(provider: &Arc<CryptoProvider>, roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

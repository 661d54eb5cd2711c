//! The serving certificate from files, as cert-manager writes them into a Secret that is mounted. The `caBundle` is cert-manager's too.
//!
//! The files are read every few seconds. The kubelet changes them by swapping a symlink, which file watches miss.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::metrics::Metrics;
use crate::tls::serving::{self, Leaf, Serving};

/// How often the files are read.
const PERIOD: Duration = Duration::from_secs(5);

/// A directory with `tls.crt` and `tls.key`.
pub(super) struct Files {
    directory: PathBuf,
    serving: Arc<Serving>,
    metrics: Metrics,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("reading {0}: {1}")]
    Read(&'static str, #[source] io::Error),
    #[error("{0} is not PEM")]
    NotPem(&'static str),
    #[error(transparent)]
    Unusable(#[from] serving::Error),
}

impl Files {
    /// Will serve in `serving` what is in `directory`.
    pub(super) fn new(directory: PathBuf, serving: Arc<Serving>, metrics: Metrics) -> Self {
        Self {
            directory,
            serving,
            metrics,
        }
    }

    /// Follows the files until `shutdown`. As long as they make no sense, the certificate at hand is served.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        loop {
            if let Err(error) = self.read().await {
                self.metrics.certificate_failed();
                tracing::warn!(directory = %self.directory.display(), error = %error, "reading the serving certificate failed");
            }
            tokio::select! {
                () = tokio::time::sleep(PERIOD) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Serves what the files hold, if it is new. Certificate and key of two different moments do not fit, and are read again later.
    async fn read(&self) -> Result<(), Error> {
        let certificate = self.text("tls.crt").await?;
        let key = self.text("tls.key").await?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
        let chain = chain.map_err(|_| Error::NotPem("tls.crt"))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| Error::NotPem("tls.key"))?;
        if self
            .serving
            .leaf()
            .is_some_and(|leaf| leaf.chain() == chain)
        {
            return Ok(());
        }
        let leaf = Leaf::new(chain, key)?;
        self.metrics.certificate_served(leaf.validity());
        tracing::info!(not_after = %leaf.validity().not_after, "serving a new certificate");
        self.serving.swap(leaf);
        self.serving.set_trusted(true);
        Ok(())
    }

    async fn text(&self, name: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bytes = tokio::fs::read(self.directory.join(name)).await;
        bytes
            .map(Zeroizing::new)
            .map_err(|error| Error::Read(name, error))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// A Secret volume as the kubelet lays it out: the names are links through `..data`, which is swapped.
    struct Volume(tempfile::TempDir);

    impl Volume {
        fn new() -> Self {
            let volume = Self(tempfile::tempdir().unwrap());
            for name in ["tls.crt", "tls.key"] {
                symlink(format!("..data/{name}"), volume.0.path().join(name)).unwrap();
            }
            volume
        }

        fn publish(&self, version: &str, certificate: &str, key: &str) {
            let root = self.0.path();
            fs::create_dir(root.join(version)).unwrap();
            fs::write(root.join(version).join("tls.crt"), certificate).unwrap();
            fs::write(root.join(version).join("tls.key"), key).unwrap();
            symlink(version, root.join("..data_tmp")).unwrap();
            fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        }
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["webhook.svc".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn renewed_files_are_served_and_broken_ones_are_not() {
        let volume = Volume::new();
        let serving = Arc::new(Serving::default());
        let files = Files::new(
            volume.0.path().to_owned(),
            Arc::clone(&serving),
            Metrics::default(),
        );
        assert!(matches!(files.read().await, Err(Error::Read("tls.crt", _))));
        let now = jiff::Timestamp::now();
        assert!(!serving.is_useful(now));

        let (certificate, key) = pair();
        volume.publish("..1", &certificate, &key);
        files.read().await.unwrap();
        let first = serving.leaf().unwrap();
        assert!(serving.is_useful(now));

        let (renewed, renewed_key) = pair();
        volume.publish("..2", &renewed, &key);
        assert!(matches!(
            files.read().await,
            Err(Error::Unusable(serving::Error::Key(_)))
        ));
        assert!(Arc::ptr_eq(&serving.leaf().unwrap(), &first));

        volume.publish("..3", &renewed, &renewed_key);
        files.read().await.unwrap();
        assert_ne!(serving.leaf().unwrap().chain(), first.chain());
    }
}

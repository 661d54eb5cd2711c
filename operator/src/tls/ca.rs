//! The certificate authority: a key pair in a Secret that all replicas share, and the certificates that each signs with it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use zeroize::Zeroizing;

use super::{
    serving::{self, Leaf},
    validity::{NotACertificate, Validity},
};

/// Keys in the Secret, as in any of type `kubernetes.io/tls`; the last holds every authority that is to be trusted.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const TRUSTED: &str = "ca.crt";

/// The authority lives a year and is replaced after two thirds of it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
/// A replica's certificate lives a week.
const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The authority.
pub(crate) struct Ca {
    certificate: CertificateDer<'static>,
    validity: Validity,
    key: KeyPair,
    /// This authority, and earlier ones that replicas may still serve certificates of.
    trusted: Vec<CertificateDer<'static>>,
}

/// A Secret that holds no authority.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is not PEM")]
    NotPem(&'static str),
    #[error(transparent)]
    NotACertificate(#[from] NotACertificate),
    #[error("tls.crt and tls.key do not fit: {0}")]
    Mismatch(#[from] serving::Error),
    #[error("the cryptographic library refused: {0}")]
    Rcgen(#[from] rcgen::Error),
}

impl Ca {
    /// A new authority, which is trusted beside those of `earlier` that have not expired.
    pub(crate) fn generate(
        now: Timestamp,
        earlier: &[CertificateDer<'static>],
    ) -> Result<Self, Error> {
        let validity = Validity::starting(now, LIFETIME);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        validity.write(&mut params);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "postern-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.der().clone();
        let mut trusted = vec![certificate.clone()];
        trusted.extend(unexpired(earlier, now).cloned());
        Ok(Self {
            validity: Validity::of(&certificate)?,
            certificate,
            key,
            trusted,
        })
    }

    /// The authority that a Secret holds.
    pub(crate) fn read(secret: &Secret) -> Result<Self, Error> {
        let text = |key| {
            let data = secret.data.as_ref().and_then(|data| data.get(key));
            let text = data.map(|ByteString(bytes)| String::from_utf8_lossy(bytes));
            text.filter(|text| !text.is_empty())
                .ok_or(Error::Missing(key))
        };
        let certificate = certificates(&text(CERTIFICATE)?)
            .into_iter()
            .next()
            .ok_or(Error::NotPem(CERTIFICATE))?;
        let key = Zeroizing::new(text(KEY)?.into_owned());
        let key = KeyPair::from_pem(&key).map_err(|_| Error::NotPem(KEY))?;
        // Whoever exchanged only one of both would make every replica serve what nobody accepts.
        Leaf::new(vec![certificate.clone()], private(&key))?;
        let mut trusted = text(TRUSTED).map_or(Vec::new(), |text| certificates(&text));
        if !trusted.contains(&certificate) {
            trusted.insert(0, certificate.clone());
        }
        Ok(Self {
            validity: Validity::of(&certificate)?,
            certificate,
            key,
            trusted,
        })
    }

    /// What a Secret must hold to be read as this authority.
    pub(crate) fn data(&self) -> BTreeMap<String, ByteString> {
        let certificate = to_pem([&self.certificate]);
        [
            (CERTIFICATE, certificate.into_bytes()),
            (KEY, self.key.serialize_pem().into_bytes()),
            (TRUSTED, to_pem(&self.trusted).into_bytes()),
        ]
        .map(|(key, bytes)| (key.to_owned(), ByteString(bytes)))
        .into()
    }

    /// When it may sign.
    pub(crate) fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Every authority to be trusted now, the current one first.
    pub(crate) fn trusted(&self, now: Timestamp) -> Vec<CertificateDer<'static>> {
        unexpired(&self.trusted, now).cloned().collect()
    }

    /// Whether it is the one that signed `leaf`.
    pub(crate) fn signed(&self, leaf: &Leaf) -> bool {
        leaf.chain().last() == Some(&self.certificate)
    }

    /// A certificate for a server with these names.
    pub(crate) fn sign(&self, names: &[String], now: Timestamp) -> Result<Leaf, Error> {
        let mut params = CertificateParams::new(names)?;
        Validity::starting(now, LEAF_LIFETIME)
            .within(&self.validity)
            .write(&mut params);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "postern");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // All authorities have one name: this tells which of them to try.
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::from_ca_cert_der(&self.certificate, &self.key)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &issuer)?.der().clone();
        Ok(Leaf::new(
            vec![certificate, self.certificate.clone()],
            private(&key),
        )?)
    }
}

/// The certificates in a PEM text; none, if any of them is broken.
pub(crate) fn certificates(text: &str) -> Vec<CertificateDer<'static>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    all.unwrap_or_default()
}

/// Certificates as PEM.
pub(crate) fn to_pem<'a>(
    certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> String {
    let blocks: Vec<Pem> = certificates
        .into_iter()
        .map(|certificate| Pem::new("CERTIFICATE", certificate.to_vec()))
        .collect();
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_many_config(&blocks, config)
}

/// Those that have not expired; what is no certificate has.
pub(crate) fn unexpired<'a>(
    certificates: &'a [CertificateDer<'static>],
    now: Timestamp,
) -> impl Iterator<Item = &'a CertificateDer<'static>> {
    certificates.iter().filter(move |certificate| {
        Validity::of(certificate).is_ok_and(|validity| now <= validity.not_after)
    })
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

//! Why a source gave nothing, in words that say what to do.

use std::fmt;

use postern_crds::source::Unfit;

use super::Problem;

/// One key of an object in the identity's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The object's kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// Kinds of objects that sources are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Secret.
    Secret,
    /// A ConfigMap.
    ConfigMap,
}

/// Why a source gave nothing. Its `Display` is for the status of an identity; no variant can hold a byte of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The object does not exist.
    #[error("{0} does not exist; create it: {create}", create = .0.create_command())]
    NotFound(Box<Place>),
    /// The Secret's owner does not consent to its use by the identity.
    #[error("{place} may not be used by identity {identity}; its owner consents with: {command}", command = consent_command(.place, .identity, .others.as_deref()))]
    ConsentMissing {
        /// The key that was asked for.
        place: Box<Place>,
        /// The identity.
        identity: String,
        /// What the annotation says now, if it is there.
        others: Option<String>,
    },
    /// The object lacks the key.
    #[error("{place} has no key {key:?}; {has}", key = .place.key, has = list_keys(.keys))]
    KeyNotFound {
        /// The key that was asked for.
        place: Box<Place>,
        /// The keys that the object has.
        keys: Vec<String>,
    },
    /// The value cannot be a credential's secret.
    #[error("key {key:?} of {place} {problem}", key = .place.key)]
    Unfit {
        /// The key.
        place: Box<Place>,
        /// What is wrong with it.
        problem: Unfit,
    },
    /// The value is not what certificate authorities look like.
    #[error("key {key:?} of {place} {problem}", key = .place.key)]
    NotAuthorities {
        /// The key.
        place: Box<Place>,
        /// What is wrong with it.
        problem: NotAuthorities,
    },
    /// The API server did not give the object; it may well be there.
    #[error("{place} could not be read: {detail}")]
    Unavailable {
        /// The key that was asked for.
        place: Box<Place>,
        /// What the API server said.
        detail: String,
    },
    /// A store gave nothing.
    #[error("CredentialStore {store}: {problem}")]
    Store {
        /// The store's name.
        store: String,
        /// Why.
        problem: Problem,
    },
    /// There is no such store.
    #[error("CredentialStore {0} does not exist")]
    StoreNotFound(String),
    /// The store is not for this namespace. Whether there is anything at the path is not told, since nobody looked.
    #[error(
        "CredentialStore {store} does not allow namespace {namespace}: its allowedNamespaces does not select it"
    )]
    StoreNotAllowed {
        /// The store's name.
        store: String,
        /// The identity's namespace.
        namespace: String,
    },
    /// The operator was told to read no stores.
    #[error("this operator reads no stores (--stores=false)")]
    StoresOff,
    /// The spec names no source that this version knows.
    #[error("the spec names no source that this version of the operator knows")]
    Unsupported,
}

/// What is wrong with a PEM bundle of certificate authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthorities {
    /// It has no PEM certificate.
    #[error("has no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// It has a PEM section that is no certificate, as of a private key.
    #[error(
        "has something other than certificates in it, perhaps a private key, which does not belong there"
    )]
    NotOnlyCertificates,
    /// A certificate in it cannot be read.
    #[error("has a certificate that cannot be read")]
    BadCertificate,
}

impl Failure {
    /// A stable token for conditions, Events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(place) => match place.kind {
                Kind::Secret => "SecretNotFound",
                Kind::ConfigMap => "ConfigMapNotFound",
            },
            Self::ConsentMissing { .. } => "ConsentMissing",
            Self::KeyNotFound { .. } => "KeyNotFound",
            Self::Unfit {
                problem: Unfit::Empty,
                ..
            } => "ValueEmpty",
            Self::Unfit { .. } | Self::NotAuthorities { .. } => "ValueMalformed",
            Self::Unavailable { .. } => "SourceUnavailable",
            Self::Store { problem, .. } => problem.reason(),
            Self::StoreNotFound(_) => "StoreNotFound",
            Self::StoreNotAllowed { .. } => "StoreNotAllowed",
            Self::StoresOff | Self::Unsupported => "SourceUnsupported",
        }
    }

    /// Whether the source itself was heard: it has nothing for us, so what it gave before is withdrawn. Otherwise its last value stays in use.
    pub fn is_definitive(&self) -> bool {
        match self {
            Self::NotFound(_)
            | Self::ConsentMissing { .. }
            | Self::KeyNotFound { .. }
            | Self::Unfit { .. }
            | Self::NotAuthorities { .. }
            | Self::StoreNotFound(_)
            | Self::StoreNotAllowed { .. }
            | Self::StoresOff
            | Self::Unsupported => true,
            Self::Unavailable { .. } => false,
            Self::Store { problem, .. } => problem.is_definitive(),
        }
    }

    /// The object in the identity's namespace that somebody must look at.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::NotFound(place)
            | Self::ConsentMissing { place, .. }
            | Self::KeyNotFound { place, .. }
            | Self::Unfit { place, .. }
            | Self::NotAuthorities { place, .. }
            | Self::Unavailable { place, .. } => Some(place),
            Self::Store { .. }
            | Self::StoreNotFound(_)
            | Self::StoreNotAllowed { .. }
            | Self::StoresOff
            | Self::Unsupported => None,
        }
    }
}

impl Place {
    fn create_command(&self) -> String {
        let Self {
            kind,
            namespace,
            name,
            key,
        } = self;
        match kind {
            Kind::Secret => format!(
                "kubectl create secret generic {name} -n {namespace} --from-file={key}=FILE"
            ),
            Kind::ConfigMap => {
                format!("kubectl create configmap {name} -n {namespace} --from-file={key}=FILE")
            }
        }
    }
}

fn consent_command(place: &Place, identity: &str, others: Option<&str>) -> String {
    let annotation = postern_crds::names::ALLOW_IDENTITY_ANNOTATION;
    let Place {
        namespace, name, ..
    } = place;
    match others.map(str::trim).filter(|others| !others.is_empty()) {
        None => format!(
            "kubectl annotate --overwrite secret {name} -n {namespace} {annotation}={identity}"
        ),
        Some(others) => format!(
            "kubectl annotate --overwrite secret {name} -n {namespace} '{annotation}={others},{identity}'"
        ),
    }
}

fn list_keys(keys: &[String]) -> String {
    if keys.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", keys.join(", "))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

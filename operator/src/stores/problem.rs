//! Why a store gave nothing, in words that say which of address, TLS, login, permission, path and key is wrong.

use postern_crds::source::Unfit;

/// Why a store gave nothing. No variant can hold a byte of what a store answered, but for names of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its spec has no meaning, or one that only another version knows.
    #[error("spec: {0}")]
    Spec(String),
    /// The stores of the cluster have not been listed.
    #[error("the API server has not told the operator of any store yet")]
    NotListed,
    /// The namespace's labels could not be read, by which the store allows it or not.
    #[error("the labels of namespace {namespace} could not be read: {detail}")]
    NamespaceUnread {
        /// The namespace.
        namespace: String,
        /// What the API server said.
        detail: String,
    },
    /// It could not be reached.
    #[error("address: it cannot be reached: {0}")]
    Address(String),
    /// It did not answer in time.
    #[error("address: it did not answer within {0} s")]
    TimedOut(u64),
    /// It was not asked: others were, for too long.
    #[error("it has so much to answer that this reading had no turn within {0} s")]
    Crowded(u64),
    /// Its certificate is not accepted, or it does not speak TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// Its own certificate authorities are not there.
    #[error("TLS: the authorities in {0}")]
    Authorities(OwnProblem),
    /// What the operator logs in with is not there.
    #[error("login: {0}")]
    LoginMissing(OwnProblem),
    /// It does not let the operator in.
    #[error("login: {at} refused {who} ({status})")]
    LoginRefused {
        /// The path that was called.
        at: String,
        /// Who asked: a role, or "the token".
        who: String,
        /// HTTP status of the answer.
        status: u16,
    },
    /// There is no such auth method.
    #[error("login: nothing is mounted at {0}")]
    LoginPath(String),
    /// AWS does not let the operator in.
    #[error("login: {at} refused {who} ({code})")]
    LoginDenied {
        /// What was asked, as in `sts:AssumeRole`.
        at: &'static str,
        /// For whom: a role, or "the credentials".
        who: String,
        /// The code of the refusal, one of those that are known.
        code: &'static str,
    },
    /// Where the operator logs in is elsewhere, and did not answer as it should.
    #[error("login: {at}: {problem}")]
    LoginUnreached {
        /// What was asked.
        at: &'static str,
        /// Why there is no answer.
        problem: Box<Problem>,
    },
    /// Its endpoint serves another region.
    #[error("address: its endpoint is not one of region {0}")]
    OtherRegion(String),
    /// The operator is let in, but may not read there.
    #[error("permission: the operator's login may not read {0}")]
    Permission(String),
    /// Nothing below a mount can be read: it does not exist, or no policy of the login is about it.
    #[error("permission: the operator's login may read nothing below {0}, if that exists")]
    Mount(String),
    /// Another kind of engine is mounted there than the store says.
    #[error("path: at {mount} is version {found} of the KV engine, the store says {said}")]
    KvVersion {
        /// Where it is mounted.
        mount: String,
        /// What the server says.
        found: u8,
        /// What the store says.
        said: u8,
    },
    /// There is nothing there.
    #[error("path: there is nothing at {0}")]
    Path(String),
    /// It is there, and about to be deleted.
    #[error("path: what is at {0} is marked for deletion")]
    Deleted(String),
    /// No secret can be called so.
    #[error("path: it takes no such name or version: {0}")]
    NoName(String),
    /// The path names another region.
    #[error("path: the ARN is of region {named}, the store of {region}")]
    Region {
        /// The ARN's.
        named: String,
        /// The store's.
        region: String,
    },
    /// The key that it was encrypted with cannot be used.
    #[error(
        "permission: it cannot decrypt what is at {0}: look at the state and the policy of its KMS key"
    )]
    Undecryptable(String),
    /// The version that was asked for cannot be one of this store.
    #[error("version: {0}")]
    Version(&'static str),
    /// What is there lacks the key.
    #[error("key: what is at {path} has no member {key:?}; {has}", has = list(.has))]
    Key {
        /// Where.
        path: String,
        /// What was asked for.
        key: String,
        /// The names of the first members that are there.
        has: Vec<String>,
    },
    /// No key is named, and the credential is one member of several.
    #[error("key: name the member of what is at {path} that is the secret; {has}", has = list(.has))]
    KeyUnnamed {
        /// Where.
        path: String,
        /// The names of the first members that are there.
        has: Vec<String>,
    },
    /// A key is named, and what is there has no members.
    #[error("key: what is at {0} is one text without members: leave the key out")]
    KeyUnused(String),
    /// The value is a number, a list or the like.
    #[error("key: {what} is not a text", what = member(.path, .key.as_deref()))]
    NotText {
        /// Where.
        path: String,
        /// What was asked for.
        key: Option<String>,
    },
    /// The value should be base64.
    #[error("value: what is at {0} is not base64")]
    NotEncoded(String),
    /// The value cannot be a credential's secret.
    #[error("value: what is at {path} {problem}")]
    Unfit {
        /// Where.
        path: String,
        /// What is wrong with it.
        problem: Unfit,
    },
    /// It makes no leases.
    #[error("it makes no leases")]
    NoLeases,
    /// It is too busy.
    #[error("it asks for patience: too many requests")]
    Throttled,
    /// It is sealed.
    #[error("it is sealed")]
    Sealed,
    /// It sends the caller elsewhere.
    #[error(
        "address: it answered with a redirect ({0}), and no credential is sent where a redirect leads; name the right address"
    )]
    Redirect(u16),
    /// It answered with a status that means nothing here.
    #[error("it answered {0}")]
    Server(u16),
    /// Its answer is longer than any that has a credential in it.
    #[error("its answer is longer than {0} bytes")]
    TooLong(usize),
    /// Its answer is not what such a store answers.
    #[error("its answer is not what such a store answers; is it one?")]
    Malformed,
}

/// Why something in the operator's own namespace gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnProblem {
    /// There is none.
    #[error("{kind} {name} of the operator's namespace {namespace}: it does not exist")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The operator's namespace.
        namespace: String,
    },
    /// It lacks the key.
    #[error("{kind} {name} of the operator's namespace: it has no key {key:?}, or nothing in it")]
    KeyMissing {
        /// The kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// It is not what it should be.
    #[error("{kind} {name} of the operator's namespace: {what}")]
    Malformed {
        /// The kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The API server did not give it.
    #[error("{kind} {name} of the operator's namespace could not be had: {detail}")]
    Unread {
        /// The kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        detail: String,
    },
    /// The operator does not know its own service account.
    #[error("the operator was not told its own service account (--service-account)")]
    NoServiceAccount,
    /// AWS knows nothing of the operator's pod.
    #[error(
        "the operator's pod has no credentials of AWS: no keys in its environment, no role of its service account, no Pod Identity"
    )]
    NoAwsIdentity,
}

impl Problem {
    /// A stable token for conditions, Events and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) | Self::NoLeases => "StoreInvalid",
            Self::NotListed | Self::NamespaceUnread { .. } => "SourceUnavailable",
            Self::Address(_) | Self::TimedOut(_) | Self::Redirect(_) | Self::OtherRegion(_) => {
                "StoreUnreachable"
            }
            Self::Tls(_) | Self::Authorities(_) => "StoreTlsFailed",
            Self::LoginMissing(_)
            | Self::LoginRefused { .. }
            | Self::LoginPath(_)
            | Self::LoginDenied { .. } => "StoreLoginFailed",
            Self::LoginUnreached { problem, .. } => problem.reason(),
            Self::Permission(_) | Self::Mount(_) | Self::Undecryptable(_) => "PermissionDenied",
            Self::Path(_)
            | Self::Deleted(_)
            | Self::NoName(_)
            | Self::Region { .. }
            | Self::Version(_) => "PathNotFound",
            Self::KvVersion { .. } => "EngineMismatch",
            Self::Key { .. } | Self::KeyUnnamed { .. } | Self::KeyUnused(_) => "KeyNotFound",
            Self::Unfit {
                problem: Unfit::Empty,
                ..
            } => "ValueEmpty",
            Self::NotText { .. } | Self::NotEncoded(_) | Self::Unfit { .. } => "ValueMalformed",
            Self::Throttled | Self::Crowded(_) => "StoreThrottled",
            Self::Sealed => "StoreSealed",
            Self::Server(_) | Self::TooLong(_) | Self::Malformed => "StoreFailed",
        }
    }

    /// Whether a certificate was not accepted, of the store or of where the operator logs in: perhaps the authorities have changed.
    pub(super) fn is_of_tls(&self) -> bool {
        match self {
            Self::Tls(_) => true,
            Self::LoginUnreached { problem, .. } => problem.is_of_tls(),
            _ => false,
        }
    }

    /// Whether the store itself was heard: it has nothing for us, so what it gave before is withdrawn. Otherwise its last value stays in use.
    pub fn is_definitive(&self) -> bool {
        match self {
            Self::Permission(_)
            | Self::Undecryptable(_)
            | Self::Path(_)
            | Self::Deleted(_)
            | Self::NoName(_)
            | Self::Region { .. }
            | Self::Version(_)
            | Self::Key { .. }
            | Self::KeyUnnamed { .. }
            | Self::KeyUnused(_)
            | Self::NotText { .. }
            | Self::NotEncoded(_)
            | Self::Unfit { .. } => true,
            Self::Spec(_)
            | Self::NoLeases
            | Self::NotListed
            | Self::NamespaceUnread { .. }
            | Self::Address(_)
            | Self::TimedOut(_)
            | Self::Crowded(_)
            | Self::Tls(_)
            | Self::Authorities(_)
            | Self::LoginMissing(_)
            | Self::LoginRefused { .. }
            | Self::LoginPath(_)
            | Self::LoginDenied { .. }
            | Self::LoginUnreached { .. }
            | Self::OtherRegion(_)
            | Self::Mount(_)
            | Self::KvVersion { .. }
            | Self::Throttled
            | Self::Sealed
            | Self::Redirect(_)
            | Self::Server(_)
            | Self::TooLong(_)
            | Self::Malformed => false,
        }
    }
}

fn member(path: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("the member {key:?} of what is at {path}"),
        None => format!("what is at {path}"),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    }
}

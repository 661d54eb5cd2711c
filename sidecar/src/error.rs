//! Everything that can end a request other than its upstream's answer: one enum, and for each case one status, one reason, one message.

use http::StatusCode;
use postern_crds::policy::RuleId;

use crate::{
    listener::HeadError,
    proxy::path::PathError,
    upstream::{SendError, tls::TrustError},
};

/// Why a request got an answer of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No bundle was loaded yet.
    #[error("no bundle is loaded")]
    NoPolicy,
    /// The request's head cannot be read, or not in one way only.
    #[error("the head of the request is refused: {0}")]
    Head(#[from] HeadError),
    /// The path means different things to different servers.
    #[error("the path is refused: {0}")]
    Path(#[from] PathError),
    /// No `Host`, more than one, or one that is not text.
    #[error("the request has no single Host")]
    HostMalformed,
    /// `Host` or the target names another destination than the route.
    #[error("the request names another destination than its route")]
    AuthorityMismatch,
    /// CONNECT, TRACE, or a method that no rule can name.
    #[error("the method is not forwarded")]
    MethodRefused,
    /// The first segment of the path is no credential's name. Carries the routes that there are.
    #[error("no credential has this route; there are {0}")]
    UnknownRoute(String),
    /// A placeholder where none belongs.
    #[error("the placeholder of credential {of} was in the {place}")]
    Canary {
        /// The credential whose placeholder it is.
        of: String,
        /// Where it was.
        place: &'static str,
    },
    /// A rule denies the request.
    #[error("rule {0} denies it")]
    DeniedByRule(RuleId),
    /// No rule allows the request.
    #[error("no rule allows it")]
    NoRule,
    /// The credential could not be resolved.
    #[error("the credential has no secret")]
    CredentialMissing,
    /// The secret cannot be sent as the route wants it.
    #[error("the credential's secret cannot be sent as the route wants it")]
    CredentialUnusable,
    /// The certificate authorities of the credential cannot be used.
    #[error("the credential's certificate authorities cannot be used: {0}")]
    Trust(TrustError),
    /// The upstream was not reached, or did not answer.
    #[error(transparent)]
    Upstream(#[from] SendError),
}

/// What is known of a request when it is refused, for the message to its developer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// `namespace/name` of the identity, or nothing.
    pub(crate) identity: &'a str,
    /// Name of the credential, or nothing.
    pub(crate) credential: &'a str,
    /// The upstream's host, or nothing.
    pub(crate) host: &'a str,
    /// The method.
    pub(crate) method: &'a str,
    /// The path as it was matched, or nothing.
    pub(crate) path: &'a str,
}

impl Error {
    /// The status. Decisions are 403, which no client retries; only a failing upstream is 5xx.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Head(error) => error.status(),
            Self::Path(_) | Self::HostMalformed => StatusCode::BAD_REQUEST,
            Self::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownRoute(_) => StatusCode::NOT_FOUND,
            Self::NoPolicy
            | Self::AuthorityMismatch
            | Self::Canary { .. }
            | Self::DeniedByRule(_)
            | Self::NoRule
            | Self::CredentialMissing
            | Self::CredentialUnusable
            | Self::Trust(_) => StatusCode::FORBIDDEN,
            Self::Upstream(error) => match error {
                SendError::Refused { .. } => StatusCode::FORBIDDEN,
                SendError::Timeout => StatusCode::GATEWAY_TIMEOUT,
                SendError::Unresolved(_)
                | SendError::Unreachable(_)
                | SendError::Tls(_)
                | SendError::Broken(_)
                | SendError::Switched => StatusCode::BAD_GATEWAY,
            },
        }
    }

    /// The stable word for it: response header, metric label and log field.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoPolicy => "no_policy",
            Self::Head(error) => error.reason(),
            Self::Path(_) => "path_invalid",
            Self::HostMalformed => "host_invalid",
            Self::AuthorityMismatch => "authority_mismatch",
            Self::MethodRefused => "method_refused",
            Self::UnknownRoute(_) => "unknown_route",
            Self::Canary { .. } => "placeholder_misplaced",
            Self::DeniedByRule(_) => "denied_by_rule",
            Self::NoRule => "no_rule",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialUnusable => "credential_unusable",
            Self::Trust(_) => "trust_invalid",
            Self::Upstream(error) => match error {
                SendError::Refused { .. } => "address_refused",
                SendError::Timeout => "upstream_timeout",
                SendError::Unresolved(_) => "upstream_unresolved",
                SendError::Unreachable(_) => "upstream_unreachable",
                SendError::Tls(_) => "upstream_tls",
                SendError::Broken(_) | SendError::Switched => "upstream_broken",
            },
        }
    }

    /// Whether the same request could have another end in a moment, so that a client may try again.
    pub(crate) fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Upstream(error) => match error {
                SendError::Timeout
                | SendError::Unresolved(_)
                | SendError::Unreachable(_)
                | SendError::Broken(_) => true,
                SendError::Refused { .. } | SendError::Tls(_) | SendError::Switched => false,
            },
            Self::NoPolicy
            | Self::Head(_)
            | Self::Path(_)
            | Self::HostMalformed
            | Self::AuthorityMismatch
            | Self::MethodRefused
            | Self::UnknownRoute(_)
            | Self::Canary { .. }
            | Self::DeniedByRule(_)
            | Self::NoRule
            | Self::CredentialMissing
            | Self::CredentialUnusable
            | Self::Trust(_) => false,
        }
    }

    /// The rule that decided, if one did.
    pub(crate) fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::DeniedByRule(rule) => Some(rule),
            _ => None,
        }
    }

    /// What the developer of the calling program reads: what was refused, why, and what would let it pass.
    pub(crate) fn public_message(&self, call: &Call<'_>) -> String {
        let Call {
            identity,
            credential,
            host,
            method,
            path,
        } = call;
        match self {
            Self::NoPolicy => {
                "postern has no policy yet, so it denies everything: the Secret of the pod's AgentIdentity is not there or not valid. See \
                 `kubectl describe agentidentity` and the log of the container postern."
                    .into()
            }
            Self::Head(error) => format!("postern refuses the request: {error}."),
            Self::Path(error) => format!("postern refuses the path: {error}. Send it in its plain form."),
            Self::HostMalformed => "postern refuses the request: it needs exactly one Host header.".into(),
            Self::AuthorityMismatch => {
                "postern refuses the request: its Host, :authority or absolute target names another server than its route. The first segment of \
                 the path decides where a call goes; use the base URL as it is, and no proxy form."
                    .into()
            }
            Self::MethodRefused => format!("postern does not forward {method}."),
            Self::UnknownRoute(routes) => format!(
                "postern has no route for this path. The first segment must be a credential of identity {identity}: {routes}. Is the base URL \
                 right?"
            ),
            Self::Canary { of, place } => format!(
                "postern refuses the request: the placeholder of credential {of:?} is in its {place}, where no key of this route belongs. A \
                 placeholder is worth nothing outside its own route; this request was counted."
            ),
            Self::DeniedByRule(rule) => {
                format!("postern: rule {rule} denies {method} {path} with credential {credential:?} of identity {identity}. A Deny wins over every Allow.")
            }
            Self::NoRule => format!(
                "postern: no rule allows {method} {path} with credential {credential:?} of identity {identity}. To allow it, add a rule to an \
                 EgressPolicy that targets the identity: {{name: NAME, to: {{credentials: [{credential}]}}, methods: [{method}], paths: [{path}], action: \
                 Allow}}."
            ),
            Self::CredentialMissing => format!(
                "postern: the call is allowed, but credential {credential:?} of identity {identity} has no secret: its source does not exist, or \
                 does not consent. See `kubectl describe agentidentity`."
            ),
            Self::CredentialUnusable => format!(
                "postern: the call is allowed, but the secret of credential {credential:?} of identity {identity} is empty or not of the kind that its \
                 `inject` needs. Correct it at its source; `kubectl describe agentidentity` says what is wrong."
            ),
            Self::Trust(error) => format!("postern: the call is allowed, but {host} cannot be verified: the caBundle of credential {credential:?} {error}."),
            Self::Upstream(error) => match error {
                SendError::Refused { address, refusal } => format!(
                    "postern refuses to connect: {host} resolves to {address}, which is {refusal}. If that is meant, name the address itself as \
                     the endpoint of credential {credential:?}."
                ),
                SendError::Timeout => format!("postern could not connect to {host} in time."),
                SendError::Unresolved(_) => format!("postern could not find the address of {host}."),
                SendError::Unreachable(_) => format!("postern could not connect to {host}."),
                SendError::Tls(error) => format!(
                    "postern could not verify {host}: {error}. If it has a certificate of an authority of your own, set tls.caBundle of credential \
                     {credential:?}."
                ),
                SendError::Broken(_) => format!("postern lost the connection to {host} before it answered."),
                SendError::Switched => format!(
                    "postern refuses the answer of {host}: it switched to another protocol, which is not supported."
                ),
            },
        }
    }
}

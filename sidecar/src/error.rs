//! Everything that can end a request other than its upstream's answer: one enum, and for each case one status, one reason, one message.

use std::time::Duration;

use http::StatusCode;
use postern_crds::policy::RuleId;

use crate::{
    dialect::{Unreadable, encoding},
    limits::Exceeded,
    listener::HeadError,
    mask::{Unmaskable, Unsendable},
    proxy::{inject::Unsignable, path::PathError},
    token,
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
    /// A rule could not be evaluated for the request, so whether it denies it is not known.
    #[error("rule {rule} cannot be evaluated: {error}")]
    PolicyFailed {
        /// The rule.
        rule: RuleId,
        /// Why, without anything of the request but names of facts.
        error: String,
    },
    /// The body broke off before its end.
    #[error("the body of the request broke off")]
    BodyBroken(#[source] hyper::Error),
    /// The body cannot be read in one way only.
    #[error("the body is refused: {0}")]
    Body(#[from] Unreadable),
    /// The body is longer than what is read for a decision, and the rule does not let it pass unread.
    #[error("the body is longer than {limit} bytes, and rule {rule} has to read it")]
    BodyTooLarge {
        /// The rule that had to know what is in it.
        rule: RuleId,
        /// What is read at most.
        limit: usize,
    },
    /// The body's content encoding cannot be taken off.
    #[error("the body is refused: {0}")]
    Encoding(#[from] encoding::Error),
    /// A limit stands in the way.
    #[error(transparent)]
    Limit(#[from] Exceeded),
    /// The credential could not be resolved.
    #[error("the credential has no secret")]
    CredentialMissing,
    /// The source of the credential could not be read for too long.
    #[error("the credential's secret is stale")]
    SecretStale,
    /// The secret cannot be sent as the route wants it.
    #[error("the credential's secret cannot be sent as the route wants it")]
    CredentialUnusable,
    /// The request cannot be signed.
    #[error("the request cannot be signed: {0}")]
    Unsignable(#[from] Unsignable),
    /// The secret bought no token.
    #[error("there is no access token: {0}")]
    Token(#[from] token::Failure),
    /// The certificate authorities of the credential cannot be used.
    #[error("the credential's certificate authorities cannot be used: {0}")]
    Trust(TrustError),
    /// The body cannot be masked.
    #[error("the body cannot be masked: {0}")]
    Unsendable(#[from] Unsendable),
    /// The answer cannot be masked.
    #[error("the answer is not passed on: {0}")]
    Unmaskable(#[from] Unmaskable),
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
            Self::Path(_) | Self::HostMalformed | Self::BodyBroken(_) | Self::Body(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::Unsignable(error) => match error {
                Unsignable::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
                Unsignable::Chunks | Unsignable::Header => StatusCode::BAD_REQUEST,
            },
            Self::Encoding(error) => match error {
                encoding::Error::Unknown => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                encoding::Error::Broken => StatusCode::BAD_REQUEST,
                encoding::Error::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            },
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // 429 invites to come again, which is right only where that helps.
            Self::Limit(exceeded) => match exceeded.retry_after() {
                Some(_) => StatusCode::TOO_MANY_REQUESTS,
                None => StatusCode::FORBIDDEN,
            },
            Self::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownRoute(_) => StatusCode::NOT_FOUND,
            Self::NoPolicy
            | Self::AuthorityMismatch
            | Self::Canary { .. }
            | Self::DeniedByRule(_)
            | Self::NoRule
            | Self::PolicyFailed { .. }
            | Self::CredentialMissing
            | Self::SecretStale
            | Self::CredentialUnusable
            | Self::Trust(_)
            | Self::Unsendable(_)
            | Self::Unmaskable(_) => StatusCode::FORBIDDEN,
            Self::Token(failure) => match failure {
                token::Failure::Timeout => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            },
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
            Self::PolicyFailed { .. } => "rule_failed",
            Self::BodyBroken(_) => "body_incomplete",
            Self::Body(_) => "body_invalid",
            Self::Encoding(error) => match error {
                encoding::Error::Unknown => "encoding_refused",
                encoding::Error::Broken => "body_invalid",
                encoding::Error::TooLong => "body_too_large",
            },
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::Limit(exceeded) => exceeded.reason(),
            Self::CredentialMissing => "credential_missing",
            Self::SecretStale => "secret_stale",
            Self::CredentialUnusable => "credential_unusable",
            Self::Unsignable(error) => match error {
                Unsignable::TooLong(_) => "body_too_large",
                Unsignable::Chunks | Unsignable::Header => "unsignable",
            },
            Self::Token(_) => "token_unavailable",
            Self::Trust(_) => "trust_invalid",
            Self::Unsendable(_) | Self::Unmaskable(_) => "unmaskable",
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
            Self::Token(failure) => failure.is_transient(),
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
            | Self::PolicyFailed { .. }
            | Self::BodyBroken(_)
            | Self::Body(_)
            | Self::Encoding(_)
            | Self::BodyTooLarge { .. }
            // Worth one, but by a program that waits as long as it is told: the libraries' own tries only add to what is too much.
            | Self::Limit(_)
            | Self::CredentialMissing
            | Self::SecretStale
            | Self::CredentialUnusable
            | Self::Unsignable(_)
            | Self::Trust(_)
            | Self::Unsendable(_)
            | Self::Unmaskable(_) => false,
        }
    }

    /// How long to wait before the same call has a chance, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limit(exceeded) => exceeded.retry_after(),
            _ => None,
        }
    }

    /// The rule or limit that decided, if one did.
    pub(crate) fn rule(&self) -> Option<&RuleId> {
        match self {
            Self::DeniedByRule(rule)
            | Self::PolicyFailed { rule, .. }
            | Self::BodyTooLarge { rule, .. } => Some(rule),
            Self::Limit(exceeded) => Some(&exceeded.limit),
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
            Self::PolicyFailed { rule, error } => format!(
                "postern: rule {rule} cannot be evaluated for {method} {path} with credential {credential:?} of identity {identity}, so the call is \
                 denied: {error}."
            ),
            Self::BodyBroken(_) => "postern did not get the whole body of the request.".into(),
            Self::Body(error) => format!(
                "postern refuses the body of {method} {path}: {error}. A policy of identity {identity} decides by what is in it, so it must mean one \
                 thing only."
            ),
            Self::Encoding(error) => format!("postern refuses the body of {method} {path}: {error}."),
            Self::BodyTooLarge { rule, limit } => format!(
                "postern: the body of {method} {path} is longer than the {limit} bytes that are read for a decision, and rule {rule} of identity \
                 {identity} has to know what is in it. Send less, raise maxInspectedBytes of the EgressPolicy, or let the rule say uninspected: Allow."
            ),
            Self::Limit(exceeded) => match exceeded.retry_after() {
                Some(wait) => format!(
                    "postern: {exceeded}, for credential {credential:?} of identity {identity}. Try again in {} s.",
                    wait.as_secs()
                ),
                None => format!("postern: {exceeded} (credential {credential:?} of identity {identity})."),
            },
            Self::CredentialMissing => format!(
                "postern: the call is allowed, but credential {credential:?} of identity {identity} has no secret: its source does not exist, or \
                 does not consent. See `kubectl describe agentidentity`."
            ),
            Self::SecretStale => format!(
                "postern: the call is allowed, but the secret of credential {credential:?} of identity {identity} is stale: its source could not be read for longer \
                 than the identity's maxStaleness. Calls pass again as soon as it can be; `kubectl describe agentidentity` says what is wrong with it."
            ),
            Self::CredentialUnusable => format!(
                "postern: the call is allowed, but the secret of credential {credential:?} of identity {identity} is empty or not of the kind that its \
                 `inject` needs. Correct it at its source; `kubectl describe agentidentity` says what is wrong."
            ),
            Self::Unsignable(error) => format!(
                "postern: the call is allowed, but credential {credential:?} cannot sign it: {error}."
            ),
            Self::Token(failure) => format!(
                "postern: the call is allowed, but the token server of credential {credential:?} of identity {identity} gave no access token: {failure}."
            ),
            Self::Trust(error) => format!("postern: the call is allowed, but {host} cannot be verified: the caBundle of credential {credential:?} {error}."),
            Self::Unsendable(why) => format!(
                "postern: {method} {path} is allowed, but its body stays here: {why}. What a policy of identity {identity} masks could be in it."
            ),
            Self::Unmaskable(why) => format!(
                "postern: {host} answered {method} {path}, but the answer stays here: {why}. What a policy of identity {identity} masks could be in it."
            ),
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

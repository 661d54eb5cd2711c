//! What AWS's errors say, in words of our own: nothing that AWS or anything in front of it wrote is repeated.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use postern_crds::agent_identity::StoreRef;

use crate::stores::problem::{OwnProblem, Problem};

/// Codes of a login that is refused, of all services (docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html) and of STS's own operations.
const LOGIN: [&str; 16] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IDPCommunicationError",
    "IDPRejectedClaim",
    "IncompleteSignature",
    "InvalidAction",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "RegionDisabledException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
/// Codes of those that ask for patience.
const PATIENCE: [&str; 5] = [
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];

/// What was asked of the Security Token Service, for its refusal.
pub(super) struct Asked<'a> {
    /// As in `sts:AssumeRole`.
    pub(super) action: &'static str,
    /// For whom: a role, or "the credentials".
    pub(super) who: &'a str,
}

impl Asked<'_> {
    /// What a login's failure says.
    pub(super) fn login_problem<E>(
        &self,
        error: &SdkError<E, HttpResponse>,
        region: &str,
    ) -> Problem
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match error {
            SdkError::ServiceError(failed) => {
                let status = failed.raw().status().as_u16();
                self.refused(failed.err(), status, region)
            }
            _ => self.unreached(error),
        }
    }

    fn refused(&self, error: &dyn ProvideErrorMetadata, status: u16, region: &str) -> Problem {
        if is_throttling(error, status) {
            return Problem::Throttled;
        }
        match known(error) {
            Some(_) if is_of_another_region(error) => Problem::OtherRegion(region.to_owned()),
            Some(code) => Problem::LoginDenied {
                at: self.action,
                who: self.who.to_owned(),
                code,
            },
            None => Problem::LoginUnreached {
                at: self.action,
                problem: Box::new(Problem::Server(status)),
            },
        }
    }

    fn unreached(&self, error: &(dyn Error + 'static)) -> Problem {
        Problem::LoginUnreached {
            at: self.action,
            problem: Box::new(sent(error)),
        }
    }
}

/// Why what AWS gives the operator's pod could not be had.
pub(super) fn of_ambient(error: &CredentialsError) -> Problem {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return Problem::LoginMissing(OwnProblem::NoAwsIdentity);
    }
    let asked = Asked {
        action: "sts:AssumeRoleWithWebIdentity",
        who: "the role of the operator's service account",
    };
    let refused = find::<AssumeRoleWithWebIdentityError>(error).and_then(known_code);
    if let Some(code) = refused {
        return Problem::LoginDenied {
            at: asked.action,
            who: asked.who.to_owned(),
            code,
        };
    }
    match find::<Problem>(error) {
        Some(problem) => Problem::LoginUnreached {
            at: "what AWS gives the operator's pod",
            problem: Box::new(problem.clone()),
        },
        None => Problem::LoginUnreached {
            at: "what AWS gives the operator's pod",
            problem: Box::new(Problem::Malformed),
        },
    }
}

/// What a reading's failure says.
pub(super) fn of_reading(
    error: &SdkError<GetSecretValueError, HttpResponse>,
    place: &StoreRef,
    region: &str,
) -> Problem {
    let SdkError::ServiceError(failed) = error else {
        return sent(error);
    };
    let status = failed.raw().status().as_u16();
    let path = || match &place.version {
        Some(version) => format!("{} in version {version}", place.path),
        None => place.path.clone(),
    };
    match failed.err() {
        GetSecretValueError::ResourceNotFoundException(_) => Problem::Path(path()),
        GetSecretValueError::InvalidParameterException(_) => Problem::NoName(path()),
        GetSecretValueError::InvalidRequestException(error)
            if says(error, "deletion") || says(error, "deleted") =>
        {
            Problem::Deleted(place.path.clone())
        }
        GetSecretValueError::DecryptionFailure(_) => Problem::Undecryptable(place.path.clone()),
        error if is_throttling(error, status) => Problem::Throttled,
        error => match known(error) {
            Some("AccessDenied" | "AccessDeniedException") => Problem::Permission(path()),
            Some(_) if is_of_another_region(error) => Problem::OtherRegion(region.to_owned()),
            Some(code) => Problem::LoginDenied {
                at: "secretsmanager:GetSecretValue",
                who: "the credentials".to_owned(),
                code,
            },
            None => Problem::Server(status),
        },
    }
}

/// Why there is no answer that the library understands.
fn sent(error: &(dyn Error + 'static)) -> Problem {
    find::<Problem>(error)
        .cloned()
        .unwrap_or(Problem::Malformed)
}

/// The first of the type among the causes of `error`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

fn known(error: &dyn ProvideErrorMetadata) -> Option<&'static str> {
    let code = error.code()?;
    LOGIN.into_iter().find(|known| *known == code)
}

fn known_code(error: &AssumeRoleWithWebIdentityError) -> Option<&'static str> {
    known(error)
}

fn is_throttling(error: &dyn ProvideErrorMetadata, status: u16) -> bool {
    status == 429 || error.code().is_some_and(|code| PATIENCE.contains(&code))
}

/// A signature for one region is none in another: "Credential should be scoped to a valid region".
fn is_of_another_region(error: &dyn ProvideErrorMetadata) -> bool {
    says(error, "scoped to a valid region")
}

fn says(error: &dyn ProvideErrorMetadata, word: &str) -> bool {
    error
        .message()
        .is_some_and(|message| message.contains(word))
}

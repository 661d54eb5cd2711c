//! AWS Secrets Manager, through AWS's own library: it signs, names endpoints and knows the errors. What it sends goes over [`Https`].

use std::{sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_secretsmanager::{
    config::StalledStreamProtectionConfig, operation::get_secret_value::GetSecretValueOutput,
};
use aws_smithy_types::retry::RetryConfig;
use postern_crds::{
    agent_identity::StoreRef,
    credential_store::{AwsSecretsManagerStore, ValueEncoding},
};
use tokio::{sync::Mutex, time::Instant};
use zeroize::Zeroize as _;

use super::{document::Document, https::Https, own::Own, problem::Problem, reading::Reading};

mod login;
mod refusal;
mod wire;

use refusal::Asked;
use wire::Wire;

/// A version with so many characters or more is a VersionId, a shorter one a staging label
/// (docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html).
const VERSION_ID: usize = 32;

/// Secrets Manager in one region, and the credentials that the operator has there.
pub(super) struct Aws {
    store: AwsSecretsManagerStore,
    own: Own,
    session: Mutex<Option<Arc<Session>>>,
}

/// The operator's credentials for a while.
struct Session {
    credentials: Credentials,
    /// When the next ones are fetched.
    renew: Instant,
}

impl Aws {
    pub(super) fn new(store: AwsSecretsManagerStore, own: Own) -> Self {
        Self {
            store,
            own,
            session: Mutex::default(),
        }
    }

    /// Reads what is at `place`.
    ///
    /// # Errors
    /// Why there is nothing. That the login is refused, or may not read there, is only said by one that has just been made: a session may have been
    /// revoked, and keys replaced.
    pub(super) async fn read(&self, https: &Https, place: &StoreRef) -> Result<Reading, Problem> {
        self.check_region(&place.path)?;
        let session = self.session(https, None).await?;
        match self.fetch(https, &session, place).await {
            Err(Problem::LoginDenied { .. } | Problem::Permission(_)) => {
                let session = self.session(https, Some(&session)).await?;
                self.fetch(https, &session, place).await
            }
            result => result,
        }
    }

    /// Whether AWS lets the operator in, and answers where the store says. `sts:GetCallerIdentity` needs no permission, reads no secret and leaves no
    /// refusal in anybody's trail.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) async fn check(&self, https: &Https) -> Result<(), Problem> {
        let session = self.session(https, None).await?;
        if let Err(problem) = self.introduce(https, &session).await {
            let Problem::LoginDenied { .. } = problem else {
                return Err(problem);
            };
            let session = self.session(https, Some(&session)).await?;
            self.introduce(https, &session).await?;
        }
        match &self.store.endpoint {
            Some(endpoint) => https.answers(endpoint).await,
            // It is of the region, whose other endpoint has just answered.
            None => Ok(()),
        }
    }

    async fn introduce(&self, https: &Https, session: &Session) -> Result<(), Problem> {
        let asked = Asked {
            action: "sts:GetCallerIdentity",
            who: "the credentials",
        };
        let sent = self.sts(https, Some(&session.credentials));
        let sent = sent.get_caller_identity().send().await;
        sent.map(drop)
            .map_err(|error| asked.login_problem(&error, &self.store.region))
    }

    async fn fetch(
        &self,
        https: &Https,
        session: &Session,
        place: &StoreRef,
    ) -> Result<Reading, Problem> {
        let endpoint = self.store.endpoint.as_deref();
        let config = self.config(https, Some(&session.credentials), endpoint);
        let mut request = aws_sdk_secretsmanager::Client::new(&config)
            .get_secret_value()
            .secret_id(&place.path);
        match &place.version {
            Some(id) if id.len() >= VERSION_ID => request = request.version_id(id),
            Some(stage) => request = request.version_stage(stage),
            None => {}
        }
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| refusal::of_reading(&error, place, &self.store.region))?;
        reading(answer, place)
    }

    /// An ARN tells its region; AWS's own answer to one of another does not.
    fn check_region(&self, path: &str) -> Result<(), Problem> {
        let region = &self.store.region;
        match path
            .strip_prefix("arn:")
            .and_then(|arn| arn.split(':').nth(2))
        {
            Some(other) if other != region => Err(Problem::Region {
                named: other.to_owned(),
                region: region.clone(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn sts(&self, https: &Https, credentials: Option<&Credentials>) -> aws_sdk_sts::Client {
        let endpoint = self.store.sts_endpoint.as_deref();
        aws_sdk_sts::Client::new(&self.config(https, credentials, endpoint))
    }

    /// How the library calls AWS: once, since a store that failed is left alone, and as long as [`Https`] waits.
    fn config(
        &self,
        https: &Https,
        credentials: Option<&Credentials>,
        endpoint: Option<&str>,
    ) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.store.region.clone()))
            .http_client(Wire::new(https))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        config.set_endpoint_url(endpoint.map(str::to_owned));
        config.set_credentials_provider(
            credentials.map(|found| SharedCredentialsProvider::new(found.clone())),
        );
        config.build()
    }
}

/// The answer to a reading that succeeded.
pub(super) fn reading(answer: GetSecretValueOutput, place: &StoreRef) -> Result<Reading, Problem> {
    let GetSecretValueOutput {
        secret_string,
        secret_binary,
        version_id,
        ..
    } = answer;
    let text = match (secret_string, secret_binary) {
        (Some(text), _) => text,
        (None, Some(binary)) => String::from_utf8(binary.into_inner()).map_err(|error| {
            error.into_bytes().zeroize();
            Problem::NotText {
                path: place.path.clone(),
                key: None,
            }
        })?,
        (None, None) => return Err(Problem::Malformed),
    };
    let document = Document::object_or_text(text);
    let is_name = |id: &String| {
        !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    Ok(Reading {
        document,
        path: place.path.clone(),
        version: version_id.filter(is_name).ok_or(Problem::Malformed)?,
        is_keyed: false,
        encoding: ValueEncoding::Text,
        lease: None,
    })
}

/// How long keys without an end are used before they are read again.
const KEYS: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;

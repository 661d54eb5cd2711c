//! Who the operator is to AWS: once for all who read there, again when the credentials end or are refused.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::{
    BehaviorVersion, Region, ecs::EcsCredentialsProvider,
    environment::EnvironmentVariableCredentialsProvider,
    meta::credentials::CredentialsProviderChain, provider_config::ProviderConfig,
    timeout::TimeoutConfig, web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::{Credentials, provider::ProvideCredentials as _};
use aws_sdk_sts::types::Credentials as Issued;
use aws_smithy_types::retry::RetryConfig;
use postern_crds::{
    agent_identity::KeyRef,
    credential_store::{AssumeRole, AwsAuth, AwsStoreKeys, WebIdentity},
};
use tokio::time::Instant;

use super::{
    Aws, KEYS, Session,
    refusal::{self, Asked},
    wire::Wire,
};
use crate::stores::{https::Https, problem::Problem};

impl Aws {
    /// Credentials that were not `refused`; whoever comes while some are fetched waits for those.
    pub(super) async fn session(
        &self,
        https: &Https,
        refused: Option<&Arc<Session>>,
    ) -> Result<Arc<Session>, Problem> {
        let mut kept = self.session.lock().await;
        if let Some(session) = &*kept
            && !refused.is_some_and(|refused| Arc::ptr_eq(refused, session))
            && Instant::now() < session.renew
        {
            return Ok(Arc::clone(session));
        }
        let credentials = self.log_in(https).await?;
        let session = Arc::new(Session {
            renew: Instant::now() + lifetime(credentials.expiry(), SystemTime::now()),
            credentials,
        });
        *kept = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn log_in(&self, https: &Https) -> Result<Credentials, Problem> {
        let first = match &self.store.auth {
            None => self.ambient(https).await?,
            Some(AwsAuth {
                keys: Some(keys),
                web_identity: None,
            }) => self.keys(keys).await?,
            Some(AwsAuth {
                keys: None,
                web_identity: Some(role),
            }) => self.web_identity(https, role).await?,
            Some(AwsAuth { .. }) => {
                return Err(Problem::Spec(
                    "awsSecretsManager.auth: set exactly one way to log in".to_owned(),
                ));
            }
        };
        match &self.store.assume_role {
            None => Ok(first),
            Some(role) => self.assume(https, &first, role).await,
        }
    }

    /// What AWS gives the operator's pod. Not among it: the node's own role, which is not the operator's, and files that a person keeps at home.
    async fn ambient(&self, https: &Https) -> Result<Credentials, Problem> {
        let config = |wire| {
            ProviderConfig::without_region()
                .with_behavior_version(Some(BehaviorVersion::latest()))
                .with_region(Some(Region::new(self.store.region.clone())))
                .with_retry_config(RetryConfig::disabled())
                .with_timeout_config(TimeoutConfig::disabled())
                .with_http_client(wire)
        };
        let role = WebIdentityTokenCredentialsProvider::builder()
            .configure(&config(Wire::new(https)))
            .build();
        // It gives credentials to pods of its node, mostly without TLS; the library takes it only at the addresses that AWS reserves for it.
        let agent = EcsCredentialsProvider::builder()
            .configure(&config(Wire::new(&Https::local()?)))
            .build();
        let chain = CredentialsProviderChain::first_try(
            "environment",
            EnvironmentVariableCredentialsProvider::new(),
        )
        .or_else("web identity", role)
        .or_else("container", agent);
        chain
            .provide_credentials()
            .await
            .map_err(|error| refusal::of_ambient(&error))
    }

    async fn keys(&self, keys: &AwsStoreKeys) -> Result<Credentials, Problem> {
        let AwsStoreKeys {
            access_key_id,
            secret_access_key,
            session_token,
        } = keys;
        let read = async |key: &KeyRef| {
            let text = self.own.secret(key).await.map_err(Problem::LoginMissing)?;
            Ok::<_, Problem>(text.to_string())
        };
        let token = match session_token {
            Some(key) => Some(read(key).await?),
            None => None,
        };
        Ok(Credentials::new(
            read(access_key_id).await?,
            read(secret_access_key).await?,
            token,
            None,
            "CredentialStore",
        ))
    }

    async fn web_identity(
        &self,
        https: &Https,
        role: &WebIdentity,
    ) -> Result<Credentials, Problem> {
        let WebIdentity {
            role_arn,
            audience,
            session_name,
        } = role;
        let asked = Asked {
            action: "sts:AssumeRoleWithWebIdentity",
            who: role_arn,
        };
        let token = self.own.token(audience).await;
        let token = token.map_err(Problem::LoginMissing)?;
        let answer = self
            .sts(https, None)
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(session_name)
            .web_identity_token(token.as_str())
            .send()
            .await
            .map_err(|error| asked.login_problem(&error, &self.store.region))?;
        issued(answer.credentials)
    }

    async fn assume(
        &self,
        https: &Https,
        first: &Credentials,
        role: &AssumeRole,
    ) -> Result<Credentials, Problem> {
        let AssumeRole {
            role_arn,
            external_id,
            session_name,
        } = role;
        let asked = Asked {
            action: "sts:AssumeRole",
            who: role_arn,
        };
        let answer = self
            .sts(https, Some(first))
            .assume_role()
            .role_arn(role_arn)
            .set_external_id(external_id.clone())
            .role_session_name(session_name)
            .send()
            .await
            .map_err(|error| asked.login_problem(&error, &self.store.region))?;
        issued(answer.credentials)
    }
}

fn issued(credentials: Option<Issued>) -> Result<Credentials, Problem> {
    let Issued {
        access_key_id,
        secret_access_key,
        session_token,
        expiration,
        ..
    } = credentials.ok_or(Problem::Malformed)?;
    let end = SystemTime::try_from(expiration).map_err(|_| Problem::Malformed)?;
    Ok(Credentials::new(
        access_key_id,
        secret_access_key,
        Some(session_token),
        Some(end),
        "CredentialStore",
    ))
}

/// For how long credentials that end at `end` are used: two thirds of what is left. Those without an end may be replaced in their Secret.
pub(super) fn lifetime(end: Option<SystemTime>, now: SystemTime) -> Duration {
    end.map_or(KEYS, |end| {
        end.duration_since(now).unwrap_or_default() * 2 / 3
    })
}

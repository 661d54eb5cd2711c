//! How the operator logs in at Vault: once for all who read there, again when the token ends or is refused.

use std::sync::Arc;

use http::{Method, StatusCode};
use k8s_openapi::jiff::Timestamp;
use postern_crds::{
    agent_identity::KeyRef,
    credential_store::{AppRoleAuth, JwtAuth, KubernetesAuth, VaultAuth},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Token, Vault, address, after, body, renewal};
use crate::stores::{document::Document, https::Https, problem::Problem};

/// What a login sends where, and who it is in words.
struct Claim {
    at: String,
    who: String,
    body: Value,
}

impl Vault {
    /// A token that was not `refused`; whoever comes while one is fetched waits for that one.
    pub(super) async fn token(
        &self,
        https: &Https,
        refused: Option<&Arc<Token>>,
    ) -> Result<Arc<Token>, Problem> {
        let mut kept = self.token.lock().await;
        if let Some(token) = &*kept
            && !refused.is_some_and(|refused| Arc::ptr_eq(refused, token))
            && token
                .renew
                .is_none_or(|renew| tokio::time::Instant::now() < renew)
        {
            return Ok(Arc::clone(token));
        }
        let token = Arc::new(self.log_in(https).await?);
        *kept = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Forgets the token unless it is the one in `secret`.
    pub(super) async fn forget_unless(&self, secret: &KeyRef) -> Result<(), Problem> {
        let now = self
            .own
            .secret(secret)
            .await
            .map_err(Problem::LoginMissing)?;
        let mut kept = self.token.lock().await;
        if kept.as_ref().is_some_and(|token| token.value != now) {
            *kept = None;
        }
        Ok(())
    }

    async fn log_in(&self, https: &Https) -> Result<Token, Problem> {
        let VaultAuth {
            kubernetes,
            jwt,
            app_role,
            token,
        } = &self.store.auth;
        let claim = match (kubernetes, jwt, app_role, token) {
            (Some(auth), None, None, None) => self.kubernetes(auth).await?,
            (None, Some(auth), None, None) => self.jwt(auth).await?,
            (None, None, Some(auth), None) => self.app_role(auth).await?,
            (None, None, None, Some(auth)) => {
                let value = self.own.secret(&auth.secret).await;
                return Ok(Token {
                    value: value.map_err(Problem::LoginMissing)?,
                    renew: None,
                    ends: None,
                });
            }
            _ => {
                return Err(Problem::Spec(
                    "vault.auth: set exactly one way to log in".to_owned(),
                ));
            }
        };
        self.exchange(https, claim).await
    }

    async fn kubernetes(&self, auth: &KubernetesAuth) -> Result<Claim, Problem> {
        let jwt = self.service_account_token(auth.audience.as_deref()).await?;
        Ok(claim_of_role(&auth.mount_path, &auth.role, &jwt))
    }

    async fn jwt(&self, auth: &JwtAuth) -> Result<Claim, Problem> {
        let jwt = match &auth.secret {
            Some(secret) => self
                .own
                .secret(secret)
                .await
                .map_err(Problem::LoginMissing)?,
            None => self.service_account_token(auth.audience.as_deref()).await?,
        };
        Ok(claim_of_role(&auth.mount_path, &auth.role, &jwt))
    }

    async fn app_role(&self, auth: &AppRoleAuth) -> Result<Claim, Problem> {
        let secret_id = self.own.secret(&auth.secret_id).await;
        let secret_id = secret_id.map_err(Problem::LoginMissing)?;
        Ok(Claim {
            at: format!("auth/{}/login", auth.mount_path),
            who: "the role's id with its secret id".to_owned(),
            body: json!({ "role_id": auth.role_id, "secret_id": *secret_id }),
        })
    }

    /// For this store alone: another that is shown the token cannot use it here.
    async fn service_account_token(
        &self,
        audience: Option<&str>,
    ) -> Result<Zeroizing<String>, Problem> {
        let audience = audience.unwrap_or(&self.store.address);
        self.own
            .token(audience)
            .await
            .map_err(Problem::LoginMissing)
    }

    async fn exchange(&self, https: &Https, claim: Claim) -> Result<Token, Problem> {
        let Claim {
            at,
            who,
            body: sent,
        } = claim;
        let request = self.request(Method::POST, &at).body(body(&sent));
        let answer = https.send(request.map_err(|_| address())?).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let status = answer.status.as_u16();
                return Err(Problem::LoginRefused { at, who, status });
            }
            StatusCode::NOT_FOUND => return Err(Problem::LoginPath(at)),
            _ => return Err(self.refusal(&answer, &at)),
        }
        let document = Document::read(&answer.body)?;
        let value = document
            .text("/auth/client_token")
            .filter(|t| !t.is_empty());
        let lifetime = document.at("/auth/lease_duration").and_then(Value::as_u64);
        Ok(Token {
            value: Zeroizing::new(value.ok_or(Problem::Malformed)?.to_owned()),
            renew: renewal(lifetime.unwrap_or_default()),
            ends: lifetime
                .filter(|seconds| *seconds > 0)
                .map(|seconds| after(Timestamp::now(), seconds)),
        })
    }
}

fn claim_of_role(mount: &str, role: &str, jwt: &str) -> Claim {
    Claim {
        at: format!("auth/{mount}/login"),
        who: format!("role {role}"),
        body: json!({ "role": role, "jwt": jwt }),
    }
}

/// A token that may not even look itself up: it has ended, was revoked, or has no policy that lets it.
pub(super) fn token_refused(status: StatusCode) -> Problem {
    Problem::LoginRefused {
        at: "auth/token/lookup-self".to_owned(),
        who: "the token".to_owned(),
        status: status.as_u16(),
    }
}

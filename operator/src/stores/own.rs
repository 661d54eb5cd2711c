//! What a store names in the operator's own namespace, and the tokens of the operator's own service account.
//!
//! *Architecture invariant: nothing here takes a namespace, so that no store can make the operator read elsewhere.*

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Secret as SecretObject, ServiceAccount},
};
use kube::{Api, Client, api::PostParams};
use postern_crds::agent_identity::KeyRef;
use zeroize::Zeroizing;

use super::{kubernetes::not_authorities, problem::OwnProblem};
use crate::kube_error;

/// Lifetime of a token that is used once, in seconds: the shortest that the API server takes.
const TOKEN_SECONDS: i64 = 600;

/// The operator's own namespace.
#[derive(Clone)]
pub(crate) struct Own {
    client: Client,
    namespace: String,
    service_account: Option<String>,
}

impl Own {
    pub(crate) fn new(client: Client, namespace: String, service_account: Option<String>) -> Self {
        Self {
            client,
            namespace,
            service_account,
        }
    }

    /// The text at `key` of a Secret, without the line end that editors put after it.
    pub(super) async fn secret(&self, key: &KeyRef) -> Result<Zeroizing<String>, OwnProblem> {
        const KIND: &str = "Secret";
        let objects = Api::<SecretObject>::namespaced(self.client.clone(), &self.namespace);
        let found = objects.get_opt(&key.name).await;
        let object = self.found(KIND, key, found)?;
        let value = object.data.and_then(|mut data| data.remove(&key.key));
        let bytes = Zeroizing::new(value.map(|value| value.0).unwrap_or_default());
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim_end();
        if text.is_empty() {
            return Err(key_missing(KIND, key));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = format!("key {:?} has more in it than visible characters", key.key);
            return Err(malformed(KIND, key, what));
        }
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The certificate authorities at `key` of a ConfigMap, in PEM.
    pub(super) async fn authorities(&self, key: &KeyRef) -> Result<String, OwnProblem> {
        const KIND: &str = "ConfigMap";
        let objects = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        let found = objects.get_opt(&key.name).await;
        let object = self.found(KIND, key, found)?;
        let Some(pem) = object.data.and_then(|mut data| data.remove(&key.key)) else {
            return Err(key_missing(KIND, key));
        };
        match not_authorities(&pem) {
            None => Ok(pem),
            Some(problem) => {
                let what = format!("key {:?} {problem}", key.key);
                Err(malformed(KIND, key, what))
            }
        }
    }

    /// A new token of the operator's own service account, for `audience` alone.
    pub(super) async fn token(&self, audience: &str) -> Result<Zeroizing<String>, OwnProblem> {
        let Some(account) = &self.service_account else {
            return Err(OwnProblem::NoServiceAccount);
        };
        let unread = |detail| OwnProblem::Unread {
            kind: "a token of ServiceAccount",
            name: account.clone(),
            detail,
        };
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![audience.to_owned()],
                expiration_seconds: Some(TOKEN_SECONDS),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(|error| unread(kube_error::describe(&error)))?;
        let token = answer.status.map(|status| Zeroizing::new(status.token));
        token.ok_or_else(|| unread("the answer has no token".to_owned()))
    }

    fn found<K>(
        &self,
        kind: &'static str,
        key: &KeyRef,
        answer: kube::Result<Option<K>>,
    ) -> Result<K, OwnProblem> {
        match answer {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(OwnProblem::Missing {
                kind,
                name: key.name.clone(),
                namespace: self.namespace.clone(),
            }),
            Err(error) => Err(OwnProblem::Unread {
                kind,
                name: key.name.clone(),
                detail: kube_error::describe(&error),
            }),
        }
    }
}

fn key_missing(kind: &'static str, key: &KeyRef) -> OwnProblem {
    OwnProblem::KeyMissing {
        kind,
        name: key.name.clone(),
        key: key.key.clone(),
    }
}

fn malformed(kind: &'static str, key: &KeyRef, what: String) -> OwnProblem {
    OwnProblem::Malformed {
        kind,
        name: key.name.clone(),
        what,
    }
}

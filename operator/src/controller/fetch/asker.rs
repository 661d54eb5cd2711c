//! Who asks, as the API server says of a token.

use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use postern_crds::names::TOKEN_AUDIENCE;

/// How the API server names service accounts.
const ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// The claims of a token that is bound to a pod: <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens>.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// The pod that a token was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) namespace: String,
    /// Its service account.
    pub(super) account: String,
    pub(super) pod: String,
    pub(super) uid: String,
}

impl Asker {
    /// The pod that `status` speaks of; `None` if the token is not good, not for us, or of no pod.
    pub(super) fn of(status: &TokenReviewStatus) -> Option<Self> {
        let audiences = status.audiences.as_deref().unwrap_or_default();
        // A server that knows no audiences names none, and says `authenticated` of tokens for anybody.
        if status.authenticated != Some(true)
            || !audiences.iter().any(|audience| audience == TOKEN_AUDIENCE)
        {
            return None;
        }
        let user = status.user.as_ref()?;
        let account = user.username.as_deref()?.strip_prefix(ACCOUNT_PREFIX)?;
        let (namespace, account) = account.split_once(':')?;
        let extra = |key: &str| match user.extra.as_ref()?.get(key)?.as_slice() {
            [value] if !value.is_empty() => Some(value.clone()),
            _ => None,
        };
        Some(Self {
            namespace: namespace.to_owned(),
            account: account.to_owned(),
            pod: extra(POD_NAME)?,
            uid: extra(POD_UID)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(change: impl FnOnce(&mut Value)) -> Option<Asker> {
        let mut status = json!({
            "authenticated": true,
            "audiences": ["postern"],
            "user": {
                "username": "system:serviceaccount:agents:bot",
                "extra": { POD_NAME: ["bot-1"], POD_UID: ["uid-1"] },
            },
        });
        change(&mut status);
        Asker::of(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_good_token_tells_its_pod() {
        let asker = of(|_| {}).unwrap();
        let Asker {
            namespace,
            account,
            pod,
            uid,
        } = &asker;
        let told = [namespace, account, pod, uid].map(String::as_str);
        assert_eq!(told, ["agents", "bot", "bot-1", "uid-1"]);
    }

    #[test]
    fn a_token_that_is_not_good_or_for_others_or_of_no_pod_tells_none() {
        let changes: [fn(&mut Value); 8] = [
            |status| status["authenticated"] = json!(false),
            |status| status["authenticated"] = Value::Null,
            |status| status["audiences"] = json!(["https://kubernetes.default.svc"]),
            |status| status["audiences"] = Value::Null,
            |status| status["user"]["username"] = json!("system:node:n1"),
            |status| status["user"]["username"] = json!("system:serviceaccount:agents"),
            |status| status["user"]["extra"][POD_UID] = json!([]),
            |status| status["user"]["extra"][POD_NAME] = json!(["a", "b"]),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(of(change), None, "{index}");
        }
    }
}

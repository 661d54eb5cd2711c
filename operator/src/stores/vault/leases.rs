//! Leases of Vault and OpenBao (<https://openbao.org/api-docs/system/leases/>): whether they last, for how much longer, and their end.

use http::{Method, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Document, Granted, Https, Problem, Vault};

/// The longest name of a lease that is kept, in bytes.
const MAX_ID: usize = 512;

impl Vault {
    /// Whether there is a lease called `id`.
    ///
    /// # Errors
    /// If nobody can tell. The `default` policy lets every login ask.
    pub(in crate::stores) async fn look_up(
        &self,
        https: &Https,
        id: &str,
    ) -> Result<bool, Problem> {
        let answer = self.ask_of_lease(https, "sys/leases/lookup", id).await?;
        Ok(answer.is_some())
    }

    /// Makes the lease called `id` last longer; nothing, if there is none. The `default` policy lets every login do it.
    ///
    /// # Errors
    /// If nobody can tell.
    pub(in crate::stores) async fn renew(
        &self,
        https: &Https,
        id: &str,
    ) -> Result<Option<Granted>, Problem> {
        let Some(answer) = self.ask_of_lease(https, "sys/leases/renew", id).await? else {
            return Ok(None);
        };
        // Which login made it is known since then.
        let granted = granted(&Document::read(&answer.body)?, None);
        granted.map(Some).ok_or(Problem::Malformed)
    }

    /// Ends the lease called `id`, and with it the credential.
    ///
    /// # Errors
    /// If it may be there still.
    pub(in crate::stores) async fn revoke(&self, https: &Https, id: &str) -> Result<(), Problem> {
        self.ask_of_lease(https, "sys/leases/revoke", id)
            .await
            .map(drop)
    }

    /// The answer; nothing, if there is no such lease.
    async fn ask_of_lease(
        &self,
        https: &Https,
        at: &str,
        id: &str,
    ) -> Result<Option<Answer>, Problem> {
        let sent = json!({ "lease_id": id });
        let (answer, _) = self.send(https, Method::POST, at, Some(&sent)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(Some(answer)),
            // Renewals and look-ups say it like this: "lease not found", "invalid lease".
            StatusCode::BAD_REQUEST if Self::says(&answer, "lease") => Ok(None),
            _ => Err(self.refusal(&answer, at)),
        }
    }
}

/// The lease that an answer tells of.
pub(super) fn granted(document: &Document, login_ends: Option<Timestamp>) -> Option<Granted> {
    let id = document.text("/lease_id").filter(|id| {
        !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
    })?;
    let seconds = document.at("/lease_duration").and_then(Value::as_u64);
    Some(Granted {
        id: id.to_owned(),
        seconds: seconds.unwrap_or_default(),
        renewable: document.at("/renewable").and_then(Value::as_bool) == Some(true),
        login_ends,
    })
}

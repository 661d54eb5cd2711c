//! The `AdmissionReview` of `admission.k8s.io/v1`, as far as it is used. The object stays raw JSON.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use json_patch::Patch;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// What the API server asks.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    /// The question.
    pub(super) request: Request,
}

/// One object that somebody wants to create.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    /// To be repeated in the answer.
    pub(super) uid: String,
    /// The object's namespace, which the object itself need not have yet.
    #[serde(default)]
    pub(super) namespace: String,
    /// The object's name; empty if it is yet to be generated.
    #[serde(default)]
    pub(super) name: String,
    /// Whether nothing will be stored.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// The object.
    #[serde(default)]
    pub(super) object: Value,
}

/// What we answer.
#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Serialize, Clone, Debug, PartialEq, Eq)]
struct Status {
    code: u16,
    message: String,
}

impl Answer {
    /// The object may be created, once patched.
    ///
    /// # Errors
    /// If the patch cannot be written as JSON.
    pub(super) fn allow(
        uid: String,
        patch: &Patch,
        warnings: &[String],
    ) -> serde_json::Result<Self> {
        let encoded = STANDARD.encode(serde_json::to_vec(patch)?);
        let some = !patch.is_empty();
        Ok(Self::new(Response {
            uid,
            allowed: true,
            status: None,
            patch_type: some.then_some("JSONPatch"),
            patch: some.then_some(encoded),
            warnings: fit(warnings),
        }))
    }

    /// The object may not be created.
    pub(super) fn deny(uid: String, code: u16, message: String) -> Self {
        Self::new(Response {
            uid,
            allowed: false,
            status: Some(Status { code, message }),
            patch_type: None,
            patch: None,
            warnings: Vec::new(),
        })
    }

    fn new(response: Response) -> Self {
        Self {
            api_version: API_VERSION,
            kind: KIND,
            response,
        }
    }
}

/// The API server cuts a warning after 256 characters, and shortens all of them once they have 4096 together.
fn fit(warnings: &[String]) -> Vec<String> {
    const LENGTH: usize = 256;
    const COUNT: usize = 4096 / LENGTH;
    let shorten = |warning: &String| {
        let mut characters = warning.chars();
        let mut short: String = characters.by_ref().take(LENGTH - 1).collect();
        match (characters.next(), characters.next()) {
            (Some(last), None) => short.push(last),
            (Some(_), Some(_)) => short.push('…'),
            (None, _) => {}
        }
        short
    };
    if warnings.len() <= COUNT {
        return warnings.iter().map(shorten).collect();
    }
    let (shown, rest) = warnings.split_at(COUNT - 1);
    let more = format!("and {} more warnings of this kind", rest.len());
    shown.iter().map(shorten).chain([more]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_fit_into_what_the_api_server_passes_on() {
        let long = ["é".repeat(256), "é".repeat(257)];
        let fitted = fit(&long);
        assert_eq!(fitted[0], long[0]);
        assert_eq!(fitted[1].chars().count(), 256);
        assert!(fitted[1].ends_with('…'));

        let many: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let fitted = fit(&many);
        assert_eq!(fitted.len(), 16);
        assert_eq!(fitted[15], "and 25 more warnings of this kind");
    }

    #[test]
    fn answer_without_a_patch_has_no_patch_type() {
        let answer = Answer::allow("1".into(), &Patch::default(), &[]).unwrap();
        assert_eq!(
            serde_json::to_value(answer).unwrap(),
            serde_json::json!({
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "response": {"uid": "1", "allowed": true},
            })
        );
    }
}

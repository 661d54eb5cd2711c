//! The keys of an AWS principal, as one document.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Unfit,
    document::{is_plain, wiped, wiped_if_any},
};

/// What signs a request to AWS. It has no `Debug`: two of its members are secret.
///
/// Members may also be written with a capital first letter, as `aws sts` and a `credential_process` print them; others, as their `Expiration`,
/// are left alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsKeys {
    /// Names the key; it stands in every signed request.
    #[serde(alias = "AccessKeyId")]
    pub access_key_id: String,
    /// The key itself. It is never sent.
    #[serde(alias = "SecretAccessKey", deserialize_with = "wiped")]
    pub secret_access_key: Zeroizing<String>,
    /// The token of a session, where the keys are a role's. It is sent.
    #[serde(default, alias = "SessionToken", deserialize_with = "wiped_if_any")]
    pub session_token: Option<Zeroizing<String>>,
}

impl AwsKeys {
    /// Reads the document.
    ///
    /// # Errors
    /// [`Unfit::NotAwsKeys`].
    pub fn read(document: &[u8]) -> Result<Self, Unfit> {
        // The parser's own error would quote the document.
        let keys: Self = serde_json::from_slice(document).map_err(|_| Unfit::NotAwsKeys)?;
        let token = keys.session_token.as_ref();
        if is_plain(&keys.access_key_id)
            // These characters separate it from what stands beside it in a signed request.
            && !keys.access_key_id.contains(['/', ',', '='])
            && is_plain(&keys.secret_access_key)
            && token.is_none_or(|token| is_plain(token))
        {
            Ok(keys)
        } else {
            Err(Unfit::NotAwsKeys)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_aws_prints_them_too() {
        let keys = AwsKeys::read(
            br#"{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s/k+", "SessionToken": "t==", "Expiration": "2026-11-25T00:00:00Z"}"#,
        )
        .ok()
        .unwrap();
        assert_eq!(keys.access_key_id, "AKID");
        assert_eq!(keys.secret_access_key.as_str(), "s/k+");
        assert_eq!(keys.session_token.unwrap().as_str(), "t==");
        let long_lived =
            br#"{"accessKeyId": "AKID", "secretAccessKey": "s", "sessionToken": null}"#;
        assert!(
            AwsKeys::read(long_lived)
                .ok()
                .unwrap()
                .session_token
                .is_none()
        );
    }

    #[test]
    fn what_cannot_sign_is_refused() {
        for document in [
            "",
            "AKID:s",
            "[]",
            r#"{"accessKeyId": "AKID"}"#,
            r#"{"accessKeyId": "", "secretAccessKey": "s"}"#,
            r#"{"accessKeyId": "A/B", "secretAccessKey": "s"}"#,
            r#"{"accessKeyId": "AKID", "secretAccessKey": ""}"#,
            r#"{"accessKeyId": "AKID", "secretAccessKey": "s s"}"#,
            r#"{"accessKeyId": "AKID", "secretAccessKey": "s", "sessionToken": "a\nb"}"#,
            r#"{"accessKeyId": "AKID", "secretAccessKey": "s", "accessKeyId": "AKIE"}"#,
        ] {
            assert_eq!(
                AwsKeys::read(document.as_bytes()).err(),
                Some(Unfit::NotAwsKeys),
                "{document}"
            );
        }
    }
}

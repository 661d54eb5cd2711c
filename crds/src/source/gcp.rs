//! The key of a Google Cloud service account, as its console and `gcloud` write it.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Unfit,
    document::{is_plain, wiped},
};

/// What signs a service account's claims. It has no `Debug`: one of its members is secret. Members that are not listed here are left alone.
#[derive(Deserialize)]
pub struct GcpKey {
    #[serde(rename = "type")]
    kind: String,
    /// The account.
    pub client_email: String,
    /// Names the key.
    #[serde(default)]
    pub private_key_id: Option<String>,
    /// The key itself, PKCS #8 in PEM. It is never sent.
    #[serde(deserialize_with = "wiped")]
    pub private_key: Zeroizing<String>,
}

impl GcpKey {
    /// Reads the document.
    ///
    /// # Errors
    /// [`Unfit::NotGcpKey`]. Whether the key itself is one is seen where it signs.
    pub fn read(document: &[u8]) -> Result<Self, Unfit> {
        // The parser's own error would quote the document.
        let key: Self = serde_json::from_slice(document).map_err(|_| Unfit::NotGcpKey)?;
        if key.kind == "service_account"
            && is_plain(&key.client_email)
            && key.private_key_id.as_deref().is_none_or(is_plain)
            && key
                .private_key
                .trim_start()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        {
            Ok(key)
        } else {
            Err(Unfit::NotGcpKey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_and_anything_else_is_not() {
        let file = |kind: &str, key: &str| {
            serde_json::json!({
                "type": kind,
                "project_id": "p",
                "private_key_id": "abc",
                "private_key": key,
                "client_email": "bot@p.iam.gserviceaccount.com",
                "token_uri": "https://oauth2.googleapis.com/token",
            })
            .to_string()
        };
        let pem = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n";
        let key = GcpKey::read(file("service_account", pem).as_bytes())
            .ok()
            .unwrap();
        assert_eq!(key.client_email, "bot@p.iam.gserviceaccount.com");
        assert_eq!(key.private_key_id.as_deref(), Some("abc"));
        for document in [
            file("authorized_user", pem),
            file("service_account", "sk-live"),
            "{}".to_owned(),
            pem.to_owned(),
        ] {
            assert_eq!(
                GcpKey::read(document.as_bytes()).err(),
                Some(Unfit::NotGcpKey)
            );
        }
    }
}

//! What an event says: which path changed, or that something did.

use postern_crds::credential_store::STORE_PATH_LIMIT;
use serde::Deserialize;
use serde_json::Value;

/// What a store is to be read again for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Whatever it has.
    All,
    /// One path, as sources write it.
    Path(String),
}

impl About {
    /// Reads a body: nothing, or JSON. Of an object the member `path` counts, if it has one; every other event of a store is about all of it, so that none
    /// has to be taken apart here. `None` where it is no JSON, or the path cannot be one.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        /// The rest may be anything.
        #[derive(Deserialize)]
        struct Message {
            path: Option<Value>,
        }
        if body.trim_ascii().is_empty() {
            return Some(Self::All);
        }
        let value: Value = serde_json::from_slice(body).ok()?;
        if !value.is_object() {
            return Some(Self::All);
        }
        match serde_json::from_value(value).ok()? {
            Message { path: None } => Some(Self::All),
            Message {
                path: Some(Value::String(path)),
            } if (1..=STORE_PATH_LIMIT).contains(&path.len()) => Some(Self::Path(path)),
            Message { path: Some(_) } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<About> {
        About::read(body.as_bytes())
    }

    #[test]
    fn a_path_is_about_itself_and_everything_else_is_about_all() {
        let path = About::Path("ai/openai".into());
        assert_eq!(read(r#"{"path": "ai/openai", "more": [1]}"#), Some(path));
        // As EventBridge and `vault events subscribe` send them.
        let of_aws = r#"{"version": "0", "source": "aws.secretsmanager", "detail-type": "AWS Service Event via CloudTrail",
            "detail": {"eventName": "RotationSucceeded", "additionalEventData": {"SecretId": "arn:aws:secretsmanager:eu-west-1:1:secret:a"}}}"#;
        let of_vault = r#"{"id": "1", "source": "vault://host", "type": "*",
            "data": {"event": {"metadata": {"data_path": "secret/data/a", "operation": "data-write", "path": "secret/data/a"}}, "event_type": "kv-v2/data-write"}}"#;
        for body in [
            "",
            " \n",
            "{}",
            "[]",
            "null",
            "1",
            r#"{"path": null}"#,
            of_aws,
            of_vault,
        ] {
            assert_eq!(read(body), Some(About::All), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_or_no_path_is_refused() {
        let long = format!(r#"{{"path": "{}"}}"#, "a".repeat(STORE_PATH_LIMIT + 1));
        for body in [
            "path=a",
            "{",
            r#"{"path": ""}"#,
            r#"{"path": 1}"#,
            r#"{"path": ["a"]}"#,
            &long,
        ] {
            assert_eq!(read(body), None, "{body}");
        }
        assert_eq!(About::read(b"\xff"), None);
    }
}

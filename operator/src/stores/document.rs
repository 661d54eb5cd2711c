//! What a store answered, as JSON that is wiped when dropped, and a credential out of it.

use postern_crds::{
    Secret,
    source::{self, Shape},
};
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::problem::Problem;

/// How many members a problem lists.
const MAX_NAMES: usize = 10;
/// The longest name of a member that a problem lists, in bytes: longer ones are no names.
const MAX_NAME: usize = 64;

/// A JSON document. Its texts are wiped when it is dropped; it has no `Debug`.
pub(super) struct Document(Value);

impl Document {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Problem::Malformed`]. The parser's own words would quote it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(|_| Problem::Malformed)
    }

    /// The member at `pointer` (RFC 6901).
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// The text at `pointer`.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// Takes the object at `pointer` out, as a document of its own.
    pub(super) fn take_object(mut self, pointer: &str) -> Option<Self> {
        let found = self.0.pointer_mut(pointer)?;
        found.is_object().then(|| Self(found.take()))
    }

    /// The credential of `shape` that `key` names, or that the whole document is; `path` is for the problem.
    ///
    /// # Errors
    /// [`Problem::Key`], [`Problem::NotText`] or [`Problem::Unfit`].
    pub(super) fn secret(
        &self,
        path: &str,
        key: Option<&str>,
        shape: Shape,
    ) -> Result<Secret, Problem> {
        let unfit = |problem| Problem::Unfit {
            path: path.to_owned(),
            problem,
        };
        let Some(key) = key else {
            let whole = Zeroizing::new(serde_json::to_vec(&self.0).unwrap_or_default());
            return source::secret(&whole, shape).map_err(unfit);
        };
        match self.0.get(key) {
            Some(Value::String(text)) => source::secret(text.as_bytes(), shape).map_err(unfit),
            Some(_) => Err(Problem::NotText {
                path: path.to_owned(),
                key: key.to_owned(),
            }),
            None => Err(Problem::Key {
                path: path.to_owned(),
                key: key.to_owned(),
                has: self.0.as_object().map(names).unwrap_or_default(),
            }),
        }
    }
}

fn names(members: &Map<String, Value>) -> Vec<String> {
    let is_name =
        |name: &&String| name.len() <= MAX_NAME && name.bytes().all(|b| b.is_ascii_graphic());
    members
        .keys()
        .filter(is_name)
        .take(MAX_NAMES)
        .cloned()
        .collect()
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use postern_crds::source::Unfit;

    use super::*;

    fn document() -> Document {
        Document::read(
            br#"{"data": {"api_key": "sk-live\n", "port": 5432, "user name": "x", "b": "two\nlines"}}"#,
        )
        .ok()
        .and_then(|document| document.take_object("/data"))
        .unwrap()
    }

    #[test]
    fn a_member_is_a_credential_without_its_line_end() {
        let secret = document()
            .secret("ai", Some("api_key"), Shape::Text)
            .unwrap();
        assert_eq!(secret.expose(), b"sk-live");
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        let problem = |key| {
            document()
                .secret("ai", Some(key), Shape::Text)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            problem("key"),
            "key: what is at ai has no member \"key\"; it has api_key, b, port"
        );
        assert!(problem("port").ends_with("is not a text"));
        assert!(problem("b").starts_with("value: what is at ai has a line end"));
        assert!(!problem("b").contains("two"));
    }

    #[test]
    fn without_a_key_the_whole_is_the_credential() {
        let keys = Document::read(br#"{"secretAccessKey": "s", "accessKeyId": "AKID"}"#)
            .ok()
            .unwrap();
        let secret = keys.secret("aws", None, Shape::AwsKeys).unwrap();
        assert_eq!(
            secret.expose(),
            br#"{"accessKeyId":"AKID","secretAccessKey":"s"}"#
        );
        assert_eq!(
            document().secret("ai", None, Shape::AwsKeys),
            Err(Problem::Unfit {
                path: "ai".to_owned(),
                problem: Unfit::NotAwsKeys
            })
        );
    }

    #[test]
    fn what_is_no_json_is_not_quoted() {
        let problem = Document::read(b"sk-live").err().unwrap();
        assert!(!format!("{problem} {problem:?}").contains("sk-live"));
    }
}

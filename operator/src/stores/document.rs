//! What a store answered, as JSON that is wiped when dropped, and a credential out of it.

use postern_crds::source::Shape;
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

    /// A text, with members where it is a JSON object.
    pub(super) fn object_or_text(mut text: String) -> Self {
        match Self::read(text.as_bytes()) {
            Ok(document) if document.0.is_object() => {
                text.zeroize();
                document
            }
            Ok(_) | Err(_) => Self(Value::String(text)),
        }
    }

    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    /// The member at `pointer` (RFC 6901).
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// The text at `pointer`.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// As [`at`](Self::at); in a list, `label=text` is the first item whose member `label` is that text.
    pub(super) fn find(&self, pointer: &str) -> Option<&Value> {
        let mut found = &self.0;
        for segment in pointer.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            found = match (found, name.split_once('=')) {
                (Value::Array(items), Some((member, text))) => {
                    items.iter().find(|item| item[member] == text)?
                }
                _ => found.pointer(&format!("/{segment}"))?,
            };
        }
        Some(found)
    }

    /// Takes the object at `pointer` out, as a document of its own.
    pub(super) fn take_object(mut self, pointer: &str) -> Option<Self> {
        let found = self.0.pointer_mut(pointer)?;
        found.is_object().then(|| Self(found.take()))
    }

    /// The bytes that `key` names, or that the whole document is, which is then a text, an object for a credential that takes one, or the members `username` and
    /// `password` of one for a credential that takes both.
    ///
    /// # Errors
    /// [`Problem::Key`], [`Problem::KeyUnused`], [`Problem::KeyUnnamed`] or [`Problem::NotText`], with `path` in it.
    pub(super) fn value(
        &self,
        path: &str,
        key: Option<&str>,
        shape: Shape,
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let text = |text: &String| Ok(Zeroizing::new(text.clone().into_bytes()));
        let not_text = || Problem::NotText {
            path: path.to_owned(),
            key: key.map(str::to_owned),
        };
        match (&self.0, key) {
            (Value::Object(members), Some(key)) => match members.get(key) {
                Some(Value::String(found)) => text(found),
                Some(_) => Err(not_text()),
                None => Err(Problem::Key {
                    path: path.to_owned(),
                    key: key.to_owned(),
                    has: self.names(),
                }),
            },
            (Value::Object(_), None) if shape.is_document() => {
                let whole = serde_json::to_vec(&self.0).unwrap_or_default();
                Ok(Zeroizing::new(whole))
            }
            (Value::Object(members), None)
                if shape == Shape::UserAndPassword
                    && let (Some(Value::String(user)), Some(Value::String(password))) =
                        (members.get("username"), members.get("password")) =>
            {
                Ok(Zeroizing::new(format!("{user}:{password}").into_bytes()))
            }
            (Value::Object(_), None) => Err(Problem::KeyUnnamed {
                path: path.to_owned(),
                has: self.names(),
            }),
            (Value::String(found), None) => text(found),
            (Value::String(_), Some(_)) => Err(Problem::KeyUnused(path.to_owned())),
            _ => Err(not_text()),
        }
    }

    /// The names of the first members.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.as_object().map(names).unwrap_or_default()
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
    use super::*;

    fn document() -> Document {
        Document::read(
            br#"{"data": {"api_key": "sk-live\n", "port": 5432, "user name": "x", "b": "two\nlines"}}"#,
        )
        .ok()
        .and_then(|document| document.take_object("/data"))
        .unwrap()
    }

    fn value(key: Option<&str>, shape: Shape) -> Result<Vec<u8>, Problem> {
        let value = document().value("ai", key, shape)?;
        Ok(value.to_vec())
    }

    #[test]
    fn a_member_is_what_its_key_names() {
        assert_eq!(
            value(Some("api_key"), Shape::Text),
            Ok(b"sk-live\n".to_vec())
        );
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        let problem = |key| value(key, Shape::Text).unwrap_err().to_string();
        assert_eq!(
            problem(Some("key")),
            "key: what is at ai has no member \"key\"; it has api_key, b, port"
        );
        assert_eq!(
            problem(Some("port")),
            "key: the member \"port\" of what is at ai is not a text"
        );
        assert!(problem(None).ends_with("it has api_key, b, port"));
    }

    #[test]
    fn without_a_key_the_whole_is_the_credential_where_that_is_a_document() {
        let keys = Document::read(br#"{"secretAccessKey": "s", "accessKeyId": "AKID"}"#)
            .ok()
            .unwrap();
        let whole = keys.value("aws", None, Shape::AwsKeys).unwrap();
        assert_eq!(
            whole.as_slice(),
            br#"{"accessKeyId":"AKID","secretAccessKey":"s"}"#
        );
        assert!(matches!(
            keys.value("aws", None, Shape::Text),
            Err(Problem::KeyUnnamed { .. })
        ));
    }

    #[test]
    fn a_user_and_a_password_are_one_credential_where_that_takes_both() {
        let text = r#"{"username": "v-bot", "password": "p:w"}"#;
        let both = Document::read(text.as_bytes()).ok().unwrap();
        let value = both.value("db", None, Shape::UserAndPassword).unwrap();
        assert_eq!(value.as_slice(), b"v-bot:p:w");
        assert!(matches!(
            both.value("db", None, Shape::Text),
            Err(Problem::KeyUnnamed { .. })
        ));
    }

    #[test]
    fn an_item_of_a_list_is_found_by_its_place_or_by_a_member() {
        let document = Document::new(serde_json::json!({
            "fields": [{"label": "user", "value": "me"}, {"label": "a/b=c", "value": "sk"}],
        }));
        let found = |pointer| document.find(pointer).and_then(Value::as_str);
        assert_eq!(found("/fields/0/value"), Some("me"));
        assert_eq!(found("/fields/label=a~1b=c/value"), Some("sk"));
        for nothing in [
            "/fields/2/value",
            "/fields/label=x/value",
            "/fields/value",
            "/x",
            "/fields/+1/value",
            "/fields/01/value",
            "/fields/0/value/0",
        ] {
            assert_eq!(found(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_json_is_not_quoted() {
        let problem = Document::read(b"sk-live").err().unwrap();
        assert!(!format!("{problem} {problem:?}").contains("sk-live"));
    }
}

//! The only place that knows which YAML library is used.
//!
//! The library limits depth, size and aliases of what it reads, and refuses a key that stands twice in one mapping.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What is wrong with a YAML text, with line and column but without the lines themselves.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Reads one document that holds no secret. It is read as what JSON can say and then as a `T`, so that a program has YAML's reader in it once
/// and not for every type.
///
/// # Errors
/// The first problem. A value of the wrong type may be quoted, and then has no place.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| without_lines(&error))?;
    typed(value)
}

/// Reads all documents of a stream that holds no secret.
///
/// # Errors
/// The first problem. A value of the wrong type may be quoted, and then has no place.
pub fn from_multiple<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, Error> {
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| without_lines(&error))?;
    values.into_iter().map(typed).collect()
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|error| Error(error.to_string()))
}

fn without_lines(error: &serde_saphyr::Error) -> Error {
    Error(error.without_snippet().to_string())
}

/// Writes one document.
///
/// # Errors
/// What YAML cannot express.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_saphyr::to_string(value).map_err(|error| Error(error.to_string()))
}

/// Where a text stops being YAML, in words that quote nothing of it: it may hold secrets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {problem}")]
pub struct Malformed {
    /// Line of the problem, from 1.
    pub line: u64,
    /// Column of the problem, from 1.
    pub column: u64,
    /// What is wrong.
    pub problem: String,
}

/// Reads all documents of a stream that may hold secrets. Empty documents are left out.
///
/// # Errors
/// [`Malformed`], which quotes nothing of the text. A key that stands twice in one mapping is an error too.
pub fn documents(text: &str) -> Result<Vec<Value>, Malformed> {
    serde_saphyr::from_multiple(text).map_err(|error| {
        let error = error.without_snippet();
        let location = error.location();
        Malformed {
            line: location.map_or(1, |at| at.line()),
            column: location.map_or(1, |at| at.column()),
            problem: match error {
                // The scanner's own words are fixed ones, and name one character at most.
                serde_saphyr::Error::ExternalMessage { msg, .. } => msg.clone(),
                serde_saphyr::Error::DuplicateMappingKey { .. } => {
                    "a key stands twice in one mapping".to_owned()
                }
                serde_saphyr::Error::Eof { .. } => "the text ends too early".to_owned(),
                _ => "this is not valid YAML".to_owned(),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_document_is_located_and_not_quoted() {
        for text in [
            "kind: Secret\nstringData:\n  key: \"sk-live\n",
            "kind: Secret\nstringData:\n  key: *sk-live\n",
            "kind: Secret\nstringData:\n  key: [sk-live\n",
            "kind: Secret\nstringData:\n  sk-live: a\n  sk-live: b\n",
            "kind: Secret\nstringData:\n\tkey: sk-live\n",
            "kind: Secret\nstringData:\n  key: !!int sk-live\n",
            "kind: Secret\nstringData: sk-live: sk-live\n",
        ] {
            let error = documents(text).unwrap_err();
            assert!(error.line >= 2, "{error}");
            assert!(!format!("{error:?}").contains("sk-live"), "{error:?}");
        }
    }

    #[test]
    fn json_is_read_too_and_empty_documents_are_left_out() {
        let text = "---\n---\n{\n\t\"kind\": \"List\",\n\t\"items\": []\n}\n---\n# nothing\n";
        assert_eq!(
            documents(text).unwrap(),
            [serde_json::json!({"kind": "List", "items": []})]
        );
    }

    #[test]
    fn an_error_says_where_and_does_not_show_the_lines() {
        let text = "a: sk-live\nb: sk-live\nb: sk-live\n";
        let error = from_str::<serde_json::Value>(text).unwrap_err().to_string();
        assert!(!error.contains("sk-live"), "{error}");
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn aliases_cannot_fill_the_memory() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(",");
            text += &format!("a{n}: &a{n} [{aliases}]\n");
        }
        assert!(documents(&text).is_err());
    }
}

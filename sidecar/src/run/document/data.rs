//! The data of Secrets and ConfigMaps.

use std::collections::BTreeMap;

use postern_crds::{Secret, Violation};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// `data` and `stringData` of a Secret.
pub(super) fn secret(
    object: &mut Map<String, Value>,
) -> Result<BTreeMap<String, Secret>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut secrets = BTreeMap::new();
    for (key, text) in strings("data", object)? {
        let text = Zeroizing::new(text);
        // Line ends are allowed, as in the block scalars that `base64` without `-w0` gives.
        let base64 = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        match serde_json::from_value::<Secret>(Value::String(base64)) {
            Ok(secret) => drop(secrets.insert(key, secret)),
            Err(_) => violations.push(Violation::new(
                format!("data[{key:?}]"),
                "is not valid base64; plain text goes into stringData",
            )),
        }
    }
    // `stringData` wins where both have a key, as in the API server.
    for (key, text) in strings("stringData", object)? {
        secrets.insert(key, Secret::new(text.into_bytes()));
    }
    if violations.is_empty() {
        Ok(secrets)
    } else {
        Err(violations)
    }
}

/// The member `field`, whose values must be strings.
pub(super) fn strings(
    field: &str,
    object: &mut Map<String, Value>,
) -> Result<BTreeMap<String, String>, Vec<Violation>> {
    let members = match object.remove(field) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(vec![Violation::new(field, "must be an object")]),
    };
    let mut strings = BTreeMap::new();
    let mut violations = Vec::new();
    for (key, value) in members {
        match value {
            Value::String(text) => drop(strings.insert(key, text)),
            _ => violations.push(Violation::new(
                format!("{field}[{key:?}]"),
                "must be a string: put it in quotes",
            )),
        }
    }
    if violations.is_empty() {
        Ok(strings)
    } else {
        Err(violations)
    }
}

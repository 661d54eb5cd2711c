//! What the API server would say of one of our resources by its schema, for files that come past no API server.
//!
//! Types, bounds, patterns and unknown fields are checked here. The rules of the definitions (`x-kubernetes-validations`) are not: what they
//! demand, the compiling of a resource demands too. A test holds both together against every case of which a real API server gave its opinion.

use std::{collections::BTreeMap, sync::LazyLock};

use postern_crds::{Violation, definition, yaml};
use regex_lite::Regex;
use serde_json::{Map, Value};

/// The schema of `spec`, by kind.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let spec = |text| {
        let definition: Value =
            yaml::from_str(text).expect("a test reads all definitions that are built in");
        let kind = definition["spec"]["names"]["kind"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (
            kind,
            definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
                .clone(),
        )
    };
    definition::DOCUMENTS.into_iter().map(spec).collect()
});

/// Checks the `spec` of a resource of `kind`, which is one of ours. Members that are null are dropped from it, as the API server
/// does, and unknown ones once they are reported, so that the rest can be read.
///
/// The violations quote no value: a key may have been written where it does not belong.
pub(crate) fn check(kind: &str, spec: &mut Value) -> Vec<Violation> {
    let mut found = Vec::new();
    drop_nulls(spec);
    node("spec", &SCHEMAS[kind], spec, &mut found);
    found
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn node(at: &str, schema: &Value, value: &mut Value, found: &mut Vec<Violation>) {
    let mut wrong = |message: String| found.push(Violation::new(at, message));
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(members)) => object(at, schema, members, found),
        (Some("array"), Value::Array(items)) => array(at, schema, items, found),
        (Some("string"), Value::String(text)) => string(schema, text).into_iter().for_each(wrong),
        (Some("boolean"), Value::Bool(_)) => {}
        (Some("integer"), Value::Number(number)) if number.is_i64() => {}
        (Some(expected), _) => wrong(format!(
            "must be {} {expected}",
            if expected.starts_with(['a', 'i', 'o']) {
                "an"
            } else {
                "a"
            }
        )),
        // The API server knows only typed schemas.
        (None, _) => wrong("has no type in the definition".to_owned()),
    }
}

fn object(at: &str, schema: &Value, members: &mut Map<String, Value>, found: &mut Vec<Violation>) {
    // A map, whose keys are the user's.
    if schema["additionalProperties"].is_object() {
        let message = count(
            "entries",
            schema,
            "minProperties",
            "maxProperties",
            members.len(),
        );
        found.extend(message.map(|message| Violation::new(at, message)));
        for (name, value) in members {
            let at = format!("{at}.{name}");
            node(&at, &schema["additionalProperties"], value, found);
        }
        return;
    }
    let empty = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&empty);
    members.retain(|name, _| {
        let is_known = known.contains_key(name);
        if !is_known {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            found.push(Violation::new(
                format!("{at}.{name}"),
                format!("unknown field; there are {}", known.join(", ")),
            ));
        }
        is_known
    });
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !members.contains_key(name) {
            found.push(Violation::new(format!("{at}.{name}"), "is missing"));
        }
    }
    for (name, schema) in known {
        if let Some(value) = members.get_mut(name) {
            node(&format!("{at}.{name}"), schema, value, found);
        }
    }
}

fn array(at: &str, schema: &Value, items: &mut [Value], found: &mut Vec<Violation>) {
    if let Some(message) = count("items", schema, "minItems", "maxItems", items.len()) {
        found.push(Violation::new(at, message));
    }
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let key_of = |item: &Value| {
        keys.iter()
            .map(|key| item[*key].clone())
            .collect::<Vec<_>>()
    };
    for index in 0..items.len() {
        let at = format!("{at}[{index}]");
        let (earlier, rest) = items.split_at_mut(index);
        let item = &mut rest[0];
        node(&at, &schema["items"], item, found);
        let stands_twice = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => earlier.contains(item),
            Some("map") => {
                item.is_object()
                    && earlier
                        .iter()
                        .any(|earlier| key_of(earlier) == key_of(item))
            }
            _ => false,
        };
        if stands_twice {
            let what = if keys.is_empty() {
                "the same value".to_owned()
            } else {
                format!("the same {}", keys.join(" and "))
            };
            found.push(Violation::new(at, format!("has {what} as an earlier one")));
        }
    }
}

fn string(schema: &Value, text: &str) -> Option<String> {
    if let Some(allowed) = schema["enum"].as_array() {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return (!allowed.contains(&text))
            .then(|| format!("must be one of {}", allowed.join(", ")));
    }
    if let Some(message) = count(
        "characters",
        schema,
        "minLength",
        "maxLength",
        text.chars().count(),
    ) {
        return Some(message);
    }
    let pattern = schema["pattern"].as_str()?;
    let matches = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    (!matches).then(|| format!("must match {pattern}"))
}

fn count(what: &str, schema: &Value, least: &str, most: &str, count: usize) -> Option<String> {
    let bound = |name: &str| {
        schema[name]
            .as_u64()
            .and_then(|bound| usize::try_from(bound).ok())
    };
    match (bound(least), bound(most)) {
        (Some(least), _) if count < least => Some(format!("must have at least {least} {what}")),
        (_, Some(most)) if count > most => Some(format!("must have at most {most} {what}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(kind: &str, mut spec: Value) -> Vec<String> {
        check(kind, &mut spec)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_problem_is_reported_at_once_and_no_value_is_quoted() {
        let spec = json!({
            "serviceAccountNames": [],
            "credentials": [
                {"name": "Sk_Live", "provider": "sk-live", "source": {"secret": "sk-live"}},
                {"name": "a", "source": {"secret": {"name": "k", "kee": "sk-live"}}, "allowPlaintext": "sk-live"},
                {"name": "a", "source": {"secret": ["k", "sk-live"]}},
            ],
        });
        let problems = problems("AgentIdentity", spec);
        let paths: Vec<&str> = problems
            .iter()
            .map(|problem| problem.split(": ").next().unwrap())
            .collect();
        assert_eq!(
            paths,
            [
                "spec.credentials[0].name",
                "spec.credentials[0].provider",
                "spec.credentials[0].source.secret",
                "spec.credentials[1].allowPlaintext",
                "spec.credentials[1].source.secret.kee",
                "spec.credentials[1].source.secret.key",
                "spec.credentials[2].source.secret",
                "spec.credentials[2]",
                "spec.serviceAccountNames",
            ]
        );
        assert!(
            !format!("{problems:?}")
                .to_lowercase()
                .replace("sk_", "sk-")
                .contains("sk-live"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_null_is_as_good_as_nothing() {
        let mut spec = json!({"targetRefs": null, "rules": null});
        let found = check("EgressPolicy", &mut spec);
        assert_eq!(found, [Violation::new("spec.targetRefs", "is missing")]);
        assert_eq!(spec, json!({}));
    }

    #[test]
    fn every_pattern_of_the_definitions_can_be_read() {
        fn patterns(schema: &Value) -> Vec<String> {
            let own = schema
                .get("pattern")
                .and_then(Value::as_str)
                .map(str::to_owned);
            let deeper = match schema {
                Value::Object(members) => members.values().flat_map(patterns).collect(),
                Value::Array(items) => items.iter().flat_map(patterns).collect(),
                _ => Vec::new(),
            };
            own.into_iter().chain(deeper).collect()
        }
        let patterns: Vec<String> = SCHEMAS.values().flat_map(patterns).collect();
        assert!(patterns.len() > 5);
        for pattern in patterns {
            assert!(Regex::new(&pattern).is_ok(), "{pattern}");
        }
    }
}

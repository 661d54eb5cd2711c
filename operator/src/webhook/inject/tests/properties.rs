//! Whatever a pod looks like: nothing panics, the patch applies, the application keeps what it has.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// JSON of any shape, whose field names are now and then ones that we look at.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "postern",
            "postern-bundle",
            "postern-support-bot",
            "support-bot",
            "OPENAI_API_KEY",
            "/~1"
        ])
        .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let field = prop_oneof![
        prop::sample::select(vec![
            "name",
            "env",
            "value",
            "valueFrom",
            "secret",
            "secretName",
            "secretKeyRef",
            "envFrom",
            "secretRef",
            "volumeMounts",
            "ports",
            "containerPort",
            "securityContext",
            "runAsUser",
            "containers",
            "initContainers",
            "volumes",
            "resources",
            "limits",
            "httpGet",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(field.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Map<String, Value>> {
    anything().prop_map(|value| value.as_object().cloned().unwrap_or_default())
}

/// A container with a name and an environment, and anything else.
fn container() -> impl Strategy<Value = Value> {
    let variable = prop_oneof![
        prop::sample::select(vec![
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "OPENAI_API_BASE",
            "LANGSMITH_GATEWAY",
            "HTTP_PROXY"
        ])
        .prop_map(str::to_owned),
        "[A-Z]{1,3}",
    ];
    let env = prop::collection::vec((variable, fields()), 0..5).prop_map(|entries| {
        let entry = |(name, mut fields): (String, Map<String, Value>)| {
            fields.insert("name".into(), json!(name));
            Value::Object(fields)
        };
        entries.into_iter().map(entry).collect::<Vec<_>>()
    });
    (
        prop::sample::select(vec!["agent", "early", "late"]),
        fields(),
        prop::option::of(env),
    )
        .prop_map(|(name, mut fields, env)| {
            fields.insert("name".into(), json!(name));
            fields.insert("env".into(), json!(env));
            fields.remove("securityContext");
            fields.remove("volumeMounts");
            Value::Object(fields)
        })
}

/// A pod that asks for us and has nothing that is refused, but may have anything else.
fn decent_pod() -> impl Strategy<Value = Value> {
    let containers = || prop::option::of(prop::collection::vec(container(), 0..4));
    (
        containers(),
        containers(),
        fields(),
        fields(),
        prop::option::of(fields()),
    )
        .prop_map(|(containers, init, spec, metadata, labels)| {
            let mut spec: Map<_, _> = spec
                .into_iter()
                .filter(|(name, _)| !["securityContext", "volumes"].contains(&name.as_str()))
                .collect();
            spec.insert("containers".into(), json!(containers));
            spec.insert("initContainers".into(), json!(init));
            spec.insert("serviceAccountName".into(), json!("support-bot"));
            let mut metadata = metadata;
            metadata.insert(
                "annotations".into(),
                json!({"postern.dev/identity": "support-bot"}),
            );
            metadata.insert("labels".into(), json!(labels));
            json!({"metadata": metadata, "spec": spec, "unknown": {"kept": true}})
        })
}

/// Whether all of `before` is in `after`: fields may be new, list items may have new ones beside them.
fn survives(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Null, _) => true,
        (Value::Object(before), Value::Object(after)) => before.iter().all(|(field, value)| {
            after.get(field).is_some_and(|after| survives(value, after)) || value.is_null()
        }),
        (Value::Array(before), Value::Array(after)) => {
            let mut after = after.iter();
            before
                .iter()
                .all(|item| after.any(|other| survives(item, other)))
        }
        _ => before == after,
    }
}

/// The pod without the values of keys, which alone may be taken from it.
fn without_keys(pod: &Value) -> Value {
    let mut pod = pod.clone();
    for list in ["containers", "initContainers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            for variable in container["env"].as_array_mut().into_iter().flatten() {
                if variable["name"]
                    .as_str()
                    .is_some_and(|name| name.ends_with("_KEY"))
                {
                    *variable = json!({"name": variable["name"]});
                }
            }
        }
    }
    pod
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_every_patch_applies(metadata in anything(), spec in anything(), asks in any::<bool>()) {
        let mut pod = json!({"metadata": metadata, "spec": spec});
        if asks {
            pod["metadata"] = json!({"annotations": {"postern.dev/identity": "support-bot"}, "labels": metadata});
        }
        if let Ok(outcome) = admit(&pod) {
            apply(&pod, &outcome);
        }
    }

    #[test]
    fn no_json_at_all_panics(value in anything()) {
        if let Ok(outcome) = admit(&value) {
            prop_assert!(outcome.patch.is_empty());
        }
    }

    #[test]
    fn decent_pod_keeps_what_it_has_and_is_injected_once(pod in decent_pod()) {
        match admit(&pod) {
            Ok(outcome) => {
                let once = apply(&pod, &outcome);
                prop_assert!(survives(&without_keys(&pod), &once), "{pod}\nbecame\n{once}");
                prop_assert_eq!(&once["spec"]["initContainers"][0]["name"], "postern");
                let again = admit(&once).expect("an injected pod is admitted");
                prop_assert!(again.patch.is_empty(), "{}", again.patch);
            }
            // What the generator cannot help: a field that names a bundle, under "secret".
            Err(denial) => prop_assert!(denial.problems.iter().all(|problem| problem.reason == Reason::BundleSecret), "{denial}"),
        }
    }
}

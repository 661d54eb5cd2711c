//! Bundles that are well, and bundles that are hostile.

use super::*;

const SECRET: &str = "sk-live-hunter2";

fn bundle() -> Bundle {
    let spec = serde_json::json!({
        "serviceAccountNames": ["bot"],
        "credentials": [{"name": "openai", "provider": "openai", "source": {"secret": {"name": "key", "key": "api-key"}}}],
    });
    let policy = serde_json::json!({
        "name": "chat",
        "generation": 3,
        "spec": {
            "targetRefs": [{"kind": "AgentIdentity", "name": "bot"}],
            "rules": [{"name": "all", "to": {"credentials": ["openai"]}, "action": "Allow"}],
        },
    });
    Bundle {
        format: 1,
        min_reader: 1,
        namespace: "agents".into(),
        identity: "bot".into(),
        spec: serde_json::from_value(spec).unwrap(),
        policies: vec![serde_json::from_value(policy).unwrap()],
        secrets: BTreeMap::from([("openai".into(), secret(SECRET, "secret/7"))]),
        stale: BTreeSet::new(),
        authorities: BTreeMap::new(),
        fetch: None,
    }
}

fn secret(value: &str, version: &str) -> VersionedSecret {
    VersionedSecret {
        value: Secret::new(value.as_bytes().to_vec()),
        version: version.into(),
    }
}

/// The bundle's document after `change`, with `SECRET` for the secret's text.
fn document(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut document = serde_json::from_slice(&bundle().to_json()).unwrap();
    change(&mut document);
    serde_json::to_vec(&document).unwrap()
}

/// What is wrong with `bytes`, of which nothing may be quoted.
fn refused(bytes: &[u8]) -> Error {
    let error = Bundle::parse(bytes).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("c2stbGl2"),
        "{shown}"
    );
    error
}

#[test]
fn a_bundle_survives_a_round_trip() {
    let bundle = bundle();
    let read = Bundle::parse(&bundle.to_json()).unwrap();
    assert_eq!(read.revision(), bundle.revision());
    assert_eq!(read.secrets["openai"].value.expose(), SECRET.as_bytes());
    assert_eq!(
        (&read.spec, &read.policies),
        (&bundle.spec, &bundle.policies)
    );
    let compiled = read.compile().unwrap();
    assert_eq!(
        (compiled.routes.len(), compiled.policy.rule_count()),
        (1, 1)
    );
}

#[test]
fn the_first_format_is_read_as_it_was_written() {
    let text = r#"{
      "format": 1, "minReader": 1, "namespace": "agents", "identity": "bot",
      "spec": {"serviceAccountNames": ["bot"], "credentials": [
        {"name": "llm", "provider": "openai", "endpoint": "http://vllm:8000/v1", "allowPlaintext": true,
         "source": {"secret": {"name": "key", "key": "api-key"}}},
        {"name": "crm", "http": {"hosts": ["crm.example.com"], "inject": {"header": {"name": "X-Api-Key", "prefix": "Token "}}},
         "tls": {"caBundle": {"configMap": {"name": "ca", "key": "ca.crt"}}}, "source": {"secret": {"name": "key", "key": "crm"}}}],
        "refreshInterval": "30s"},
      "policies": [{"name": "p", "generation": 2, "spec": {"targetRefs": [{"kind": "AgentIdentity", "name": "bot"}],
        "rules": [{"name": "r", "to": {"credentials": ["*"]}, "methods": ["GET"], "paths": ["/v1/**"], "action": "Deny"}]}}],
      "secrets": {"llm": {"value": "c2VjcmV0", "version": "secret/1"}},
      "authorities": {"crm": "-----BEGIN CERTIFICATE-----"}
    }"#;
    let bundle = Bundle::parse(text.as_bytes()).unwrap();
    assert_eq!(bundle.secrets["llm"].value.expose(), b"secret");
    assert_eq!(bundle.compile().unwrap().routes.len(), 2);
    // If this changes, a running sidecar reloads although nothing did.
    assert_eq!(bundle.revision(), "cfb24305004cb8b6");
}

#[test]
fn a_bundle_cut_anywhere_is_refused() {
    let whole = bundle().to_json();
    for length in 0..whole.len() {
        assert!(
            matches!(refused(&whole[..length]), Error::Malformed { .. }),
            "{length}"
        );
    }
}

#[test]
fn a_bundle_too_large_is_refused_before_it_is_read() {
    assert!(matches!(
        refused(&vec![b' '; MAX_BYTES + 1]),
        Error::TooLarge(_)
    ));
    assert!(
        matches!(refused(&vec![b'['; MAX_BYTES]), Error::Malformed { .. }),
        "nesting has a bound"
    );
}

#[test]
fn wrong_types_are_refused_without_quoting_them() {
    for pointer in [
        "/format",
        "/minReader",
        "/namespace",
        "/identity",
        "/policies",
        "/secrets",
        "/authorities",
    ] {
        for wrong in [
            serde_json::json!({"x": [SECRET]}),
            serde_json::json!([SECRET]),
            serde_json::json!(SECRET),
            serde_json::json!(-1),
            serde_json::json!(null),
        ] {
            let bytes =
                document(|document| *document.pointer_mut(pointer).unwrap() = wrong.clone());
            let is_a_text = matches!(pointer, "/namespace" | "/identity") && wrong.is_string();
            if !is_a_text {
                assert!(
                    matches!(refused(&bytes), Error::Malformed { .. }),
                    "{pointer} {wrong}"
                );
            }
        }
    }
    for value in [
        serde_json::json!(SECRET),
        serde_json::json!("c2stbGl2ZS1odW50ZXIy\n"),
        serde_json::json!([SECRET]),
        serde_json::json!({SECRET: 1}),
    ] {
        refused(&document(|document| {
            document["secrets"]["openai"]["value"] = value;
        }));
    }
    refused(&document(|document| {
        document["spec"][SECRET] = SECRET.into();
    }));
    refused(&document(|document| {
        document["policies"][0]["spec"]["rules"][0]["action"] = SECRET.into();
    }));
}

#[test]
fn bytes_that_are_no_document_are_refused() {
    let mut trailing = bundle().to_json();
    trailing.extend_from_slice(SECRET.as_bytes());
    let mut marked = Zeroizing::new("\u{feff}".as_bytes().to_vec());
    marked.extend_from_slice(&bundle().to_json());
    for bytes in [
        &trailing[..],
        &marked[..],
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"\"hunter2\"",
        b"hunter2",
    ] {
        assert!(
            matches!(refused(bytes), Error::Malformed { .. }),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_newer_format_is_named_as_such_whatever_else_has_changed() {
    let bytes = document(|document| {
        document["minReader"] = (FORMAT + 1).into();
        document["spec"] = "of another shape".into();
    });
    let error = refused(&bytes);
    assert!(
        matches!(error, Error::TooNew(number) if number == FORMAT + 1),
        "{error}"
    );
    assert!(error.to_string().contains("upgrade the sidecar"));
    let newer_but_readable = document(|document| document["format"] = (FORMAT + 1).into());
    assert!(Bundle::parse(&newer_but_readable).is_ok());
}

#[test]
fn an_unknown_member_is_refused_where_it_could_narrow_a_rule() {
    refused(&document(|document| {
        document["policies"][0]["spec"]["rules"][0]["colours"] = serde_json::json!(["red"]);
    }));
    refused(&document(|document| {
        document["spec"]["credentials"][0]["inject"] = "x".into();
    }));
    assert!(Bundle::parse(&document(|document| document["writtenBy"] = "0.2.0".into())).is_ok());
}

#[test]
fn what_a_format_cannot_say_asks_for_a_reader_of_the_next() {
    let identity = bundle().spec;
    let plain = bundle().policies;
    assert_eq!(format(&identity, &[]), 1);
    assert_eq!(format(&identity, &plain), 1);
    let prices = crate::yaml::from_str("[{models: [m], input: '1', output: '1'}]").unwrap();
    let priced = AgentIdentitySpec {
        prices,
        ..identity.clone()
    };
    assert_eq!(format(&priced, &[]), 2);
    let mut deployed = identity.clone();
    deployed.credentials[0].deployments = [("fast".into(), "gpt-4o-mini".into())].into();
    assert_eq!(format(&deployed, &[]), 2);
    let mut stored = deployed.clone();
    stored.credentials[0].source =
        crate::yaml::from_str("{store: {name: vault, path: ai/openai, key: k}}").unwrap();
    assert_eq!(format(&stored, &[]), 4, "a reader of 3 knows no stores");
    let of_the_spec = [
        serde_json::json!({"mode": "Observe"}),
        serde_json::json!({"maxInspectedBytes": 4096}),
        serde_json::json!({"limits": [{"name": "few", "scope": "Pod", "concurrent": 2}]}),
    ];
    let of_a_rule = [
        serde_json::json!({"models": ["gpt-*"]}),
        serde_json::json!({"operations": ["chat"]}),
        serde_json::json!({"tools": ["search"]}),
        serde_json::json!({"when": "request.stream"}),
        serde_json::json!({"uninspected": "Allow"}),
    ];
    for (at, additions) in [
        ("/0/spec", &of_the_spec[..]),
        ("/0/spec/rules/0", &of_a_rule),
    ] {
        for addition in additions {
            let mut document = serde_json::to_value(&plain).unwrap();
            let members = document.pointer_mut(at).unwrap().as_object_mut().unwrap();
            members.extend(addition.as_object().unwrap().clone());
            let policies: Vec<NamedPolicy> = serde_json::from_value(document).unwrap();
            assert_eq!(format(&identity, &policies), 2, "{addition}");
            policy::compile(&policies).unwrap();
        }
    }
    let mut document = serde_json::to_value(&plain).unwrap();
    document[0]["spec"]["response"] = serde_json::json!({"mask": {"detectors": ["EMAIL"]}});
    let policies: Vec<NamedPolicy> = serde_json::from_value(document).unwrap();
    assert_eq!(format(&identity, &policies), 3);
    for addition in [
        serde_json::json!({"request": {"mask": {"detectors": ["EMAIL"]}}}),
        serde_json::json!({"response": {"mask": {"detectors": ["EMAIL"], "style": "Pseudonym"}}}),
        serde_json::json!({"response": {"mask": {"dictionaries": [{"name": "A", "words": ["b"], "style": "Pseudonym"}]}}}),
    ] {
        let mut document = serde_json::to_value(&plain).unwrap();
        let members = document[0]["spec"].as_object_mut().unwrap();
        members.extend(addition.as_object().unwrap().clone());
        let policies: Vec<NamedPolicy> = serde_json::from_value(document).unwrap();
        assert_eq!(format(&identity, &policies), 5, "{addition}");
        policy::compile(&policies).unwrap();
    }
    // The default, written out, is nothing new.
    let mut document = serde_json::to_value(&plain).unwrap();
    document[0]["spec"]["mode"] = "Enforce".into();
    let policies: Vec<NamedPolicy> = serde_json::from_value(document).unwrap();
    assert_eq!(format(&identity, &policies), 1);
    assert_eq!(
        serde_json::to_value(&policies).unwrap(),
        serde_json::to_value(&plain).unwrap()
    );
}

#[test]
fn the_problems_of_routes_and_policies_are_reported_together() {
    let mut bundle = bundle();
    bundle.spec.credentials[0].provider = Some("openia".into());
    bundle.policies[0].spec.rules[0].paths = vec!["v1".into()];
    let Err(Error::Invalid(found)) = bundle.compile() else {
        panic!("it compiles")
    };
    let paths: Vec<&str> = found
        .iter()
        .map(|violation| violation.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "spec.credentials[0].provider",
            "EgressPolicy chat: spec.rules[0].paths[0]"
        ]
    );
}

#[test]
fn a_printed_bundle_shows_no_secret() {
    assert!(!format!("{:?}", bundle()).contains("hunter2"));
}

#[test]
fn a_revision_speaks_of_versions_and_not_of_bytes() {
    let one = bundle().revision();
    let mut other = bundle();
    other
        .secrets
        .insert("openai".into(), secret("another", "secret/7"));
    assert_eq!(other.revision(), one);
    other
        .secrets
        .insert("openai".into(), secret("another", "secret/8"));
    assert_ne!(other.revision(), one);
}

#[test]
fn a_revision_changes_with_everything_else() {
    let changes: [fn(&mut Bundle); 6] = [
        |bundle| bundle.namespace.push('x'),
        |bundle| bundle.identity.push('x'),
        |bundle| bundle.spec.credentials[0].endpoint = Some("https://h".into()),
        |bundle| bundle.policies[0].generation += 1,
        |bundle| bundle.secrets.clear(),
        |bundle| {
            bundle.authorities.insert("openai".into(), "pem".into());
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = bundle();
        change(&mut other);
        assert_ne!(other.revision(), bundle().revision(), "{index}");
    }
}

#[test]
fn a_rotation_is_another_revision_on_the_same_terms() {
    let before = bundle();
    let mut rotated = bundle();
    rotated
        .secrets
        .insert("openai".into(), secret("sk-other", "secret/8"));
    assert_ne!(rotated.revision(), before.revision());
    assert_eq!(rotated.terms(), before.terms());

    let mut other = rotated.clone();
    other.policies[0].generation += 1;
    assert_ne!(other.terms(), before.terms());

    let mut stale = before.clone();
    stale.secrets.clear();
    let missing = stale.revision();
    stale.stale.insert("openai".into());
    assert_ne!(stale.revision(), missing, "the sidecar answers otherwise");
}

#[test]
fn max_staleness_needs_a_reader_that_knows_it() {
    let mut bundle = bundle();
    assert_eq!(format(&bundle.spec, &bundle.policies), 1);
    bundle.spec.max_staleness = Some("1h".into());
    assert_eq!(format(&bundle.spec, &bundle.policies), 5);
}

#[test]
fn an_overlap_needs_a_reader_that_knows_it() {
    let mut bundle = bundle();
    bundle.spec.credentials[0].overlap = Some("1h".into());
    assert_eq!(format(&bundle.spec, &bundle.policies), 5);
}

#[test]
fn where_a_newer_bundle_is_changes_nothing_that_calls_depend_on() {
    let plain = bundle();
    let mut told = bundle();
    told.fetch = Some(Fetch {
        serial: 1_764_000_000_000,
        address: "https://postern-controller.postern-system.svc".into(),
        authorities: "PEM".into(),
        ticket: Secret::new(b"hunter2-ticket".to_vec()),
    });
    assert_eq!(told.revision(), plain.revision());
    assert_eq!(told.terms(), plain.terms());
    let read = Bundle::parse(&told.to_json()).unwrap();
    assert_eq!(read.fetch, told.fetch);
    assert!(!format!("{told:?}").contains("hunter2"));
    let none = String::from_utf8(plain.to_json().to_vec()).unwrap();
    assert!(!none.contains("fetch"), "{none}");
}

#[test]
fn delivery_needs_a_reader_that_knows_it() {
    let mut bundle = bundle();
    bundle.spec.delivery = Some(crate::agent_identity::Delivery { nudge: true });
    assert!(bundle.spec.is_nudged());
    assert_eq!(format(&bundle.spec, &bundle.policies), 5);
    bundle.spec.delivery = Some(serde_json::from_str("{}").unwrap());
    assert!(!bundle.spec.is_nudged());
}

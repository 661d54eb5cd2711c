//! What a Secret or ConfigMap gives, and what a person reads when it gives nothing.

use serde_json::json;

use super::*;

fn place(kind: Kind) -> Box<Place> {
    Box::new(Place {
        kind,
        namespace: "agents".into(),
        name: "openai-key".into(),
        key: "api-key".into(),
    })
}

fn object(annotation: Option<&str>, data: &[(&str, &[u8])]) -> SecretObject {
    let mut object: SecretObject = serde_json::from_value(json!({
        "metadata": { "name": "openai-key", "namespace": "agents", "resourceVersion": "81231" },
    }))
    .unwrap();
    object.metadata.annotations =
        annotation.map(|value| [(ALLOW_IDENTITY_ANNOTATION.to_owned(), value.to_owned())].into());
    object.data = Some(
        data.iter()
            .map(|(key, value)| ((*key).to_owned(), k8s_openapi::ByteString(value.to_vec())))
            .collect(),
    );
    object
}

fn read_secret(object: &SecretObject) -> Result<VersionedSecret, Failure> {
    secret(place(Kind::Secret), object, "support-bot", Shape::Text)
}

#[test]
fn a_secret_that_names_the_identity_is_read() {
    for annotation in ["support-bot", "*", "other, support-bot", " support-bot ,x"] {
        let secret = read_secret(&object(Some(annotation), &[("api-key", b"sk-1\n")])).unwrap();
        assert_eq!(secret.value.expose(), b"sk-1");
        assert_eq!(secret.version, "secret/81231");
    }
}

#[test]
fn without_consent_nothing_is_said_but_how_to_give_it() {
    for (annotation, command) in [
        (
            None,
            "kubectl annotate --overwrite secret openai-key -n agents postern.dev/allow-identity=support-bot",
        ),
        (
            Some(""),
            "kubectl annotate --overwrite secret openai-key -n agents postern.dev/allow-identity=support-bot",
        ),
        (
            Some("other"),
            "kubectl annotate --overwrite secret openai-key -n agents 'postern.dev/allow-identity=other,support-bot'",
        ),
        (
            Some("support-bot2"),
            "kubectl annotate --overwrite secret openai-key -n agents 'postern.dev/allow-identity=support-bot2,support-bot'",
        ),
    ] {
        let failure = read_secret(&object(annotation, &[("other-key", b"sk-1")])).unwrap_err();
        assert_eq!(failure.reason(), "ConsentMissing");
        assert!(failure.is_definitive());
        let message = failure.to_string();
        assert!(message.ends_with(command), "{message}");
        assert!(!message.contains("other-key"), "{message}");
    }
}

#[test]
fn a_missing_key_is_told_with_the_keys_that_are_there() {
    let failure = read_secret(&object(
        Some("*"),
        &[("OPENAI_API_KEY", b"sk-1"), ("b", b"x")],
    ))
    .unwrap_err();
    assert_eq!(failure.reason(), "KeyNotFound");
    assert_eq!(
        failure.to_string(),
        r#"Secret openai-key has no key "api-key"; it has OPENAI_API_KEY, b"#
    );
}

#[test]
fn a_value_that_no_header_can_carry_is_refused_without_quoting_it() {
    for (bytes, reason) in [
        (&b"\n"[..], "ValueEmpty"),
        (b"sk-1\nsk-2", "ValueMalformed"),
    ] {
        let failure = read_secret(&object(Some("*"), &[("api-key", bytes)])).unwrap_err();
        assert_eq!(failure.reason(), reason);
        assert!(!failure.to_string().contains("sk-"), "{failure}");
        assert!(!format!("{failure:?}").contains("sk-"), "{failure:?}");
    }
}

#[test]
fn a_missing_object_is_withdrawn_and_an_unreadable_one_is_not() {
    let absent: BTreeMap<String, Answer<SecretObject>> =
        [("openai-key".to_owned(), Ok(None))].into();
    let failure = found(place(Kind::Secret), &absent).unwrap_err();
    assert_eq!(failure.reason(), "SecretNotFound");
    assert!(failure.is_definitive());
    assert_eq!(
        failure.to_string(),
        "Secret openai-key does not exist; create it: kubectl create secret generic openai-key -n agents --from-file=api-key=FILE"
    );

    let unreadable: BTreeMap<String, Answer<SecretObject>> = [(
        "openai-key".to_owned(),
        Err("secrets \"openai-key\" is forbidden".to_owned()),
    )]
    .into();
    let failure = found(place(Kind::Secret), &unreadable).unwrap_err();
    assert_eq!(failure.reason(), "SourceUnavailable");
    assert!(!failure.is_definitive());
}

fn config_map(text: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": "ca" }, "data": { "api-key": text } }))
        .unwrap()
}

fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["ca.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn authorities_are_certificates_and_nothing_else() {
    let (first, key) = certificate();
    let (second, _) = certificate();
    let both = format!("# the internal CA\n{first}{second}");
    assert_eq!(
        authority(place(Kind::ConfigMap), &config_map(&both)).unwrap(),
        both
    );
    for (text, problem) in [
        (String::new(), NotAuthorities::NoCertificate),
        ("hello".to_owned(), NotAuthorities::NoCertificate),
        (format!("{first}{key}"), NotAuthorities::NotOnlyCertificates),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            NotAuthorities::BadCertificate,
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(),
            NotAuthorities::BadCertificate,
        ),
    ] {
        let failure = authority(place(Kind::ConfigMap), &config_map(&text)).unwrap_err();
        assert_eq!(
            failure,
            Failure::NotAuthorities {
                place: place(Kind::ConfigMap),
                problem
            },
            "{text}"
        );
    }
}

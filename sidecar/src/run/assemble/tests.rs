//! What a folder means, and what is said where it means nothing.

use postern_crds::{Decision, Facts, Secret};

use super::*;
use crate::run::document::Documents;

const IDENTITY: &str = "
apiVersion: postern.dev/v1alpha1
kind: AgentIdentity
metadata: {name: bot, namespace: agents}
spec:
  serviceAccountNames: [bot]
  credentials:
  - {name: openai, provider: openai, source: {secret: {name: keys, key: openai}}}
  - name: vllm
    provider: vllm
    endpoint: https://vllm.models.svc:8443/v1
    tls: {caBundle: {configMap: {name: ca, key: ca.crt}}}
    source: {secret: {name: keys, key: vllm}}
---
";
const POLICY: &str = "
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: chat, namespace: agents}
spec:
  targetRefs: [{kind: AgentIdentity, name: bot}]
  rules:
  - {name: chat, to: {credentials: [openai]}, methods: [POST], paths: [/v1/chat/completions], action: Allow}
---
";
const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: agents, annotations: {postern.dev/allow-identity: 'other, bot'}}
stringData: {openai: \"sk-live\\n\", vllm: vllm-live}
---
";
const AUTHORITY: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: ca, namespace: agents}
data: {ca.crt: pem}
---
";

fn documents(texts: &[&str]) -> Vec<Document> {
    let mut documents = Documents::default();
    for (index, text) in texts.iter().enumerate() {
        documents.add(&format!("{index}.yaml"), text).unwrap();
    }
    documents.taken
}

fn assembled(texts: &[&str]) -> Assembled {
    assemble(&documents(texts), None, BTreeMap::new()).unwrap()
}

fn problems(texts: &[&str], choice: Option<&str>) -> Vec<String> {
    let violations = assemble(&documents(texts), choice, BTreeMap::new()).unwrap_err();
    violations.iter().map(ToString::to_string).collect()
}

fn given(credential: &str) -> BTreeMap<String, VersionedSecret> {
    let secret = VersionedSecret {
        value: Secret::new(b"given".to_vec()),
        version: "env/X".to_owned(),
    };
    BTreeMap::from([(credential.to_owned(), secret)])
}

#[test]
fn a_whole_folder_is_the_bundle_that_a_cluster_would_have() {
    let Assembled {
        bundle,
        routes,
        notes,
    } = assembled(&[IDENTITY, POLICY, SECRET, AUTHORITY]);
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(
        (bundle.namespace.as_str(), bundle.identity.as_str()),
        ("agents", "bot")
    );
    assert_eq!(bundle.secrets["openai"].value.expose(), b"sk-live");
    assert_eq!(bundle.authorities["vllm"], "pem");
    assert_eq!(routes.len(), 2);
    let policy = bundle.compile().unwrap().policy;
    let decide = |path| {
        policy
            .decide(&Facts::of_head("openai", "POST", path))
            .decision
    };
    assert!(matches!(decide("/v1/chat/completions"), Decision::Allow(_)));
    assert_eq!(decide("/v1/responses"), Decision::NoRule);
}

#[test]
fn only_policies_of_the_identity_and_its_namespace_apply() {
    let other = POLICY
        .replace("name: bot", "name: other")
        .replace("{name: chat, namespace", "{name: a, namespace");
    let elsewhere = POLICY.replace("namespace: agents", "namespace: elsewhere");
    let Assembled { bundle, notes, .. } =
        assembled(&[IDENTITY, POLICY, SECRET, AUTHORITY, &other, &elsewhere]);
    assert_eq!(bundle.policies.len(), 1);
    assert_eq!(notes, ["4.yaml, document 1, EgressPolicy chat is not in namespace agents, so it does not apply to AgentIdentity bot"].map(|note| note.replace("4.yaml", "5.yaml")));
}

#[test]
fn without_a_policy_it_says_that_every_call_is_denied() {
    let Assembled { notes, .. } = assembled(&[IDENTITY, SECRET, AUTHORITY]);
    assert_eq!(
        notes,
        ["every call is denied: no EgressPolicy in namespace agents targets AgentIdentity bot"]
    );
}

#[test]
fn rules_that_match_nothing_are_noted() {
    let policy = POLICY
        .replace("[openai]}, methods", "[opnai, openai]}, methods")
        .replace("/v1/chat", "/chat");
    let Assembled { notes, .. } = assembled(&[IDENTITY, &policy, SECRET, AUTHORITY]);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0]
            .starts_with("1.yaml, document 1, EgressPolicy chat: spec.rules[0].to.credentials: "),
        "{notes:?}"
    );
    assert!(notes[1].contains("spec.rules[0].paths[0]"), "{notes:?}");
}

#[test]
fn a_secret_without_consent_is_not_used_and_the_note_says_how_to_consent() {
    for annotation in [
        "{}",
        "{postern.dev/allow-identity: other}",
        "{postern.dev/allow-identity: ''}",
    ] {
        let secret = SECRET.replace("{postern.dev/allow-identity: 'other, bot'}", annotation);
        let documents = documents(&[IDENTITY, POLICY, &secret, AUTHORITY]);
        let Assembled { bundle, notes, .. } = assemble(&documents, None, given("vllm")).unwrap();
        assert!(!bundle.secrets.contains_key("openai"));
        assert!(
            bundle.secrets.contains_key("vllm"),
            "what is given by a flag needs no consent"
        );
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0].starts_with(
                "calls with credential openai are denied: 2.yaml, document 1, Secret keys does not consent to it: add bot to its annotation, \
                 as in metadata: {annotations: {postern.dev/allow-identity: bot}}"
            ),
            "{}",
            notes[0]
        );
        assert!(!format!("{notes:?}").contains("live"));
    }
}

#[test]
fn a_flag_stands_in_place_of_a_secret() {
    let documents = documents(&[IDENTITY, POLICY, SECRET, AUTHORITY]);
    let Assembled { bundle, notes, .. } = assemble(&documents, None, given("openai")).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(bundle.secrets["openai"].value.expose(), b"given");
    assert_eq!(bundle.secrets["vllm"].value.expose(), b"vllm-live");
}

#[test]
fn a_flag_for_a_credential_that_is_not_there_is_refused() {
    let documents = documents(&[IDENTITY, SECRET]);
    let violations = assemble(&documents, None, given("opnai")).unwrap_err();
    assert_eq!(
        violations[0].to_string(),
        "--credential opnai: AgentIdentity bot has no such credential; it has openai, vllm"
    );
}

#[test]
fn one_missing_secret_denies_its_calls_and_no_others() {
    let secret = SECRET.replace(", vllm: vllm-live", "");
    let Assembled { bundle, notes, .. } = assembled(&[IDENTITY, POLICY, &secret, AUTHORITY]);
    assert_eq!(bundle.secrets.len(), 1);
    assert_eq!(
        notes,
        [
            "calls with credential vllm are denied: 2.yaml, document 1, Secret keys has no key vllm; it has openai"
        ]
    );
}

#[test]
fn no_secret_at_all_is_an_error_that_names_every_source() {
    let problems = problems(&[IDENTITY, POLICY, AUTHORITY], None);
    assert_eq!(problems.len(), 2);
    assert_eq!(
        problems[1],
        "0.yaml, document 1, AgentIdentity bot: spec.credentials[1].source: Secret keys is not in these files; add it, or give it with \
         --credential vllm=env:VARIABLE or =file:PATH"
    );
}

#[test]
fn an_object_in_another_namespace_is_not_found_but_pointed_at() {
    let secret = SECRET.replace(", namespace: agents", "");
    let problems = problems(&[IDENTITY, POLICY, &secret, AUTHORITY], None);
    assert!(
        problems[0].contains(
            "Secret keys is not in these files in namespace agents (it is in default); add it"
        ),
        "{}",
        problems[0]
    );
}

#[test]
fn a_missing_authority_is_noted_and_the_public_ones_do_not_stand_in() {
    let Assembled { bundle, notes, .. } = assembled(&[IDENTITY, POLICY, SECRET]);
    assert!(bundle.authorities.is_empty());
    assert!(
        bundle.spec.credentials[1].tls.is_some(),
        "so the sidecar knows that one is missing"
    );
    assert_eq!(
        notes,
        ["calls with credential vllm are denied: ConfigMap ca is not in these files"]
    );
}

#[test]
fn an_empty_or_unfit_secret_is_noted_without_its_value() {
    let secret = SECRET.replace("vllm: vllm-live", "vllm: \"vllm\\tlive\"");
    let Assembled { notes, .. } = assembled(&[IDENTITY, POLICY, &secret, AUTHORITY]);
    assert!(notes[0].starts_with("calls with credential vllm are denied: key vllm of 2.yaml, document 1, Secret keys has a line end, tab"), "{notes:?}");
}

#[test]
fn one_identity_needs_no_choice_and_several_need_one() {
    let second = IDENTITY.replace("name: bot,", "name: second,");
    let namesake = IDENTITY.replace("namespace: agents", "namespace: elsewhere");
    assert_eq!(
        problems(&[IDENTITY, &second, SECRET], None),
        ["--identity: say which one: there are agents/bot, agents/second"]
    );
    assert_eq!(
        problems(&[IDENTITY, &second, SECRET], Some("third")),
        ["--identity third: there is no such AgentIdentity; there are agents/bot, agents/second"]
    );
    assert_eq!(
        problems(&[IDENTITY, &namesake, SECRET], Some("bot")),
        ["--identity bot: write it with its namespace: there are agents/bot, elsewhere/bot"]
    );
    assert!(
        assemble(
            &documents(&[IDENTITY, &second, SECRET]),
            Some("bot"),
            BTreeMap::new()
        )
        .is_ok()
    );
    assert!(
        assemble(
            &documents(&[IDENTITY, &namesake, SECRET]),
            Some("agents/bot"),
            BTreeMap::new()
        )
        .is_ok()
    );
    assert_eq!(
        problems(&[POLICY], None),
        ["-f: no AgentIdentity (postern.dev/v1alpha1) is in these files"]
    );
}

#[test]
fn duplicates_are_refused_and_both_are_named() {
    assert_eq!(
        problems(&[IDENTITY, SECRET, SECRET], None),
        [
            "2.yaml, document 1, Secret keys: stands there twice; the other one is 1.yaml, document 1, Secret keys"
        ]
    );
}

#[test]
fn what_was_given_must_be_of_the_kind_that_the_credential_needs() {
    let identity = IDENTITY.replace(
        "provider: openai,",
        "provider: openai, inject: {basic: {}},",
    );
    let documents = documents(&[&identity, POLICY, SECRET, AUTHORITY]);
    let giving = |value: &str| {
        let mut given = given("openai");
        given.get_mut("openai").unwrap().value = Secret::new(value.into());
        assemble(&documents, None, given)
    };
    let Assembled { bundle, .. } = giving("me:sk-live\n").unwrap();
    assert_eq!(bundle.secrets["openai"].value.expose(), b"me:sk-live");
    for (value, problem) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("me:sk\nlive", "control character"),
        ("sk-live", "has no ':'"),
    ] {
        let violations = giving(value).err().unwrap();
        let [violation] = violations.as_slice() else {
            panic!("{violations:?}");
        };
        let violation = violation.to_string();
        assert!(
            violation.starts_with("--credential openai: env/X ") && violation.contains(problem),
            "{violation}"
        );
        assert!(!violation.contains("live"), "{violation}");
    }
}

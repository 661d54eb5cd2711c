//! What is read from a text, and what is refused.

use super::*;

fn read(text: &str) -> Result<Documents, Vec<Violation>> {
    let mut documents = Documents::default();
    documents.add("agent.yaml", text).map(|()| documents)
}

fn problem(text: &str) -> String {
    let violations = read(text).unwrap_err();
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations[0].to_string()
}

const POLICY: &str = "
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: chat}
spec:
  targetRefs: [{kind: AgentIdentity, name: bot}]
  rules:
  - {name: chat, to: {credentials: [openai]}, action: Allow}
";

#[test]
fn the_clusters_other_kinds_are_counted_and_left_out() {
    let documents = read(&format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec: {{anything: [1]}}\n---\n{POLICY}\n---\napiVersion: apps/v1\nkind: Deployment\n"
    ))
    .unwrap();
    assert_eq!(documents.taken.len(), 1);
    assert_eq!(
        documents.ignored,
        BTreeMap::from([("apps/v1 Deployment".to_owned(), 2)])
    );
}

#[test]
fn a_list_is_its_items() {
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "agents"}, "data": {"ca.crt": "pem"}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "agents"}},
    ]});
    let documents = read(&list.to_string()).unwrap();
    assert_eq!(documents.taken[0].namespace, "agents");
    assert_eq!(
        documents.taken[0].at,
        "agent.yaml, document 1, item 1, ConfigMap ca"
    );
    assert_eq!(documents.ignored.len(), 1);
}

#[test]
fn what_a_cluster_wrote_into_an_object_is_no_obstacle() {
    let exported = format!(
        "{}status: {{anything: 1}}\n",
        POLICY.replace(
            "metadata: {name: chat}",
            "metadata: {name: chat, uid: u, resourceVersion: '1', managedFields: []}"
        )
    );
    assert!(read(&exported).is_ok());
}

#[test]
fn an_unknown_field_is_refused_with_its_path() {
    let text = POLICY.replace("action: Allow", "action: Allow, method: [POST]");
    assert!(
        problem(&text).starts_with(
            "agent.yaml, document 1, EgressPolicy chat: spec.rules[0].method: unknown field; there are action, methods, "
        ),
        "{}",
        problem(&text)
    );
    assert!(
        problem(&POLICY.replace(
            "metadata: {name: chat}",
            "metadata: {name: chat, annotation: {}}"
        ))
        .contains("metadata.annotation: unknown field")
    );
    assert!(
        problem(&format!("{POLICY}specs: 1\n")).contains("EgressPolicy chat: specs: unknown field")
    );
}

#[test]
fn a_misspelt_version_or_kind_of_ours_is_not_taken_for_somebody_elses() {
    for text in [
        POLICY.replace("v1alpha1", "v1"),
        POLICY.replace("postern.dev/", "posterndev/"),
        POLICY.replace("kind: EgressPolicy", "kind: EgresPolicy"),
    ] {
        assert!(
            problem(&text).contains("this version of postern knows"),
            "{}",
            problem(&text)
        );
    }
}

#[test]
fn every_broken_document_is_reported() {
    let broken = POLICY.replace("action: Allow", "action: Alow");
    let violations = read(&format!("{broken}---\n{POLICY}---\n{broken}---\n- 1\n")).unwrap_err();
    let places: Vec<&str> = violations
        .iter()
        .map(|v| v.path.split(", EgressPolicy").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "agent.yaml, document 1",
            "agent.yaml, document 3",
            "agent.yaml, document 4"
        ]
    );
}

#[test]
fn a_secret_has_data_and_string_data_and_its_owners_consent() {
    let documents = read(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: k, annotations: {postern.dev/allow-identity: bot}}\ntype: Opaque\n\
         data:\n  a: c2st\n  b: |\n    c2st\n    bGl2ZQ==\nstringData: {a: other}\n",
    )
    .unwrap();
    let Body::Secret(SecretObject { consent, data }) = &documents.taken[0].body else {
        panic!("a Secret")
    };
    assert_eq!(consent.as_deref(), Some("bot"));
    assert_eq!(data["a"].expose(), b"other");
    assert_eq!(data["b"].expose(), b"sk-live");
}

#[test]
fn a_secret_written_in_the_wrong_way_is_not_quoted() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: k}\n";
    let identity = "apiVersion: postern.dev/v1alpha1\nkind: AgentIdentity\nmetadata: {name: bot}\nspec:\n  serviceAccountNames: [bot]\n  credentials:\n";
    for text in [
        format!("{secret}data: {{key: sk-live}}\n"),
        format!("{secret}data: sk-live\n"),
        format!("{secret}stringData: {{key: [sk-live]}}\n"),
        format!("{secret}stringData: [sk-live]\n"),
        format!("{secret}stringData:\n  key: \"sk-live\n"),
        format!("{identity}  - {{name: openai, provider: openai, source: sk-live}}\n"),
        format!("{identity}  - {{name: openai, provider: openai, source: {{secret: sk-live}}}}\n"),
        format!(
            "{identity}  - {{name: openai, provider: openai, source: {{secret: [\"a, expected\", sk-live]}}}}\n"
        ),
    ] {
        let problem = problem(&text);
        assert!(!problem.contains("sk-live"), "{problem}");
    }
    let number = problem(&format!("{secret}stringData: {{key: 48151623}}\n"));
    assert_eq!(
        number,
        "agent.yaml, document 1, Secret k: stringData[\"key\"]: must be a string: put it in quotes"
    );
}

/// The cases of which a real API server gave its opinion: `crds/tests/admit`.
#[test]
fn a_file_is_taken_exactly_when_a_cluster_takes_it() {
    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        expect: String,
        resource: serde_json::Value,
    }
    let mut checked = 0;
    for file in ["agentidentity.yaml", "egresspolicy.yaml"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../crds/tests/admit")
            .join(file);
        let cases: Vec<Case> = yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for Case {
            name,
            expect,
            resource,
        } in cases
        {
            let taken = read(&resource.to_string());
            assert_eq!(taken.is_ok(), expect == "accept", "{name}: {taken:?}");
            checked += 1;
        }
    }
    assert!(checked > 50, "the cases are where they were");
}

#[test]
fn every_mistake_of_a_resource_is_reported_at_once_with_its_place() {
    let policy = POLICY.replace("name: chat}", "name: Chat}").replace(
        "action: Allow",
        "action: Allow, methods: [post, POST, POST], paths: [v1/chat, /v1/a?b], colour: 1",
    );
    let violations = read(&policy).unwrap_err();
    let places: Vec<&str> = violations
        .iter()
        .map(|violation| violation.path.split(": ").nth(1).unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "metadata.name",
            "spec.rules[0].methods[0]",
            "spec.rules[0].paths[0]",
            "spec.rules[0].paths[1]",
            "spec.rules[0].colour",
            "spec.rules[0].methods[2]",
        ],
        "{violations:?}"
    );
}

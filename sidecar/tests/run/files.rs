//! The files: a cluster's own, unchanged, and what is said where they cannot be used.

use tokio::process::Command;

use crate::support::{CALL, Folder, KEY, Protocol, Run, Upstream};

/// Says that it ran.
const RAN: &[&str] = &["echo", "it ran"];

#[tokio::test]
async fn other_kinds_of_a_clusters_files_are_named_and_ignored() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream).run().command(RAN).await;
    assert_eq!(outcome.stdout, "it ran\n");
    assert!(
        outcome
            .stderr
            .starts_with("postern: ignored in these files: 1 apps/v1 Deployment, 1 v1 Namespace\n"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn files_come_from_standard_input_too() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let texts = ["agent.yaml", "ca.json", "secret.yaml"]
        .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["run", "-f", "-"]);
    let outcome = Run::of(command)
        .with_input(
            &texts.join("\n---\n"),
            &["python3", "-c", CALL, "/chat/completions"],
        )
        .await;
    assert_eq!(outcome.stdout, "200 {\"ok\":true}\n", "{outcome:?}");
}

#[tokio::test]
async fn every_mistake_is_shown_at_once_and_nothing_is_started() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    folder.write(
        "mistakes.yaml",
        "apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {name: wrong, namespace: agents}\nspec:\n  targetRefs: [{kind: AgentIdentity, name: bot}]\n  \
         rules:\n  - {name: a, to: {credentials: [openai]}, methods: [post], paths: [v1/chat], action: Alow}\n",
    );
    folder.write("broken.yaml", "a: [\n");
    let outcome = folder
        .run()
        .args(&["--credential", "openai=env:ABSENT"])
        .command(RAN)
        .await;
    assert_eq!(outcome.code(), Some(125));
    assert_eq!(outcome.stdout, "");
    for mistake in [
        "--credential openai: the environment has no variable ABSENT",
        "broken.yaml:",
        "mistakes.yaml, document 1, EgressPolicy wrong: spec.rules[0].methods[0]: ",
        "mistakes.yaml, document 1, EgressPolicy wrong: spec.rules[0].action: must be one of Allow, Deny",
    ] {
        assert!(
            outcome.stderr.contains(mistake),
            "{mistake}: {}",
            outcome.stderr
        );
    }
}

#[tokio::test]
async fn a_secret_without_its_owners_consent_is_not_used() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let secret = std::fs::read_to_string(folder.path().join("secret.yaml")).unwrap();
    folder.write(
        "secret.yaml",
        &secret.replace("allow-identity: bot", "allow-identity: other"),
    );
    let outcome = folder.run().command(RAN).await;
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(125), ""));
    assert!(outcome.stderr.contains("add bot to its annotation, as in metadata: {annotations: {postern.dev/allow-identity: bot}}"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains(KEY));
}

#[tokio::test]
async fn calls_with_a_credential_without_a_key_are_denied_and_others_are_not() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let agent = std::fs::read_to_string(folder.path().join("agent.yaml")).unwrap();
    let agent = agent.replace("  credentials:\n", "  credentials:\n  - {name: claude, provider: anthropic, source: {secret: {name: absent, key: k}}}\n");
    folder.write(
        "agent.yaml",
        &agent
            .replace("{credentials: [openai]}", "{credentials: [openai, claude]}")
            .replace("paths: [/v1/chat/completions], ", ""),
    );
    let outcome = folder.run().python(CALL, &["/chat/completions"]).await;
    assert_eq!(outcome.stdout, "200 {\"ok\":true}\n", "{outcome:?}");
    assert!(
        outcome.stderr.contains(
            "note: calls with credential claude are denied: Secret absent is not in these files"
        ),
        "{}",
        outcome.stderr
    );

    let claude = CALL
        .replace("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL")
        .replace("OPENAI_API_KEY", "ANTHROPIC_API_KEY");
    let outcome = folder.run().python(&claude, &["/v1/messages"]).await;
    assert!(outcome.stdout.starts_with("403 "), "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("denied 1x: POST /v1/messages with claude: credential_missing"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn a_key_on_the_command_line_is_refused_and_not_repeated() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream)
        .run()
        .args(&["--credential", &format!("openai={KEY}")])
        .command(RAN)
        .await;
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(125), ""));
    assert!(
        outcome.stderr.contains("a key itself is not taken here"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
}

#[tokio::test]
async fn a_broken_secret_file_is_located_and_not_shown() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    folder.write(
        "secret.yaml",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: k}}\nstringData:\n  api-key: \"{KEY}\n"
        ),
    );
    let outcome = folder.run().command(RAN).await;
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(125), ""));
    assert!(
        outcome.stderr.contains("secret.yaml:5:"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
}

//! The program's environment, and what it can learn of ours.

use std::collections::BTreeMap;

use crate::support::{CALL, Folder, KEY, Outcome, Protocol, Upstream};

/// Prints its environment as JSON.
const PRINT: &str = "import json, os; print(json.dumps(dict(os.environ)))";

fn variables(outcome: &Outcome) -> BTreeMap<String, String> {
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[tokio::test]
async fn a_key_from_a_variable_is_used_and_the_program_does_not_inherit_it() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    for name in ["MY_KEY", "OPENAI_API_KEY"] {
        let folder = Folder::of(&upstream).without_secret();
        let run = || {
            folder
                .run()
                .env(name, KEY)
                .env("COPY_OF_IT", &format!("x{KEY}x"))
                .args(&["--credential", &format!("openai=env:{name}")])
        };
        let outcome = run().python(PRINT, &[]).await;
        assert!(!outcome.stdout.contains(KEY), "{}", outcome.stdout);
        assert!(!outcome.stderr.contains(KEY), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("note: COPY_OF_IT is not passed on"),
            "{}",
            outcome.stderr
        );
        let variables = variables(&outcome);
        assert!(!variables.contains_key("MY_KEY"));
        assert!(variables["OPENAI_API_KEY"].starts_with("sk-proj-postern-"));

        let outcome = run().python(CALL, &["/chat/completions"]).await;
        assert_eq!(outcome.stdout, "200 {\"ok\":true}\n", "{outcome:?}");
    }
    for seen in upstream.seen() {
        assert_eq!(
            seen.header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
    }
}

#[tokio::test]
async fn a_key_from_a_file_is_used_without_its_line_end() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream).without_secret();
    let key = folder.write("key.txt", &format!("{KEY}\n"));
    let outcome = folder
        .run()
        .args(&["--credential", &format!("openai=file:{}", key.display())])
        .python(CALL, &["/chat/completions"])
        .await;
    assert_eq!(outcome.stdout, "200 {\"ok\":true}\n", "{outcome:?}");
    assert_eq!(
        upstream.saw_one().header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
}

#[tokio::test]
async fn the_program_cannot_read_the_key_from_our_process() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream).without_secret();
    let program = r#"
import os
for name in ["environ", "mem", "maps"]:
    try:
        open(f"/proc/{os.getppid()}/{name}", "rb").read(1)
        print(name, "can be read")
    except PermissionError:
        print(name, "is refused")
print("our own", open("/proc/self/environ", "rb").read(1).decode())
"#;
    let outcome = folder
        .run()
        .by_nobody()
        .env("MY_KEY", KEY)
        .args(&["--credential", "openai=env:MY_KEY"])
        .python(program, &[])
        .await;
    assert!(
        outcome
            .stdout
            .starts_with("environ is refused\nmem is refused\nmaps is refused\nour own "),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_stands_in_the_environment_already_is_treated_as_in_a_pod() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream)
        .run()
        .env("OPENAI_API_KEY", "sk-of-the-user")
        .env("OPENAI_BASE_URL", "https://gateway.example/v1")
        .env("ANTHROPIC_API_KEY", "sk-ant-of-the-user")
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .python(PRINT, &[])
        .await;
    let variables = variables(&outcome);
    assert!(variables["OPENAI_API_KEY"].starts_with("sk-proj-postern-"));
    assert_eq!(variables["OPENAI_BASE_URL"], "https://gateway.example/v1");
    assert_eq!(variables["NO_PROXY"], "127.0.0.1");
    for note in [
        "note: OPENAI_API_KEY of your environment is hidden from the program",
        "note: OPENAI_BASE_URL of your environment leads past postern and is kept, as in a pod; unset it, or set it to http://127.0.0.1:",
        "no credential for them: ANTHROPIC_API_KEY",
    ] {
        assert!(outcome.stderr.contains(note), "{note}: {}", outcome.stderr);
    }
    assert!(
        !outcome.stderr.contains("of-the-user"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test]
async fn a_proxy_of_the_laptop_is_not_asked() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    // Nothing listens there.
    let outcome = Folder::of(&upstream)
        .run()
        .env("http_proxy", "http://127.0.0.1:9")
        .python(CALL, &["/chat/completions"])
        .await;
    assert_eq!(outcome.stdout, "200 {\"ok\":true}\n", "{outcome:?}");
}

#[tokio::test]
async fn the_program_reads_our_standard_input() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let outcome = Folder::of(&upstream)
        .run()
        .with_input("typed\n", &["cat"])
        .await;
    assert_eq!(outcome.stdout, "typed\n", "{outcome:?}");
}

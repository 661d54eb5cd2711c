//! The exit code: the program's own, or one that says why there is none.

use std::process::Command;

use crate::support::{Folder, Protocol, Upstream};

#[tokio::test]
async fn the_exit_code_is_the_programs() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    for (program, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let outcome = folder.run().command(&["sh", "-c", program]).await;
        assert_eq!(outcome.code(), Some(code), "{program}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_told_as_env_tells_it() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let folder = Folder::of(&upstream);
    let file = folder.write("no-program", "text");
    for (program, code) in [
        ("/does/not/exist", 127),
        ("no-such-program-anywhere", 127),
        (file.to_str().unwrap(), 126),
    ] {
        let outcome = folder.run().command(&[program]).await;
        assert_eq!(outcome.code(), Some(code), "{outcome:?}");
        assert!(
            outcome
                .stderr
                .contains(&format!("postern: {program} cannot be started: ")),
            "{}",
            outcome.stderr
        );
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_of_ours() {
    let upstream = Upstream::ok(Protocol::Http1).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let outcome = Folder::of(&upstream)
        .run()
        .args(&["--port", &port])
        .command(&["echo", "it ran"])
        .await;
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (Some(125), ""));
    assert!(
        outcome
            .stderr
            .contains(&format!("cannot listen on 127.0.0.1:{port}: ")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn help_teaches_with_an_example_that_works() {
    let output = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["run", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for part in [
        "postern run -f policy/ --credential openai=env:OPENAI_API_KEY -- python agent.py",
        "allow-identity",
        "125",
        "--summary",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    let (_, rest) = help
        .split_once("policy/agent.yaml, the same file as in the cluster:\n")
        .unwrap();
    let example: String = rest
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.get(4..).unwrap_or_default()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("agent.yaml"), example).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["run", "-f"])
        .arg(folder.path())
        .args(["--credential", "openai=env:KEY", "--", "true"])
        .env("KEY", "k")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("default/support-bot at http://127.0.0.1:"),
        "{stderr}"
    );
    assert!(!stderr.contains("note:"), "{stderr}");
}

#[test]
fn a_call_without_a_program_or_files_is_refused() {
    for args in [&["run", "-f", "x"][..], &["run", "--", "true"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(args)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}

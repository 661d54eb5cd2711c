//! A folder with an agent's policy and cases, and the program started on it.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// An identity with `openai`, one small model that it may use, and files that it may not touch.
pub(crate) const POLICY: &str = r#"
apiVersion: postern.dev/v1alpha1
kind: AgentIdentity
metadata: {name: bot}
spec:
  serviceAccountNames: [bot]
  credentials:
  - {name: openai, provider: openai, source: {secret: {name: key, key: key}}}
---
apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: chat}
spec:
  targetRefs: [{kind: AgentIdentity, name: bot}]
  rules:
  - {name: small, to: {credentials: [openai]}, operations: [chat], models: [gpt-4o-mini], action: Allow}
  - {name: no-files, to: {credentials: [openai]}, paths: ["/v1/files/**"], action: Deny}
"#;

/// A folder.
pub(crate) struct Folder(tempfile::TempDir);

/// What came of a call of the program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    /// With `policy` in `policy/`.
    pub(crate) fn of(policy: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("policy/agent.yaml", policy);
        folder
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// `postern policy` with these arguments, in the folder and with nothing in its environment.
    pub(crate) fn ask(&self, arguments: &[&str], input: &str) -> Outcome {
        ask_in(self.0.path(), arguments, input)
    }

    /// `postern policy test -f policy` with these cases.
    pub(crate) fn test(&self, cases: &str) -> Outcome {
        self.write("cases/cases.yaml", cases);
        self.ask(&["test", "-f", "policy", "cases"], "")
    }

    /// `postern policy explain -f policy --credential openai` with these arguments.
    pub(crate) fn explain(&self, arguments: &[&str]) -> Outcome {
        let all = [
            &["explain", "-f", "policy", "--credential", "openai"],
            arguments,
        ];
        self.ask(&all.concat(), "")
    }
}

fn ask_in(directory: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
        .arg("policy")
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // One that does not read it may have ended already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

//! What the tests are written in: a folder of policy files, the program started on it, and an upstream.

#[path = "../it/support/program.rs"]
mod program;
#[expect(dead_code, reason = "these tests need less of it than those of `it`")]
#[path = "../it/support/upstream.rs"]
mod upstream;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use program::program_in;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
pub(crate) use upstream::{Protocol, Upstream, full};

/// The key that no program may see.
pub(crate) const KEY: &str = "sk-live-4f1c2b7a9d";

/// How long anything in a test may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that makes one call as OpenAI's client does, to the path in its first argument, and prints the status and the answer.
pub(crate) const CALL: &str = r#"
import os, sys, urllib.request, urllib.error
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + sys.argv[1],
    data=b'{"model":"gpt-4o-mini"}',
    headers={"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"},
)
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"#;

/// A folder of policy files.
pub(crate) struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    /// An identity whose credential `openai` goes to `upstream`, trusted by a ConfigMap and with its key in a Secret; a policy that allows
    /// chat; and what else stands in a cluster's files.
    pub(crate) fn of(upstream: &Upstream) -> Self {
        let folder = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        // The program runs as another user where the tests run as root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder.write(
            "agent.yaml",
            &format!(
                "apiVersion: v1\nkind: Namespace\nmetadata: {{name: agents}}\n---\n\
                 apiVersion: postern.dev/v1alpha1\nkind: AgentIdentity\nmetadata: {{name: bot, namespace: agents}}\nspec:\n  \
                 serviceAccountNames: [bot]\n  credentials:\n  - name: openai\n    provider: openai\n    endpoint: {}\n    \
                 tls: {{caBundle: {{configMap: {{name: ca, key: ca.crt}}}}}}\n    source: {{secret: {{name: openai-key, key: api-key}}}}\n---\n\
                 apiVersion: postern.dev/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: chat, namespace: agents}}\nspec:\n  \
                 targetRefs: [{{kind: AgentIdentity, name: bot}}]\n  rules:\n  \
                 - {{name: chat, to: {{credentials: [openai]}}, methods: [POST], paths: [/v1/chat/completions], action: Allow}}\n---\n\
                 apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: bot}}\nspec: {{}}\n",
                upstream.endpoint()
            ),
        );
        let authority = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "agents"}, "data": {"ca.crt": upstream.authority.pem()},
        });
        folder.write("ca.json", &authority.to_string());
        folder.write(
            "secret.yaml",
            &format!(
                "apiVersion: v1\nkind: Secret\nmetadata:\n  name: openai-key\n  namespace: agents\n  annotations: {{postern.dev/allow-identity: bot}}\n\
                 stringData: {{api-key: {KEY}}}\n"
            ),
        );
        folder
    }

    /// Without the Secret.
    pub(crate) fn without_secret(self) -> Self {
        fs::remove_file(self.path().join("secret.yaml")).unwrap();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that everybody may read, and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        file
    }

    /// `postern run -f FOLDER`, to be completed.
    pub(crate) fn run(&self) -> Run {
        let mut command = Command::new(program_in(self.path()));
        command.args(["run", "-f"]).arg(self.path());
        Run::of(command)
    }
}

/// A call of `postern run`.
pub(crate) struct Run(Command);

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One that is not at its end.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdout: Lines<BufReader<ChildStdout>>,
}

impl Run {
    /// `command`, with an environment that has nothing but a path.
    pub(crate) fn of(mut command: Command) -> Self {
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Self(command)
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// As an ordinary user: root could read every process.
    pub(crate) fn by_nobody(mut self) -> Self {
        if rustix::process::geteuid().is_root() {
            self.0.uid(65534).gid(65534);
        }
        self
    }

    /// Runs `-- command` to its end.
    pub(crate) async fn command(self, command: &[&str]) -> Outcome {
        self.args(&["--"]).args(command).end().await
    }

    /// Runs a Python program to its end.
    pub(crate) async fn python(self, program: &str, arguments: &[&str]) -> Outcome {
        self.args(&["--", "python3", "-c", program])
            .args(arguments)
            .end()
            .await
    }

    /// Runs it to its end with `input` on standard input.
    pub(crate) async fn with_input(mut self, input: &str, command: &[&str]) -> Outcome {
        self.0.stdin(Stdio::piped());
        let mut child = self.args(&["--"]).args(command).0.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .await
            .unwrap();
        soon("the program ended", Outcome::of(child)).await
    }

    /// Runs it as it is to its end.
    pub(crate) async fn end(mut self) -> Outcome {
        let child = self.0.spawn().unwrap();
        soon("the program ended", Outcome::of(child)).await
    }

    /// Starts a Python program that goes on.
    pub(crate) fn start(mut self, program: &str) -> Running {
        self = self.args(&["--", "python3", "-c", program]);
        let mut child = self.0.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, stdout }
    }
}

impl Running {
    /// The next line of standard output.
    pub(crate) async fn line(&mut self) -> String {
        soon("the program wrote a line", self.stdout.next_line())
            .await
            .unwrap()
            .unwrap()
    }

    /// Sends a signal to postern alone.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Its end: the exit code, and what else it wrote.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let status = soon("the program ended", self.child.wait()).await.unwrap();
        let mut stderr = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .await
            .unwrap();
        (status.code(), stderr)
    }
}

impl Outcome {
    async fn of(child: Child) -> Self {
        let output = child.wait_with_output().await.unwrap();
        Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("it never happened that {what}"),
    }
}

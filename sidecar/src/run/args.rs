//! The flags of `postern run`.

use std::{ffi::OsString, path::PathBuf};

use super::summary::Format;
use crate::config::LogLevel;

/// Shown after the flags by `postern run --help`.
const AFTER_HELP: &str = "\
EXAMPLE
  policy/agent.yaml, the same file as in the cluster:

    apiVersion: postern.dev/v1alpha1
    kind: AgentIdentity
    metadata: {name: support-bot}
    spec:
      serviceAccountNames: [support-bot]
      credentials:
      - name: openai
        provider: openai
        source: {secret: {name: openai-key, key: api-key}}
    ---
    apiVersion: postern.dev/v1alpha1
    kind: EgressPolicy
    metadata: {name: cheap-chat}
    spec:
      targetRefs: [{kind: AgentIdentity, name: support-bot}]
      rules:
      - name: chat
        to: {credentials: [openai]}
        methods: [POST]
        paths: [/v1/chat/completions]
        action: Allow

  The key is in a file of yours, outside of the folder:

    postern run -f policy/ --credential openai=file:$HOME/.secrets/openai -- python agent.py

  or in a variable of your environment, which the program then does not inherit:

    postern run -f policy/ --credential openai=env:OPENAI_API_KEY -- python agent.py

  agent.py finds OPENAI_BASE_URL=http://127.0.0.1:PORT/openai/v1 and a placeholder in
  OPENAI_API_KEY. At its end you see:

    postern: default/support-bot made 3 calls: 2 allowed, 1 denied, 0 failed upstream
      openai: 2 allowed, 1 denied
      denied 1x: POST /v1/responses with openai: no rule allows it
        to allow it, add to the rules of an EgressPolicy: {name: NAME, to: ...

WHERE KEYS COME FROM
  From --credential, or from a document `kind: Secret` in the files whose annotation
  postern.dev/allow-identity names the identity, as in a cluster. While at least one credential has
  a key, calls with one that has none are denied, and a note says why. Files and keys are read
  once, at the start.

THE PROGRAM'S ENVIRONMENT
  Yours, with the addresses and placeholder keys of the providers. A provider's key of yours is
  replaced by a placeholder. An address of yours is kept, as in a pod, and reported when it leads
  past postern. A variable that holds one of the keys is left out.

WHAT IT PROTECTS AGAINST, AND WHAT NOT
  The program does not hold the keys: what it logs, sends or is talked into showing has none of
  them, and through postern it makes only the calls that the policy allows. No other process of
  yours can read postern's memory or environment. But the program runs as you: it can read your
  files, so also a file or an .env with a key, and it can reach the network around postern, then
  without a key. Whoever else on this machine finds the port can make the allowed calls while the
  program runs. In a pod, where only the pod reaches the port and the keys are in no file of the
  program's, these gaps are closed.

SIGNALS AND EXIT CODE
  Signals are passed on. postern ends when the program does, with its exit code, or 128 and the
  number of the signal that ended it. 2: wrong flags. 125: the files or keys cannot be used, or the
  proxy cannot start. 126: the program cannot be executed. 127: it was not found.";

/// Run a program on this machine as a pod in the cluster would run it
///
/// Reads the cluster's own policy files, holds the keys, and starts a program whose calls to its providers come by here: each is decided by
/// the policy, and those that are allowed are sent with the real key. When the program ends, a summary on standard error tells what was
/// allowed and what was denied.
#[derive(clap::Args, Debug)]
#[command(after_long_help = AFTER_HELP)]
pub struct Args {
    /// File or folder with AgentIdentity, EgressPolicy, Secret and ConfigMap documents; other kinds are ignored; `-` is standard input
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(super) filenames: Vec<PathBuf>,

    /// The AgentIdentity to run as, NAME or NAMESPACE/NAME; needed only where the files have more than one
    #[arg(long, value_name = "NAME")]
    pub(super) identity: Option<String>,

    /// Take a credential's key from a variable of your environment or from a file: NAME=env:VARIABLE or NAME=file:PATH
    #[arg(long = "credential", value_name = "NAME=SOURCE")]
    pub(super) credentials: Vec<String>,

    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(super) port: u16,

    /// How to tell at the end what happened, on standard error
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) summary: Format,

    /// Least severe messages that are logged on standard error; requests are logged at `info`
    #[arg(long, value_enum, default_value_t = LogLevel::Warn)]
    pub(super) log_level: LogLevel,

    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

//! The flags of `postern policy`.

use std::path::PathBuf;

/// Shown after the flags by `postern policy test --help`.
const AFTER_TEST_HELP: &str = "\
EXAMPLE
  policy/ is the folder that `postern run -f policy/` and the cluster take. cases/openai.yaml:

    - name: the small model answers
      request: POST /openai/v1/chat/completions
      body: {model: gpt-4o-mini, messages: [{role: user, content: hi}]}
      expect: Allow cheap-chat/small

    - name: a larger one does not
      request: POST /openai/v1/chat/completions
      body: {model: gpt-4o, messages: [{role: user, content: hi}]}
      expect: no_rule

    - name: files are nobody's business
      request: {credential: openai, method: DELETE, path: /v1/files/abc, headers: {user-agent: me}}
      expect: Deny
      rule: cheap-chat/no-files

    postern policy test -f policy/ cases/

THE CASES
  name      What the case says.
  request   METHOD /CREDENTIAL/PATH, as a program sends it to postern; or a mapping with credential,
            method, path, headers and body.
  headers   A mapping, or a list of \"name: value\". A body without a content-type counts as JSON.
  body      A text, which is sent as it stands, or anything else in YAML, which is sent as JSON.
  expect    Allow, Deny or Unenforced (every policy only observes), with the rule behind it if you
            like; or the reason of a denial, as in no_rule, denied_by_rule or body_invalid.
  rule      The rule that decides: POLICY/RULE, or RULE alone.
  reason    The reason of a denial. With Unenforced, the one that there would be, or allowed.

WHAT IS TESTED
  Paths, bodies and rules are read by the very functions that the proxy uses, so what is said here
  is what happens there. Beside every case that is allowed, write its nearest one that is not.
  Limits are not part of it, since they depend on the calls before; nor are keys, certificates and
  addresses. No key is needed, and nothing is called.

EXIT CODE
  0: all as expected. 1: some case is not. 2: wrong flags. 125: the files cannot be used; every
  problem is named.";

/// Shown after the flags by `postern policy explain --help`.
const AFTER_EXPLAIN_HELP: &str = "\
EXAMPLE
    postern policy explain -f policy/ --credential openai --path /v1/chat/completions \\
      --body '{\"model\": \"gpt-4o\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}'

  prints what the policy can know of the call (its operation, models, tools, tokens and cost), the
  decision, and for every rule whether it matches, or which of its members does not and why.

  Limits are not part of it, since they depend on the calls before. No key is needed, and nothing is
  called. What a call costs is the most it can cost by the price table.

EXIT CODE
  0: the question was answered, whatever the answer. 2: wrong flags. 125: the files or the request
  cannot be used; every problem is named.";

/// Ask policy files what they decide, before a cluster does
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(clap::Subcommand, Debug)]
pub(super) enum Command {
    /// Compare what is decided with a table of cases
    ///
    /// Every case is a request and what is to become of it. For one that is decided otherwise, every rule that concerns it says why.
    #[command(after_long_help = AFTER_TEST_HELP)]
    Test(TestArgs),
    /// Say of one request what is known of it, what is decided, and what every rule makes of it
    #[command(after_long_help = AFTER_EXPLAIN_HELP)]
    Explain(ExplainArgs),
}

/// Which policies are asked.
#[derive(clap::Args, Debug)]
pub(super) struct Files {
    /// File or folder with AgentIdentity and EgressPolicy documents; other kinds are ignored; `-` is standard input
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    pub(super) filenames: Vec<PathBuf>,

    /// The AgentIdentity that calls, NAME or NAMESPACE/NAME; needed only where the files have more than one
    #[arg(long, value_name = "NAME")]
    pub(super) identity: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(super) struct TestArgs {
    #[command(flatten)]
    pub(super) files: Files,

    /// File or folder with cases
    #[arg(value_name = "CASES", required = true)]
    pub(super) cases: Vec<PathBuf>,
}

#[derive(clap::Args, Debug)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    pub(super) files: Files,

    /// The credential that the call goes to, which is the first segment of its path
    #[arg(long, value_name = "NAME")]
    pub(super) credential: String,

    /// Its method
    #[arg(long, default_value = "POST")]
    pub(super) method: String,

    /// Its path behind the credential, and its query
    #[arg(long, value_name = "PATH")]
    pub(super) path: String,

    /// A header; a body without a content-type counts as JSON
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,

    /// Its body: a text, @FILE, or - for standard input
    #[arg(long, value_name = "BODY", allow_hyphen_values = true)]
    pub(super) body: Option<String>,
}

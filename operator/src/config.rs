//! The command line and environment of both roles, parsed into real types once.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::sidecar::SidecarArgs;

/// Puts a layer-7 gateway in front of LangChain pods, so that the application never holds a key.
#[derive(Parser, Clone, Debug)]
#[command(name = "postern-operator", version)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub enum Cli {
    /// A role, which runs until it is told to stop.
    #[command(flatten)]
    Run(Role),
    /// Asks the API server, by dry run, whether an annotated pod would get its sidecar. `helm test` runs this.
    Check(CheckArgs),
}

/// What a process does that goes on. Both roles come from one image, so that they agree on what they inject.
#[derive(Subcommand, Clone, Debug)]
pub enum Role {
    /// Turns identities and policies into the bundles that sidecars read. Several replicas elect one that works.
    Controller(ControllerArgs),
    /// Puts the sidecar into annotated pods. Every replica works.
    Webhook(WebhookArgs),
}

impl Role {
    /// The flags that both roles have.
    pub fn common(&self) -> &CommonArgs {
        match self {
            Self::Controller(args) => &args.common,
            Self::Webhook(args) => &args.common,
        }
    }

    /// The role's name, as in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Controller(_) => "controller",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// Flags of both roles.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// Least severe level that is logged: `error`, `warn`, `info`, `debug`, or directives like `postern_operator=debug,kube=info`.
    #[arg(long, env = "POSTERN_LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// How a log line looks.
    #[arg(long, env = "POSTERN_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
    /// The release namespace: where the Lease and the webhook's certificate authority live.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
    /// Name of this pod: the holder of the Lease, and the reporter of Events.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,
    /// Where `/livez`, `/readyz` and `/metrics` are served over plain HTTP.
    #[arg(long, env = "POSTERN_ADMIN_ADDRESS", default_value = "[::]:8080")]
    pub admin_address: SocketAddr,
    /// Namespaces to watch, repeated or comma-separated. Absent: all of them.
    #[arg(
        long = "watch-namespace",
        env = "POSTERN_WATCH_NAMESPACE",
        value_delimiter = ','
    )]
    pub watch_namespaces: Vec<String>,
}

/// How a log line looks.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Flags of `controller`.
#[derive(Args, Clone, Debug)]
pub struct ControllerArgs {
    /// Flags of both roles.
    #[command(flatten)]
    pub common: CommonArgs,
    /// What the webhook injects: the controller must be given the same, to tell which pods are outdated.
    #[command(flatten)]
    pub sidecar: SidecarArgs,
    /// The Lease that elects one of the replicas.
    #[arg(long, env = "POSTERN_LEASE_NAME", default_value = "postern-controller")]
    pub lease_name: String,
    /// The service account of this pod, of which tokens are asked for where a store wants one.
    #[arg(long, env = "POD_SERVICE_ACCOUNT")]
    pub service_account: Option<String>,
    /// Whether secrets are read from `CredentialStore`s, and their status is written: by one operator of the cluster only.
    #[arg(long, env = "POSTERN_STORES", default_value_t = true, action = ArgAction::Set)]
    pub stores: bool,
    /// Where sidecars fetch new bundles.
    #[command(flatten)]
    pub fetch: FetchArgs,
}

/// Flags of `controller` for identities with `delivery.nudge`.
#[derive(Args, Clone, Debug)]
pub struct FetchArgs {
    /// Where bundles are served to sidecars over TLS.
    #[arg(long, env = "POSTERN_BUNDLE_LISTEN", default_value = "[::]:10251")]
    pub bundle_listen: SocketAddr,
    /// The Service, in the release namespace, by which sidecars reach this process at port 443. Absent: none are served, and `delivery.nudge` has no effect.
    #[arg(long, env = "POSTERN_BUNDLE_SERVICE")]
    pub bundle_service: Option<String>,
    /// The Secret, in the release namespace, that holds the certificate authority for it.
    #[arg(
        long,
        env = "POSTERN_BUNDLE_CA_SECRET",
        default_value = "postern-controller-ca"
    )]
    pub bundle_ca_secret: String,
}

/// Flags of `webhook`.
#[derive(Args, Clone, Debug)]
pub struct WebhookArgs {
    /// Flags of both roles.
    #[command(flatten)]
    pub common: CommonArgs,
    /// What is injected.
    #[command(flatten)]
    pub sidecar: SidecarArgs,
    /// Where `POST /inject` is served over TLS, and `POST /v1/stores/NAME/refresh` with `--events-token-file`.
    #[arg(long, env = "POSTERN_LISTEN", default_value = "[::]:10250")]
    pub listen: SocketAddr,
    /// The `MutatingWebhookConfiguration` whose webhook `inject.postern.dev` gets our `caBundle`.
    #[arg(long, env = "POSTERN_WEBHOOK_CONFIGURATION")]
    pub webhook_configuration: String,
    /// The Service by which the API server reaches this process.
    #[arg(long, env = "POSTERN_WEBHOOK_SERVICE")]
    pub webhook_service: String,
    /// Where the serving certificate comes from.
    #[arg(long, env = "POSTERN_CERTIFICATES", default_value = "self")]
    pub certificates: Certificates,
    /// With `--certificates self`: the Secret that holds the certificate authority.
    #[arg(long, env = "POSTERN_CA_SECRET", default_value = "postern-webhook-ca")]
    pub ca_secret: String,
    /// With `--certificates files`: the directory with `tls.crt` and `tls.key`.
    #[arg(
        long,
        env = "POSTERN_CERTIFICATE_DIR",
        required_if_eq("certificates", "files")
    )]
    pub certificate_dir: Option<PathBuf>,
    /// File with the tokens, one a line, by which `POST /v1/stores/NAME/refresh` is asked for, as by an event of a store. Absent: nobody may ask.
    #[arg(long, env = "POSTERN_EVENTS_TOKEN_FILE")]
    pub events_token_file: Option<PathBuf>,
}

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// A namespace whose pods are injected.
    #[arg(long, env = "POSTERN_NAMESPACE")]
    pub namespace: String,
    /// How many seconds a webhook that has just been installed gets to answer.
    #[arg(long, env = "POSTERN_TIMEOUT_SECONDS", default_value = "60")]
    pub timeout_seconds: u64,
}

/// Where the webhook's serving certificate comes from.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// From an authority of our own, kept in a Secret; each replica signs its own leaf in memory.
    #[value(name = "self")]
    Own,
    /// From files, as cert-manager writes them. The `caBundle` is then cert-manager's to set.
    Files,
}

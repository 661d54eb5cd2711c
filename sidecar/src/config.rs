//! What a run of the sidecar is given. What can change while it runs is in the bundle and not here.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use postern_crds::{
    Bundle, interval,
    names::{BUNDLE_DIR, DATA_PORT, TOKEN_DIR, TOKEN_FILE},
};

use crate::access::Observer;

/// Everything that [`App::bind`](crate::App::bind) needs.
pub struct Config {
    /// Data addresses; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Address of `/livez`, `/readyz` and `/metrics`, if there is to be one.
    pub admin: Option<SocketAddr>,
    /// Where the bundle comes from.
    pub source: Source,
    /// The pod's token, which the operator is shown when a newer bundle is fetched from it. Without one, none is.
    pub token: Option<PathBuf>,
    /// How long requests may take to end after a stop.
    pub drain_timeout: Duration,
    /// The cluster's API, to which no name may lead.
    pub cluster_api: Vec<ApiHost>,
    /// Connections of the application at a time.
    pub max_connections: usize,
    /// From the first byte of a request's head to its last.
    pub head_timeout: Duration,
    /// Name, TCP and TLS of an upstream connection together.
    pub connect_timeout: Duration,
    /// Name of the pod, for rules; empty on a laptop.
    pub pod: String,
    /// Is told of every request at its end.
    pub observer: Option<Observer>,
}

/// Where the bundle comes from.
pub enum Source {
    /// A directory that is watched, as the kubelet mounts a Secret.
    Directory(PathBuf),
    /// One that stays as it is.
    Fixed(Box<Bundle>),
}

/// One host of the cluster's API. The kubelet sets an address; some providers put a name in its place, as AKS does for pods with the annotation
/// `kubernetes.azure.com/set-kube-service-host-fqdn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiHost {
    /// An address.
    Address(IpAddr),
    /// What is none, and so a name.
    Name(String),
}

impl FromStr for ApiHost {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        Ok(match bare.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(text.to_owned()),
        })
    }
}

impl Config {
    /// The defaults of a pod's sidecar, with the bundle from `source`, on free ports of 127.0.0.1.
    pub fn on_free_ports(source: Source) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: vec![free],
            admin: Some(free),
            source,
            token: None,
            drain_timeout: Duration::from_secs(25),
            cluster_api: Vec::new(),
            max_connections: 1024,
            head_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            pod: String::new(),
            observer: None,
        }
    }
}

/// Flags of `postern serve`.
#[derive(clap::Args, Debug)]
pub struct ServeArgs {
    /// Directory of the mounted bundle; it is watched for changes
    #[arg(long, env = "POSTERN_BUNDLE_DIR", value_name = "DIR", default_value = BUNDLE_DIR)]
    bundle_dir: PathBuf,

    /// Directory of the pod's token for the operator, from which a newer bundle is fetched if the bundle says so
    #[arg(long, env = "POSTERN_TOKEN_DIR", value_name = "DIR", default_value = TOKEN_DIR)]
    token_dir: PathBuf,

    /// Address to take the application's calls on; may be given more than once
    #[arg(
        long,
        env = "POSTERN_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_values_t = [SocketAddr::from(([127, 0, 0, 1], DATA_PORT)), SocketAddr::from(([0u16, 0, 0, 0, 0, 0, 0, 1], DATA_PORT))]
    )]
    listen: Vec<SocketAddr>,

    /// Address of /livez, /readyz and /metrics
    #[arg(
        long,
        env = "POSTERN_ADMIN_ADDRESS",
        value_name = "ADDRESS",
        default_value = "[::]:14081"
    )]
    admin_address: SocketAddr,

    /// How long running requests may take to end after SIGTERM
    #[arg(long, env = "POSTERN_DRAIN_TIMEOUT", value_name = "DURATION", default_value = "25s", value_parser = parse_interval)]
    drain_timeout: Duration,

    /// Most connections of the application at a time; more have to wait
    #[arg(
        long,
        env = "POSTERN_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value_t = 1024
    )]
    max_connections: usize,

    /// Addresses or names of the cluster's API, to which no name may lead; Kubernetes sets the variable in every pod
    #[arg(
        long,
        env = "KUBERNETES_SERVICE_HOST",
        value_name = "HOST",
        value_delimiter = ','
    )]
    cluster_api: Vec<ApiHost>,

    /// Name of the pod, for rules that speak of it
    #[arg(long, env = "POSTERN_POD", value_name = "NAME")]
    pub pod: Option<String>,

    /// Least severe messages that are logged; requests are logged at `info`
    #[arg(long, env = "POSTERN_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,

    /// Format of the log
    #[arg(long, env = "POSTERN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// How much is logged.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum LogLevel {
    /// Failures of the sidecar.
    Error,
    /// And what may become one.
    Warn,
    /// And one line a request.
    Info,
    /// And connections.
    Debug,
}

/// How the log is written.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl ServeArgs {
    /// The configuration that these flags describe.
    pub fn into_config(self) -> Config {
        let Self {
            bundle_dir,
            token_dir,
            listen,
            admin_address,
            drain_timeout,
            max_connections,
            cluster_api,
            pod,
            log_level: _,
            log_format: _,
        } = self;
        Config {
            listen,
            token: Some(token_dir.join(TOKEN_FILE)),
            admin: Some(admin_address),
            drain_timeout,
            max_connections,
            cluster_api,
            pod: pod.unwrap_or_default(),
            ..Config::on_free_ports(Source::Directory(bundle_dir))
        }
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    interval::parse(text).ok_or_else(|| "use a number and a unit, as in 30s, 5m or 1h".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn the_clusters_api_is_an_address_or_what_is_none() {
        let hosts = "10.96.0.1,fd00::1,[fd00::2],bot-dns-1a2b.hcp.westeurope.azmk8s.io";
        let cli = Cli::parse_from(["serve", "--cluster-api", hosts]);
        let address = |text: &str| ApiHost::Address(text.parse().unwrap());
        assert_eq!(
            cli.serve.into_config().cluster_api,
            [
                address("10.96.0.1"),
                address("fd00::1"),
                address("fd00::2"),
                ApiHost::Name("bot-dns-1a2b.hcp.westeurope.azmk8s.io".into()),
            ]
        );
    }
}

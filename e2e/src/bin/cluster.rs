//! `cluster`: the one-node cluster of this machine, by hand.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use postern_e2e::cluster::Status;
use postern_e2e::image::{self, Programs};
use postern_e2e::{Cache, Cluster, Image};

/// A real Kubernetes on this machine, for tests and demo.
///
/// Needs Debian 12, root and Go; installs and builds the rest below ~/.cache/postern (or $POSTERN_CACHE).
#[derive(Parser)]
#[command(name = "cluster")]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the cluster, or find it running, and print how to speak to it.
    Up,
    /// Stop it and remove all that it left; what was built stays in the cache.
    Down,
    /// Say whether it runs. The exit code is 0 only if it does.
    Status,
    /// Build images, put them on the node, and print the names that pods use.
    Images {
        /// Which; all of them if none is named.
        #[arg(value_enum)]
        names: Vec<Name>,
    },
    /// Print the path of the administrator's kubeconfig, starting the cluster if need be.
    Kubeconfig,
}

#[derive(Clone, Copy, ValueEnum, PartialEq)]
enum Name {
    /// Operator and sidecar, from the sources as they are.
    Programs,
    /// Python with LangChain.
    LangchainPython,
    /// Node.js with LangChain.
    LangchainNode,
    /// The mock providers.
    Provider,
    /// OpenBao.
    Openbao,
}

impl Name {
    fn build(self, cache: &Cache) -> Result<Vec<Image>> {
        Ok(match self {
            Self::Programs => {
                let Programs {
                    operator, sidecar, ..
                } = image::programs(cache)?;
                vec![operator, sidecar]
            }
            Self::LangchainPython => vec![image::langchain_python(cache)?],
            Self::LangchainNode => vec![image::langchain_node(cache)?],
            Self::Provider => vec![image::provider(cache)?],
            Self::Openbao => vec![image::openbao(cache)?],
        })
    }
}

fn main() -> Result<ExitCode> {
    let Arguments { command } = Arguments::parse();
    let mut out = io::stdout().lock();
    match command {
        Action::Up => {
            let cluster = Cluster::ensure()?;
            if let Some(kubeconfig) = cluster.kubeconfig() {
                writeln!(out, "export KUBECONFIG={}", kubeconfig.display())?;
            }
            if let Some(bin) = cluster.tools().kubectl.parent() {
                writeln!(out, "export PATH={}:$PATH", bin.display())?;
            }
        }
        Action::Down => Cluster::down()?,
        Action::Status => match Cluster::status()? {
            Status::Running => writeln!(out, "running")?,
            Status::Absent => {
                writeln!(out, "not there; `cluster up` starts it")?;
                return Ok(ExitCode::FAILURE);
            }
            Status::Broken(error) => {
                writeln!(out, "broken; `cluster up` replaces it: {error:#}")?;
                return Ok(ExitCode::FAILURE);
            }
        },
        Action::Images { names } => {
            let cluster = Cluster::ensure()?;
            let names = if names.is_empty() {
                Name::value_variants()
            } else {
                &names
            };
            for name in names {
                for image in name.build(cluster.cache())? {
                    writeln!(out, "{}", cluster.load(&image)?)?;
                }
            }
        }
        Action::Kubeconfig => {
            if let Some(kubeconfig) = Cluster::ensure()?.kubeconfig() {
                writeln!(out, "{}", kubeconfig.display())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

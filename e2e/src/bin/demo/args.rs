//! What a person can ask of the demo.

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

/// One LangChain pod on a real Kubernetes calls its provider without holding a key.
///
/// As root on a Debian machine with Rust, Go, Node and Python: sets up a one-node Kubernetes, builds and installs Postern, runs an unchanged
/// LangChain program in a pod with one annotation, and shows what the program did, what the sidecar decided, what the provider saw, and that
/// the key is nowhere in the program's container. What is slow to make is kept in ~/.cache/postern ($POSTERN_CACHE).
#[derive(Parser, Debug)]
#[command(
    name = "cargo demo --",
    after_help = "Examples:\n  cargo demo                      run, show, and remove what was made\n  cargo demo -- --keep            leave it running, with kubectl commands to look around\n  cargo demo -- down              remove everything\n  cargo demo -- --context staging --operator-image … --sidecar-image … --agent-image … --provider-image … --store-image …\n                                  on a cluster of yours, whose nodes can pull these images"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Leave everything running and print the commands to look around.
    #[arg(long)]
    pub(crate) keep: bool,

    /// Use the cluster behind this context of your kubeconfig in place of one on this machine. Its nodes pull the five images below.
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) context: Option<String>,

    /// The operator's image, pushed where the cluster can pull it (built from operator/Dockerfile).
    #[arg(long, value_name = "IMAGE", requires = "context")]
    pub(crate) operator_image: Option<String>,

    /// The sidecar's image (sidecar/Dockerfile).
    #[arg(long, value_name = "IMAGE", requires = "context")]
    pub(crate) sidecar_image: Option<String>,

    /// The agent's image: Python with langchain-openai (e2e/images/langchain-python).
    #[arg(long, value_name = "IMAGE", requires = "context")]
    pub(crate) agent_image: Option<String>,

    /// The mock provider's image (e2e/images/provider).
    #[arg(long, value_name = "IMAGE", requires = "context")]
    pub(crate) provider_image: Option<String>,

    /// OpenBao's image (e2e/images/openbao).
    #[arg(long, value_name = "IMAGE", requires = "context")]
    pub(crate) store_image: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Remove everything that a demo made: the cluster of this machine, or with --context the demo's namespace, the release and the custom resources.
    Down,
}

/// The images that the nodes of another's cluster pull.
pub(crate) struct Pulled {
    pub(crate) operator: String,
    pub(crate) sidecar: String,
    pub(crate) agent: String,
    pub(crate) provider: String,
    pub(crate) store: String,
}

impl Args {
    /// The images that another's cluster pulls; none for the cluster of this machine, which is given its own.
    ///
    /// # Errors
    /// If one is missing: nothing can be put on nodes that are out of reach.
    pub(crate) fn pulled(&self) -> Result<Option<Pulled>> {
        let Some(context) = &self.context else {
            return Ok(None);
        };
        let images = [
            ("--operator-image", &self.operator_image),
            ("--sidecar-image", &self.sidecar_image),
            ("--agent-image", &self.agent_image),
            ("--provider-image", &self.provider_image),
            ("--store-image", &self.store_image),
        ];
        let missing: Vec<&str> = images
            .iter()
            .filter(|(_, image)| image.is_none())
            .map(|(flag, _)| *flag)
            .collect();
        match images.map(|(_, image)| image.clone()) {
            [
                Some(operator),
                Some(sidecar),
                Some(agent),
                Some(provider),
                Some(store),
            ] => Ok(Some(Pulled {
                operator,
                sidecar,
                agent,
                provider,
                store,
            })),
            _ => bail!(
                "the nodes of {context} pull images from a registry: push them there and name them with {}",
                missing.join(", ")
            ),
        }
    }
}

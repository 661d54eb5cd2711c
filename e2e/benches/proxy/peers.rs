//! Proxies and gateways of others, measured where they can be installed: the figures of the sidecar do not depend on them.

pub(crate) mod envoy;
pub(crate) mod litellm;
pub(crate) mod nginx;
pub(crate) mod portkey;

use std::path::PathBuf;

use anyhow::Result;
use postern_e2e::Cache;

use crate::names::{ENVOY, LITELLM, NGINX, PORTKEY, is_wanted};

/// Where they are installed, and a line for a person about each.
#[derive(Default)]
pub(crate) struct Peers {
    pub(crate) nginx: Option<PathBuf>,
    pub(crate) envoy: Option<PathBuf>,
    pub(crate) litellm: Option<PathBuf>,
    pub(crate) portkey: Option<PathBuf>,
    pub(crate) notes: Vec<String>,
}

impl Peers {
    /// Installs those that `only` names, or all. What cannot be installed is left out.
    pub(crate) fn install(only: &[String]) -> Result<Self> {
        let cache = Cache::open()?;
        let mut peers = Self::default();
        let mut wanted = |name, install: fn(&Cache) -> Result<PathBuf>, version: &str| {
            is_wanted(name, only)
                .then(|| install(&cache))
                .and_then(|installed| match installed {
                    Ok(program) => {
                        peers.notes.push(format!("{name} {version}"));
                        Some(program)
                    }
                    Err(error) => {
                        let note = format!("{name} is not measured, for want of it: {error:#}");
                        peers.notes.push(note);
                        None
                    }
                })
        };
        let nginx = wanted(NGINX, nginx::install, "as Debian has it");
        let envoy = wanted(ENVOY, envoy::install, envoy::VERSION);
        let litellm = wanted(LITELLM, litellm::install, litellm::VERSION);
        let portkey = wanted(PORTKEY, portkey::install, portkey::VERSION);
        Ok(Self {
            nginx,
            envoy,
            litellm,
            portkey,
            ..peers
        })
    }
}

//! A Kubernetes cluster to test on: one node on this machine, or one that a person already has.

mod containerd;
mod credentials;
mod host;
mod layout;
mod setup;
mod start;
mod system;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};

use self::layout::Layout;
use self::setup::{GROUND, REST, Setup};
use crate::cache::{Cache, Lock, discard};
use crate::image::Image;
use crate::process::Daemons;
use crate::progress::{say, step};
use crate::run;
use crate::tools::{self, Tools};

/// A cluster that answers.
#[derive(Debug, Clone)]
pub struct Cluster {
    cache: Cache,
    tools: Tools,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Here(Layout),
    Context(String),
}

/// How the cluster of this machine is.
#[derive(Debug)]
pub enum Status {
    /// It was never started, or taken down.
    Absent,
    /// Something of it is there, but it does not answer; the next [`Cluster::ensure`] replaces it.
    Broken(anyhow::Error),
    /// It answers.
    Running,
}

impl Cluster {
    /// The cluster of this machine: the one that runs, or else a new one.
    ///
    /// Installs and builds what is missing first. A cluster that does not answer, or that another version of this
    /// code made, is replaced with all that was in it. Processes that call this at the same time share one cluster.
    /// It goes on when they end, until [`Cluster::down`].
    pub fn ensure() -> Result<Self> {
        let cache = Cache::open()?;
        let tools = Tools::install(&cache)?;
        let layout = layout(&cache);
        let _lock = lock(&cache)?;
        let images = [
            system::pause(&cache, &tools)?,
            system::coredns(&cache, &tools)?,
        ];
        let [pause, coredns] = &images;
        let setup = Setup {
            layout: &layout,
            tools: &tools,
            pause: &pause.reference,
            coredns: &coredns.reference,
        };
        let fingerprint = setup.fingerprint();
        let made = fs::read_to_string(layout.path("fingerprint")).unwrap_or_default();
        if made != fingerprint || health(&layout, &tools.kubectl).is_err() {
            step(
                "cluster",
                "one node on this machine, a real Kubernetes",
                || {
                    stop(&layout)?;
                    start::start(&setup, &daemons(&layout), &images)?;
                    Ok(fs::write(layout.path("fingerprint"), fingerprint)?)
                },
            )?;
        }
        Ok(Self {
            place: Place::Here(layout.clone()),
            tools: tools.clone(),
            cache: cache.clone(),
        })
    }

    /// The cluster behind a context of the user's own kubeconfig.
    ///
    /// Nothing is started or stopped there, and [`Cluster::load`] cannot reach its nodes: they pull images from a
    /// registry.
    pub fn external(context: &str) -> Result<Self> {
        let cache = Cache::open()?;
        let cluster = Self {
            tools: Tools::install(&cache)?,
            cache,
            place: Place::Context(context.to_owned()),
        };
        cluster.kubectl(["get", "--raw", "/readyz"])?;
        Ok(cluster)
    }

    /// Takes the cluster of this machine down and removes all that it left. What was built stays in the cache.
    pub fn down() -> Result<()> {
        let cache = Cache::open()?;
        let layout = layout(&cache);
        let _lock = lock(&cache)?;
        if layout.state().exists() || layout.images().exists() {
            let why = "leaves no process, mount, network or file";
            step("cluster down", why, || {
                stop(&layout)?;
                Ok(discard(&layout.images())?)
            })?;
        }
        Ok(())
    }

    /// How the cluster of this machine is. Starts and builds nothing.
    pub fn status() -> Result<Status> {
        let cache = Cache::open()?;
        let layout = layout(&cache);
        if !layout.state().exists() {
            return Ok(Status::Absent);
        }
        Ok(match health(&layout, &tools::kubectl(&cache)) {
            Ok(()) => Status::Running,
            Err(error) => Status::Broken(error),
        })
    }

    /// The administrator's kubeconfig of the cluster of this machine; none for another, which is in the user's own.
    pub fn kubeconfig(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Here(layout) => Some(layout.kubeconfig()),
            Place::Context(_) => None,
        }
    }

    /// The folder whose manifests the kubelet of this machine's cluster runs by itself, as static pods.
    pub fn static_pods(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Here(layout) => Some(layout.static_pods()),
            Place::Context(_) => None,
        }
    }

    /// The context in the user's own kubeconfig, if this is not the cluster of this machine.
    pub fn context(&self) -> Option<&str> {
        match &self.place {
            Place::Here(_) => None,
            Place::Context(context) => Some(context),
        }
    }

    /// The programs that speak to the cluster.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Where images are built and kept.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Runs `kubectl` and returns what it prints.
    pub fn kubectl<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        run::output(self.kubectl_command().args(arguments))
    }

    /// Applies manifests given as text.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        let mut command = self.kubectl_command();
        run::output_with(manifests, command.args(["apply", "--filename", "-"])).map(drop)
    }

    /// A `kubectl` for this cluster, to be given its arguments.
    pub fn kubectl_command(&self) -> Command {
        match &self.place {
            Place::Here(layout) => kubectl(&self.tools.kubectl, layout),
            Place::Context(context) => {
                let mut command = Command::new(&self.tools.kubectl);
                command.args(["--context", context]);
                command
            }
        }
    }

    /// Runs `helm` and returns what it prints.
    pub fn helm<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = Command::new(&self.tools.helm);
        match &self.place {
            Place::Here(layout) => command
                .env("KUBECACHEDIR", layout.path("kubectl"))
                .arg("--kubeconfig")
                .arg(layout.kubeconfig()),
            Place::Context(context) => command.args(["--kube-context", context]),
        };
        run::output(command.args(arguments))
    }

    /// Puts an image on the node, unless it is there, and returns the name that pods use.
    pub fn load(&self, image: &Image) -> Result<String> {
        match &self.place {
            Place::Here(layout) => containerd::load(layout, image)?,
            Place::Context(context) => {
                bail!(
                    "the nodes of {context} cannot be given {}: push it to a registry",
                    image.reference
                )
            }
        }
        Ok(image.reference.clone())
    }
}

fn layout(cache: &Cache) -> Layout {
    Layout::new(cache.path("cluster"))
}

fn daemons(layout: &Layout) -> Daemons {
    Daemons::new(layout.path("pids"), layout.path("log"))
}

/// Held while the cluster is started or stopped.
fn lock(cache: &Cache) -> Result<Lock> {
    cache.lock("cluster", || {
        say("… waiting for another process that starts or stops the cluster");
    })
}

/// Stops what runs and removes what it left, but for the images.
fn stop(layout: &Layout) -> Result<()> {
    daemons(layout).kill()?;
    host::clean(layout)?;
    Ok(discard(layout.state())?)
}

fn kubectl(program: &Path, layout: &Layout) -> Command {
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(layout.kubeconfig());
    // What it remembers of the API must not outlive the cluster: the next one has the same address.
    command.env("KUBECACHEDIR", layout.path("kubectl"));
    command
}

/// Whether every component runs and the API server is ready to serve.
fn health(layout: &Layout, program: &Path) -> Result<()> {
    let daemons = daemons(layout);
    daemons.check()?;
    ensure!(
        daemons.list()?.len() == GROUND.len() + REST.len(),
        "not every component was started"
    );
    run::output(kubectl(program, layout).args(["get", "--raw", "/readyz"])).map(drop)
}

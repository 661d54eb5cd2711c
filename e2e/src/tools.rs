//! The programs that a cluster is made of, built from source with the machine's own Go and C compiler.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, bail};

use crate::cache::{Cache, Lock, discard};
use crate::digest::Digest;
use crate::packages;
use crate::progress::{say, step};
use crate::run;

/// The version that kube says it is; the modules' versions are in `cluster/kube/go.mod`.
const KUBERNETES: &str = "v1.36.3";
const HELM: &str = "helm.sh/helm/v4/cmd/helm@v4.3.1";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Every component of Kubernetes, chosen by name or first argument.
    pub kube: PathBuf,
    /// The command-line client.
    pub kubectl: PathBuf,
    /// The package manager.
    pub helm: PathBuf,
    /// The cluster's name server.
    pub coredns: PathBuf,
    /// The program that holds a pod's namespaces.
    pub pause: PathBuf,
}

impl Tools {
    /// Installs and builds what is missing: about eight minutes on two cores the first time, no time later.
    pub fn install(cache: &Cache) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            bail!("a cluster needs root: namespaces, mounts and packages are made");
        }
        let _lock = lock(cache)?;
        packages::install(cache)?;
        let go = go_version()?;

        let kube = source("kube");
        let version = "-X k8s.io/component-base/version";
        let (major, minor) = ("1", KUBERNETES.split('.').nth(1).unwrap_or_default());
        let kube = Go {
            name: "kube",
            what: "Kubernetes",
            why: "the real API server, kubelet and the rest, from their Go modules; about 5 minutes",
            key: Digest::new().text(&go).text(KUBERNETES).tree(&kube)?.short(),
            from: Input::Directory(kube),
            flags: format!(
                "-s -w {version}.gitVersion={KUBERNETES} {version}.gitMajor={major} {version}.gitMinor={minor}"
            ),
        }
        .build(cache)?;

        let coredns = source("coredns");
        let coredns = Go {
            name: "coredns",
            what: "CoreDNS",
            why: "pods find Services by name; about a minute",
            key: Digest::new().text(&go).tree(&coredns)?.short(),
            from: Input::Directory(coredns),
            flags: "-s -w".to_owned(),
        }
        .build(cache)?;

        Ok(Self {
            kubectl: link(cache, "kubectl", &kube)?,
            helm: helm(cache, &go)?,
            pause: pause(cache)?,
            kube,
            coredns,
        })
    }

    /// Builds cert-manager's controllers, which only the tests of the chart with it need.
    pub fn cert_manager(cache: &Cache) -> Result<PathBuf> {
        let _lock = lock(cache)?;
        let go = go_version()?;
        let directory = source("cert-manager");
        Go {
            name: "cert-manager",
            what: "cert-manager",
            why: "the chart can take its certificate from it; about 3 minutes",
            key: Digest::new().text(&go).tree(&directory)?.short(),
            from: Input::Directory(directory),
            flags: "-s -w".to_owned(),
        }
        .build(cache)
    }

    /// Builds the package manager alone, for what needs no cluster; none of the machine's packages and no root either.
    pub fn helm(cache: &Cache) -> Result<PathBuf> {
        let _lock = lock(cache)?;
        helm(cache, &go_version()?)
    }
}

fn lock(cache: &Cache) -> Result<Lock> {
    cache.lock("tools", || {
        say("… waiting for another process that installs the tools");
    })
}

fn helm(cache: &Cache, go: &str) -> Result<PathBuf> {
    let helm = Go {
        name: "helm",
        what: "Helm",
        why: "installs the chart; about 2 minutes",
        key: Digest::new().text(go).text(HELM).short(),
        from: Input::Module(HELM),
        flags: "-s -w".to_owned(),
    }
    .build(cache)?;
    link(cache, "helm", &helm)
}

/// The directory of this crate's file or folder `cluster/NAME`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cluster")
        .join(name)
}

/// Where the client is once it was built.
pub(crate) fn kubectl(cache: &Cache) -> PathBuf {
    cache.path("bin/kubectl")
}

/// One program built with Go.
struct Go {
    name: &'static str,
    what: &'static str,
    why: &'static str,
    key: String,
    from: Input,
    flags: String,
}

enum Input {
    Directory(PathBuf),
    Module(&'static str),
}

impl Go {
    fn build(&self, cache: &Cache) -> Result<PathBuf> {
        let log = cache.path(format!("log/build-{}.log", self.name));
        cache.current(&format!("bin/{}", self.name), &self.key, "", |path| {
            step(self.what, self.why, || {
                let mut go = Command::new("go");
                go.env("CGO_ENABLED", "0");
                match &self.from {
                    Input::Directory(dir) => {
                        go.args(["build", "-trimpath", "-ldflags", &self.flags, "-o"]);
                        go.arg(path).arg(".").current_dir(dir);
                        run::logged(&mut go, &log)
                    }
                    Input::Module(module) => {
                        // `go install` names the program itself: it gets a directory for it.
                        let dir = cache.path(format!("bin/{}.{}.dir", self.name, process::id()));
                        go.env("GOBIN", &dir);
                        go.args(["install", "-trimpath", "-ldflags", &self.flags, module]);
                        run::logged(&mut go, &log)?;
                        fs::rename(dir.join(self.name), path)?;
                        Ok(discard(&dir)?)
                    }
                }
            })
        })
    }
}

/// The compiler's version is part of what a program was made from.
fn go_version() -> Result<String> {
    run::output(Command::new("go").arg("version"))
        .context("looking for Go, which builds Kubernetes")
}

/// Static and tiny: the sandbox image of every pod holds nothing else.
fn pause(cache: &Cache) -> Result<PathBuf> {
    let dir = source("pause");
    let key = Digest::new().tree(&dir)?.short();
    cache.current("bin/pause", &key, "", |path| {
        step("pause", "holds the namespaces of each pod", || {
            run::output(
                Command::new("musl-gcc")
                    .args(["-static", "-Os", "-s", "-o"])
                    .arg(path)
                    .arg(dir.join("pause.c")),
            )
            .map(drop)
        })
    })
}

/// Gives a program a name without a hash, so that people can put `bin/` on their path.
fn link(cache: &Cache, name: &str, program: &Path) -> Result<PathBuf> {
    let path = cache.path(format!("bin/{name}"));
    if fs::read_link(&path).is_ok_and(|target| target == program) {
        return Ok(path);
    }
    let fresh = cache.path(format!("bin/{name}.{}.new", process::id()));
    discard(&fresh)?;
    symlink(program, &fresh)?;
    fs::rename(&fresh, &path).with_context(|| format!("linking {}", path.display()))?;
    Ok(path)
}

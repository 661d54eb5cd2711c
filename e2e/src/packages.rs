//! Debian packages: those that cluster and images are made with, and whatever else a program of this crate needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{Cache, discard};
use crate::progress::step;
use crate::run;

/// Each package and what it is for.
const PACKAGES: &[(&str, &str)] = &[
    ("buildah", "builds images from Dockerfiles"),
    ("containerd", "runs containers"),
    ("containernetworking-plugins", "gives pods addresses"),
    ("etcd-server", "keeps the API server's objects"),
    ("iproute2", "makes the bridge of the pods"),
    ("mmdebstrap", "makes the root filesystem of images"),
    ("musl-tools", "links static programs"),
    ("nftables", "carries kube-proxy's rules"),
    ("runc", "starts a container"),
];

/// While this file answers 101, Debian starts no service of a package that is being installed.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what the cluster and the images need.
pub(crate) fn install(cache: &Cache) -> Result<()> {
    require(cache, PACKAGES)
}

/// Installs those of `packages` (each with what it is for) that are missing. Asks the package archive only if one is.
pub fn require(cache: &Cache, packages: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = packages
        .iter()
        .filter(|(name, _)| !is_installed(name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let reasons: Vec<_> = missing
        .iter()
        .map(|(name, why)| format!("{name} {why}"))
        .collect();
    step("Debian packages", &reasons.join(", "), || {
        let _no_services = ServicesStayDown::begin()?;
        let log = cache.path("log/apt.log");
        run::logged(apt().arg("update"), &log)?;
        let mut command = apt();
        command.args(["install", "--yes", "--no-install-recommends"]);
        command.args(missing.iter().map(|(name, _)| name));
        run::logged(&mut command, &log)
    })
}

/// A program out of a Debian package, in the cache: its path in the package is `file`. The package is not installed, since its service would start with
/// the machine; and apt reads its lists in a directory of the cache, so that no root is needed.
pub fn program(cache: &Cache, package: &str, file: &str, why: &str) -> Result<PathBuf> {
    let name = Path::new(file).file_name().context("a program's name")?;
    cache.entry(&format!("bin/{}", name.to_string_lossy()), |path| {
        step(&format!("Debian package {package}"), why, || {
            let log = cache.path("log/apt.log");
            let dir = cache.path(format!("apt-{package}"));
            discard(&dir)?;
            for part in ["state/lists/partial", "cache/archives/partial"] {
                fs::create_dir_all(dir.join(part))?;
            }
            let apt = || {
                let mut apt = apt();
                for (option, part) in [("Dir::State", "state"), ("Dir::Cache", "cache")] {
                    apt.arg(format!("--option={option}={}", dir.join(part).display()));
                }
                apt.current_dir(&dir);
                apt
            };
            run::logged(apt().arg("update"), &log)?;
            run::logged(apt().args(["download", package]), &log)?;
            let archive = fs::read_dir(&dir)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| path.extension().is_some_and(|kind| kind == "deb"))
                .context("the package's archive")?;
            let content = dir.join("content");
            run::logged(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .arg(archive)
                    .arg(&content),
                &log,
            )?;
            fs::rename(content.join(file), path)?;
            Ok(discard(&dir)?)
        })
    })
}

fn is_installed(package: &str) -> bool {
    let asked = run::output(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${db:Status-Status}",
        package,
    ]));
    asked.is_ok_and(|status| status == "installed")
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .arg("--quiet");
    command
}

/// Keeps Debian from starting its own etcd and containerd: ours use other directories, but the same ports.
struct ServicesStayDown {
    ours: bool,
}

impl ServicesStayDown {
    fn begin() -> Result<Self> {
        let policy = Path::new(SERVICE_POLICY);
        // The machine's own policy, as container images have one, is left as it is.
        let ours = !policy.exists();
        if ours {
            fs::write(policy, "#!/bin/sh\nexit 101\n").context("writing the service policy")?;
            fs::set_permissions(policy, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if self.ours {
            // It cannot be reported from here; at worst services stay down until somebody starts them.
            let _ = fs::remove_file(SERVICE_POLICY);
        }
    }
}

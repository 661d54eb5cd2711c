//! What images and tests are put together from, each part made once: Debian, Python and Node packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::digest::Digest;
use crate::progress::step;
use crate::run;

/// A part in the cache, and the name of what it was made from.
#[derive(Debug)]
pub struct Part {
    /// Where it is.
    pub path: PathBuf,
    pub(super) key: String,
}

/// The root filesystem of a small Debian with Python and with the libraries of Node.js, as a tar archive.
///
/// One for all images: it takes longer to make than the few megabytes that each does not need take to load.
pub(super) fn debian(cache: &Cache) -> Result<Part> {
    let options = [
        "--variant=apt",
        // Without this, directories are merged by a package that needs all of Perl.
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--include=usr-is-merged,ca-certificates,libstdc++6,python3",
        "--aptopt=APT::Install-Recommends false",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--format=tar",
        // Python 3.11, as the wheels of `python` are.
        "bookworm",
    ];
    let key = options
        .iter()
        .fold(Digest::new(), |digest, option| digest.text(option))
        .short();
    let path = cache.current("parts/debian", &key, ".tar", |path| {
        step(
            "Debian",
            "the root filesystem of agents and provider",
            || {
                let mut mmdebstrap = Command::new("mmdebstrap");
                mmdebstrap.args(options).arg(path);
                run::logged(&mut mmdebstrap, &cache.path("log/mmdebstrap.log"))
            },
        )
    })?;
    Ok(Part { path, key })
}

/// A directory with the packages that a requirements file pins, for the Python of [`debian`].
pub fn python(cache: &Cache, name: &str, why: &str, requirements: &Path) -> Result<Part> {
    let options = [
        // Wheels for the image's Python, whatever Python runs pip.
        "--python-version=3.11",
        "--implementation=cp",
        "--platform=manylinux2014_x86_64",
        "--platform=manylinux_2_28_x86_64",
        "--only-binary=:all:",
        // A file names all that it needs, and no more.
        "--no-deps",
        "--require-hashes",
        "--no-compile",
    ];
    let text = fs::read_to_string(requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let key = options
        .iter()
        .fold(Digest::new().text(&text), |digest, option| {
            digest.text(option)
        })
        .short();
    let path = cache.current(&format!("parts/python-{name}"), &key, "", |path| {
        step(&format!("Python packages of {name}"), why, || {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--root-user-action=ignore",
            ]);
            pip.args(options)
                .arg("--target")
                .arg(path)
                .arg("--requirement")
                .arg(requirements);
            run::logged(&mut pip, &cache.path("log/pip.log"))
        })
    })?;
    Ok(Part { path, key })
}

/// The `node_modules` that `package.json` and `package-lock.json` of a directory pin.
pub fn node_modules(cache: &Cache, name: &str, why: &str, from: &Path) -> Result<Part> {
    let files = ["package.json", "package-lock.json"];
    let mut digest = Digest::new();
    for file in files {
        let path = from.join(file);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        digest = digest.bytes(&bytes);
    }
    let key = digest.short();
    let path = cache.current(&format!("parts/{name}"), &key, "", |path| {
        step(&format!("npm packages of {name}"), why, || {
            fs::create_dir_all(path)?;
            for file in files {
                fs::copy(from.join(file), path.join(file))?;
            }
            let mut npm = Command::new("npm");
            // No package gets to run its scripts as root on this machine.
            npm.args(["ci", "--omit=dev", "--omit=optional", "--ignore-scripts"])
                // A file names what is wanted of its packages' peers: LangChain's community has dozens, browsers among them.
                .arg("--legacy-peer-deps")
                .current_dir(path);
            run::logged(&mut npm, &cache.path("log/npm.log"))
        })
    })?;
    Ok(Part {
        path: path.join("node_modules"),
        key,
    })
}

/// The machine's own Node.js, which needs the libraries of `libstdc++6`.
pub(super) fn node() -> Result<Part> {
    let mut node = Command::new("node");
    node.args(["--print", "process.execPath + ' ' + process.version"]);
    let answer = run::output(&mut node).context("looking for Node.js")?;
    let (path, version) = answer
        .trim()
        .rsplit_once(' ')
        .context("Node's path and version")?;
    Ok(Part {
        path: PathBuf::from(path),
        key: version.to_owned(),
    })
}

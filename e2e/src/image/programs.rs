//! The images of Postern itself, built from the sources as they are now.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Image;
use crate::cache::Cache;
use crate::digest::Digest;
use crate::progress::{say, step};
use crate::run;

/// Static, so that an image needs nothing but the program.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// The images of operator and sidecar, made from the same build.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `ghcr.io/postern-dev/operator`
    pub operator: Image,
    /// `ghcr.io/postern-dev/sidecar`
    pub sidecar: Image,
    /// The program in it, which runs on any Linux.
    pub postern: PathBuf,
}

/// Builds operator and sidecar for release, or by the profile that `$POSTERN_PROFILE` names, and puts each into the image that its Dockerfile describes.
///
/// Tags are `VERSION-DIGEST`: another build is another name, so that pods and charts never take an older one for it.
pub fn programs(cache: &Cache) -> Result<Programs> {
    let built = step(
        "operator and sidecar",
        "static programs for their images",
        || {
            // rustup answers at once when it is there.
            run::output(
                Command::new("rustup")
                    .args(["target", "add", TARGET])
                    .current_dir(workspace()),
            )?;
            let profile = env::var_os("POSTERN_PROFILE").unwrap_or_else(|| "release".into());
            cargo(&[
                "--profile".as_ref(),
                &profile,
                "--target".as_ref(),
                TARGET.as_ref(),
                "--package".as_ref(),
                "postern-operator".as_ref(),
            ])
        },
    )?;
    let postern = find(&built, "postern")?;
    Ok(Programs {
        operator: image(cache, "operator", find(&built, "postern-operator")?)?,
        sidecar: image(cache, "sidecar", postern)?,
        postern: postern.to_owned(),
    })
}

fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// What cargo says about each thing that it built or found fresh.
#[derive(Deserialize)]
struct Artifact {
    executable: Option<PathBuf>,
}

/// Builds `postern` for this machine, as tests are built, and returns where it is.
pub fn postern() -> Result<PathBuf> {
    Ok(find(&cargo(&[])?, "postern")?.to_owned())
}

/// Builds the sidecar and whatever else `arguments` say, wherever the target directory is, and returns the programs that it made.
fn cargo(arguments: &[&OsStr]) -> Result<Vec<PathBuf>> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--locked",
            "--bins",
            "--package",
            "postern-sidecar",
        ])
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(workspace());
    Ok(run::output(&mut cargo)?
        .lines()
        // Other messages are about other things.
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter_map(|artifact| artifact.executable)
        .collect())
}

fn find<'a>(built: &'a [PathBuf], name: &str) -> Result<&'a Path> {
    let found = built
        .iter()
        .find(|path| path.file_name().is_some_and(|file| file == name));
    Ok(found.with_context(|| format!("finding {name} in what cargo built"))?)
}

/// The image of `CRATE/Dockerfile`, which copies one program.
fn image(cache: &Cache, directory: &str, program: &Path) -> Result<Image> {
    let dockerfile = fs::read(workspace().join(directory).join("Dockerfile"))
        .with_context(|| format!("reading the Dockerfile of {directory}"))?;
    let bytes = fs::read(program).with_context(|| format!("reading {}", program.display()))?;
    let digest = Digest::new().bytes(&dockerfile).bytes(&bytes).short();
    let tag = format!("{}-{digest}", env!("CARGO_PKG_VERSION"));
    Image::build(
        cache,
        &format!("ghcr.io/postern-dev/{directory}"),
        &tag,
        |context| {
            let mib = bytes.len() as f64 / f64::from(1 << 20);
            say(&format!("  {directory}: one program of {mib:.2} MiB"));
            fs::write(context.join("Dockerfile"), &dockerfile)?;
            let name = program.file_name().context("the program's name")?;
            fs::copy(program, context.join(name))?;
            Ok(())
        },
    )
}

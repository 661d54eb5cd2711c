//! The images that the cluster itself runs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::digest::Digest;
use crate::image::Image;
use crate::tools::{self, Tools};

/// Holds each pod's namespaces.
pub(super) fn pause(cache: &Cache, tools: &Tools) -> Result<Image> {
    one_program(cache, "pause", &tools.pause)
}

/// Answers names.
pub(super) fn coredns(cache: &Cache, tools: &Tools) -> Result<Image> {
    one_program(cache, "coredns", &tools.coredns)
}

/// The image of `cluster/NAME/Dockerfile`, which copies one program called `name`.
fn one_program(cache: &Cache, name: &str, program: &Path) -> Result<Image> {
    let dockerfile = tools::source(name).join("Dockerfile");
    // The program's file name ends with the digest of its sources.
    let made_from = program
        .file_name()
        .context("the program's name")?
        .to_string_lossy();
    let tag = Digest::new()
        .bytes(&fs::read(&dockerfile)?)
        .text(&made_from)
        .short();
    Image::build(cache, &format!("localhost/{name}"), &tag, |context| {
        fs::copy(&dockerfile, context.join("Dockerfile"))?;
        fs::copy(program, context.join(name))?;
        Ok(())
    })
}

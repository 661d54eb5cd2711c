//! Puts images where the node's pods find them.

use std::process::Command;

use anyhow::Result;

use super::layout::Layout;
use crate::image::Image;
use crate::run;

/// Whether containerd answers.
pub(super) fn is_ready(layout: &Layout) -> Result<()> {
    run::output(ctr(layout).arg("version")).map(drop)
}

/// Imports `image`, unless the node has it. Its tag names its content, so an image of that name is that image.
pub(super) fn load(layout: &Layout, image: &Image) -> Result<()> {
    let name = format!("name=={}", image.reference);
    let present = run::output(ctr(layout).args(["images", "list", "--quiet", &name]))?;
    if present.trim() != image.reference {
        run::output(ctr(layout).args(["images", "import"]).arg(&image.archive))?;
    }
    Ok(())
}

fn ctr(layout: &Layout) -> Command {
    let mut command = Command::new("ctr");
    // The namespace of the kubelet's own images.
    command
        .arg("--address")
        .arg(layout.socket())
        .args(["--namespace", "k8s.io"]);
    command
}

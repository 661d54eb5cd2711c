//! What the webhook injects, as flags: given alike to both roles, so that the controller can tell which pods are outdated.

use clap::Args;

/// Flags that decide what is injected.
#[derive(Args, Clone, Debug)]
pub struct SidecarArgs {
    /// Image of the sidecar.
    #[arg(long, env = "POSTERN_SIDECAR_IMAGE")]
    pub sidecar_image: String,
}

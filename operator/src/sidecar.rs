//! What the webhook injects: flags that are given alike to both roles, so that the controller can tell which pods are outdated.

mod container;
mod digest;
mod quantity;

use clap::{Args, ValueEnum};
use thiserror::Error;

pub use self::{
    container::{Settings, container, volumes},
    digest::template_digest,
    quantity::{InvalidQuantity, Quantity},
};

/// Flags that decide what is injected.
#[derive(Args, Clone, Debug)]
pub struct SidecarArgs {
    /// Image of the sidecar.
    #[arg(long, env = "POSTERN_SIDECAR_IMAGE")]
    pub sidecar_image: String,
    /// When the kubelet pulls it.
    #[arg(
        long,
        env = "POSTERN_SIDECAR_IMAGE_PULL_POLICY",
        default_value = "IfNotPresent"
    )]
    pub sidecar_image_pull_policy: PullPolicy,
    /// CPU that the sidecar asks for.
    #[arg(long, env = "POSTERN_SIDECAR_CPU_REQUEST", default_value = "10m")]
    pub sidecar_cpu_request: Quantity,
    /// CPU that the sidecar may use.
    #[arg(long, env = "POSTERN_SIDECAR_CPU_LIMIT", default_value = "1")]
    pub sidecar_cpu_limit: Quantity,
    /// Memory that the sidecar asks for.
    #[arg(long, env = "POSTERN_SIDECAR_MEMORY_REQUEST", default_value = "32Mi")]
    pub sidecar_memory_request: Quantity,
    /// Memory that the sidecar may use.
    #[arg(long, env = "POSTERN_SIDECAR_MEMORY_LIMIT", default_value = "128Mi")]
    pub sidecar_memory_limit: Quantity,
    /// The most that the pod annotation `postern.dev/cpu` may ask for.
    #[arg(long, env = "POSTERN_SIDECAR_MAX_CPU", default_value = "2")]
    pub sidecar_max_cpu: Quantity,
    /// The most that the pod annotation `postern.dev/memory` may ask for.
    #[arg(long, env = "POSTERN_SIDECAR_MAX_MEMORY", default_value = "512Mi")]
    pub sidecar_max_memory: Quantity,
    /// Least severe level that the sidecar logs, unless the pod annotation `postern.dev/log-level` says otherwise.
    #[arg(long, env = "POSTERN_SIDECAR_LOG_LEVEL", default_value = "info")]
    pub sidecar_log_level: LogLevel,
}

/// When the kubelet pulls an image.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// When the node lacks it.
    IfNotPresent,
    /// Never; it must be there.
    Never,
}

impl PullPolicy {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// Least severe level that a sidecar logs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what went wrong.
    Error,
    /// Also what may go wrong.
    Warn,
    /// Also one line a request.
    Info,
    /// Also what it does between.
    Debug,
}

impl LogLevel {
    /// Every level, from the quietest.
    pub const ALL: [Self; 4] = [Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// As flag and annotation spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level called `name`.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

/// What is injected, checked: every request is within its limit, every limit within its bound.
#[derive(Clone, Debug)]
pub struct SidecarTemplate {
    image: String,
    pull_policy: PullPolicy,
    log_level: LogLevel,
    cpu: Size,
    memory: Size,
}

/// How much of one resource.
#[derive(Clone, Debug)]
struct Size {
    request: Quantity,
    limit: Quantity,
    max: Quantity,
}

/// Flags that contradict each other.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The sidecar needs an image.
    #[error("--sidecar-image is empty")]
    NoImage,
    /// Kubernetes would refuse the container.
    #[error(
        "--sidecar-{resource}-request {request} is more than --sidecar-{resource}-limit {limit}"
    )]
    RequestAboveLimit {
        /// `cpu` or `memory`.
        resource: &'static str,
        /// What is asked for.
        request: String,
        /// What may be used.
        limit: String,
    },
    /// The bound of the annotation would forbid what is injected without it.
    #[error("--sidecar-{resource}-limit {limit} is more than --sidecar-max-{resource} {max}")]
    LimitAboveMax {
        /// `cpu` or `memory`.
        resource: &'static str,
        /// What may be used.
        limit: String,
        /// The bound.
        max: String,
    },
}

impl SidecarTemplate {
    /// Checks the flags.
    ///
    /// # Errors
    /// The first contradiction among them.
    pub fn new(args: SidecarArgs) -> Result<Self, Error> {
        let SidecarArgs {
            sidecar_image,
            sidecar_image_pull_policy,
            sidecar_cpu_request,
            sidecar_cpu_limit,
            sidecar_memory_request,
            sidecar_memory_limit,
            sidecar_max_cpu,
            sidecar_max_memory,
            sidecar_log_level,
        } = args;
        if sidecar_image.is_empty() {
            return Err(Error::NoImage);
        }
        Ok(Self {
            image: sidecar_image,
            pull_policy: sidecar_image_pull_policy,
            log_level: sidecar_log_level,
            cpu: Size::new(
                "cpu",
                sidecar_cpu_request,
                sidecar_cpu_limit,
                sidecar_max_cpu,
            )?,
            memory: Size::new(
                "memory",
                sidecar_memory_request,
                sidecar_memory_limit,
                sidecar_max_memory,
            )?,
        })
    }

    /// The least and the most that the annotation `postern.dev/cpu` may ask for.
    pub fn cpu_bounds(&self) -> (Quantity, &Quantity) {
        (Quantity::MILLI, &self.cpu.max)
    }

    /// The least and the most that the annotation `postern.dev/memory` may ask for: less than the request would only be killed sooner.
    pub fn memory_bounds(&self) -> (&Quantity, &Quantity) {
        (&self.memory.request, &self.memory.max)
    }
}

impl Size {
    fn new(
        resource: &'static str,
        request: Quantity,
        limit: Quantity,
        max: Quantity,
    ) -> Result<Self, Error> {
        if request > limit {
            return Err(Error::RequestAboveLimit {
                resource,
                request: request.to_string(),
                limit: limit.to_string(),
            });
        }
        if limit > max {
            return Err(Error::LimitAboveMax {
                resource,
                limit: limit.to_string(),
                max: max.to_string(),
            });
        }
        Ok(Self {
            request,
            limit,
            max,
        })
    }
}

#[cfg(test)]
mod tests;

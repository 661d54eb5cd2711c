//! What comes of looking at a pod.

use std::fmt;

use json_patch::Patch;

/// A pod that may be created, and what has to be done to it first.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The identity that the pod asks for, if any.
    pub identity: Option<String>,
    /// What has to be done to it. Empty for a pod that asks for nothing, or has it all.
    pub patch: Patch,
    /// What whoever creates it should know, one line each, of any length.
    pub warnings: Vec<String>,
}

/// Why a pod may not be created: every problem at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of problem.
    pub reason: Reason,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Kinds of problems, as metrics and logs name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The JSON is not a pod's.
    MalformedPod,
    /// An annotation of ours that does not exist, or a value that it cannot have.
    Annotation,
    /// The label that is ours to write says something else.
    Label,
    /// The identity is not for pods with this service account.
    ServiceAccount,
    /// The pod would have the node's network.
    HostNetwork,
    /// The pod would see the node's processes.
    HostPid,
    /// The application would see the sidecar's process.
    SharedProcesses,
    /// The application would run as the sidecar's user.
    SidecarUser,
    /// The sidecar's name is taken.
    ContainerName,
    /// The sidecar is there, but is not what we would inject.
    SidecarDiffers,
    /// A volume's name of ours is taken.
    VolumeName,
    /// The application would mount what is the sidecar's.
    SidecarVolume,
    /// The application would read the identity's bundle.
    BundleSecret,
    /// The sidecar runs on Linux only.
    Windows,
}

impl Reason {
    /// The stable token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedPod => "malformed_pod",
            Self::Annotation => "annotation",
            Self::Label => "label",
            Self::ServiceAccount => "service_account",
            Self::HostNetwork => "host_network",
            Self::HostPid => "host_pid",
            Self::SharedProcesses => "shared_processes",
            Self::SidecarUser => "sidecar_user",
            Self::ContainerName => "container_name",
            Self::SidecarDiffers => "sidecar_differs",
            Self::VolumeName => "volume_name",
            Self::SidecarVolume => "sidecar_volume",
            Self::BundleSecret => "bundle_secret",
            Self::Windows => "windows",
        }
    }
}

impl From<Problem> for Denial {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", problem.message)?;
        }
        Ok(())
    }
}

/// Collects problems, so that whoever creates the pod learns of all of them at once.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn push(&mut self, reason: Reason, message: impl Into<String>) {
        self.0.push(Problem {
            reason,
            message: message.into(),
        });
    }

    pub(super) fn into_result(self) -> Result<(), Denial> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Denial { problems: self.0 })
        }
    }
}

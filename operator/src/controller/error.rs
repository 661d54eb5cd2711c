//! Why a reconcile did not come to its end.

use crate::kube_error;

/// Why a reconcile did not come to its end. What is wrong with the *object* is not an error but a condition.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another replica leads now, or none can be sure.
    #[error("this replica does not lead any more")]
    NotLeading,
    /// It took too long.
    #[error("the API server did not answer in time")]
    TimedOut,
    /// The bundle's Secret could not be read.
    #[error("reading the bundle: {}", kube_error::describe(.0))]
    ReadBundle(#[source] kube::Error),
    /// The bundle's Secret could not be written.
    #[error("writing the bundle: {}", kube_error::describe(.0))]
    WriteBundle(#[source] kube::Error),
    /// The object's status could not be written.
    #[error("writing the status: {}", kube_error::describe(.0))]
    WriteStatus(#[source] kube::Error),
}

impl Error {
    /// A stable token for metrics, logs and conditions.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotLeading => "NotLeading",
            Self::TimedOut => "TimedOut",
            Self::ReadBundle(_) => "BundleUnreadable",
            Self::WriteBundle(_) => "BundleNotWritten",
            Self::WriteStatus(_) => "StatusNotWritten",
        }
    }

    /// Whether trying again soon may help without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotLeading | Self::TimedOut => true,
            // A conflict means that somebody else wrote at the same moment; the other codes, that the API server is busy or gone.
            Self::ReadBundle(error) | Self::WriteBundle(error) | Self::WriteStatus(error) => {
                kube_error::code(error).is_none_or(|code| matches!(code, 408 | 409 | 429 | 500..))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure("no", "No").with_code(code)))
    }

    #[test]
    fn an_error_that_only_a_person_can_mend_is_not_tried_again_soon() {
        for code in [400, 403, 404, 422] {
            assert!(!Error::WriteBundle(api(code)).is_transient(), "{code}");
        }
        for code in [409, 429, 500, 503] {
            assert!(Error::WriteBundle(api(code)).is_transient(), "{code}");
        }
    }

    #[test]
    fn the_text_is_what_the_api_server_said_and_no_more() {
        assert_eq!(
            Error::WriteBundle(api(403)).to_string(),
            "writing the bundle: no"
        );
    }
}

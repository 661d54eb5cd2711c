//! Errors of the Kubernetes API in words for a log line or a status.

/// What went wrong, in one line. Neither the API server's whole answer nor a parser's words are in it: they may quote an object.
pub(crate) fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("the API server answered {} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            "the API server's answer could not be parsed".to_owned()
        }
        other => other.to_string(),
    }
}

/// The HTTP status of an answer; `None` if there was none.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

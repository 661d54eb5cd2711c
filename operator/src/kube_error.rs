//! Errors of the Kubernetes API in words for a log line or a status.

use std::error::Error;

/// What went wrong, in one line, with its cause. Neither the API server's whole answer nor a parser's words are in it: they may quote an
/// object.
pub(crate) fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("the API server answered {} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => status.message.clone(),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            "the API server's answer could not be parsed".to_owned()
        }
        kube::Error::Service(error) => {
            format!("the API server could not be reached: {}", chain(&**error))
        }
        other => chain(other),
    }
}

/// The HTTP status of an answer; `None` if there was none.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors print their cause themselves.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_quotes_is_left_out() {
        let parse = serde_json::from_str::<u8>("\"sk-live\"").unwrap_err();
        assert!(parse.to_string().contains("sk-live"));
        assert!(!describe(&kube::Error::SerdeError(parse)).contains("sk-live"));
    }

    #[test]
    fn a_refused_connection_says_so() {
        let refused =
            std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "Connection refused");
        let error = kube::Error::Service(Box::new(refused));
        assert_eq!(
            describe(&error),
            "the API server could not be reached: Connection refused"
        );
    }
}

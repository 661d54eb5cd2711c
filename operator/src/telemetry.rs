//! Logging: one line an event on standard error, never with a secret.

use anyhow::Context as _;
use tracing_subscriber::{EnvFilter, filter::Directive};

use crate::config::LogFormat;

/// The kube client logs the whole body of an answer that it cannot parse, which may be a Secret's. What it logs at `ERROR` are errors that
/// we log ourselves. This is appended after the user's directives, so that no `--log-level` can undo it.
const NEVER_BODIES: &str = "kube_client::client=off";

/// AWS's libraries log whole answers with their errors. What is wrong is told by a store's status, in words of our own.
const NEVER_ANSWERS: [&str; 4] = [
    "aws_config=off",
    "aws_runtime=off",
    "aws_smithy_runtime=off",
    "aws_smithy_runtime_api=off",
];

/// Starts logging for the whole process.
///
/// # Errors
/// If `level` is not a level or a list of directives, or logging was started before.
pub fn init(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => builder.try_init(),
    };
    started
        .map_err(|error| anyhow::anyhow!(error))
        .context("starting the log")
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let never_bodies: Directive = NEVER_BODIES
        .parse()
        .context("reading a constant directive")?;
    let filter =
        EnvFilter::try_new(level).with_context(|| format!("reading the log level {level:?}"))?;
    // A directive for a part of them would be stronger than ours.
    anyhow::ensure!(
        !level.contains("aws_"),
        "what AWS's libraries log may have secrets in it: leave them out of the log level"
    );
    let mut filter = filter.add_directive(never_bodies);
    for directive in NEVER_ANSWERS {
        filter = filter.add_directive(directive.parse().context("reading a constant directive")?);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_makes_the_client_log_bodies() {
        for level in [
            "trace",
            "info",
            "kube_client::client=trace",
            "kube_client=trace,info",
        ] {
            let shown = filter(level).unwrap().to_string();
            assert!(shown.contains(NEVER_BODIES), "{shown}");
            assert!(!shown.contains("kube_client::client=trace"), "{shown}");
        }
    }

    #[test]
    fn no_level_makes_the_libraries_of_aws_log() {
        let shown = filter("trace").unwrap().to_string();
        assert!(
            NEVER_ANSWERS.iter().all(|never| shown.contains(never)),
            "{shown}"
        );
        assert!(filter("info,aws_config::sts=trace").is_err());
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        assert!(filter("postern=loud").is_err());
    }
}

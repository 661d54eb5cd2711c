//! What the process does for itself: its log, its panics, and that nobody reads its memory.

use std::num::NonZeroUsize;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use tokio::runtime::{Builder, Runtime};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt};

use crate::config::{LogFormat, LogLevel};

mod json_lines;

use json_lines::JsonLines;

/// The most threads that carry requests.
const MAX_THREADS: usize = 2;

/// A runtime with a thread for each core that this process may use, and no more than two: a sidecar mostly has a fraction of one, where a
/// second thread would only be in the way of the first.
///
/// # Errors
/// The system's reason.
pub fn runtime() -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut builder = if cores == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder
        .worker_threads(cores.min(MAX_THREADS))
        .enable_all()
        .build()
}

/// Keeps the secrets in this process's memory: no core dump, and no other process of the same user may attach to it or read
/// `/proc/<pid>/mem` (prctl(2), `PR_SET_DUMPABLE`).
///
/// # Errors
/// The system's reason, which is a reason not to start.
pub fn harden() -> std::io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // The soft limit only: `postern run` starts programs that may want their own.
    let core = rustix::process::getrlimit(Resource::Core);
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            ..core
        },
    )?;
    Ok(())
}

/// Starts the log on standard output.
pub fn start_log(level: LogLevel, format: LogFormat) {
    let started = tracing::subscriber::set_global_default(log(level, format, std::io::stdout));
    started.expect("main starts the one log of the process");
}

/// A log that writes to `writer`. Libraries are heard from `warn` on only: below, they would log parts of messages.
pub fn log<W>(level: LogLevel, format: LogFormat, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target("postern", level);
    let registry = tracing_subscriber::registry().with(targets);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => Box::new(registry.with(lines.event_format(JsonLines))),
        LogFormat::Text => Box::new(registry.with(lines.with_ansi(false))),
    }
}

/// Logs where a panic happened and never what it said: its message may quote what was at hand.
pub fn quieten_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "a bug in postern ended one task");
    }));
}

//! Says on standard error what is being done, why, and how long it took.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long a step is silent before it says that it is still at it.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Does one step of work that a person may have to wait for: prints what and why, a sign of life, and the time taken.
pub fn step<T>(what: &str, why: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say(&format!("→ {what}: {why}"));
    let start = Instant::now();
    let result = thread::scope(|scope| {
        let (finished, wait) = mpsc::channel::<()>();
        scope.spawn(move || {
            while wait.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                say(&format!("  … {what}: {} s", start.elapsed().as_secs()));
            }
        });
        let result = work();
        drop(finished);
        result
    });
    let seconds = start.elapsed().as_secs_f32();
    match &result {
        Ok(_) => say(&format!("✓ {what} ({seconds:.1} s)")),
        Err(_) => say(&format!("✗ {what} ({seconds:.1} s)")),
    }
    result.with_context(|| what.to_owned())
}

/// Prints one line for a person.
pub(crate) fn say(line: &str) {
    // Nobody to read it (a closed pipe) is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

//! The log of the whole test program, written as the real program writes it.

use std::{
    io::Write,
    sync::{Mutex, Once},
};

use postern_sidecar::{
    config::{LogFormat, LogLevel},
    process,
};
use serde_json::Value;

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static START: Once = Once::new();

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Starts the log at its most talkative, once for all tests.
pub(super) fn start() {
    START.call_once(|| {
        let log = process::log(LogLevel::Debug, LogFormat::Json, || Writer);
        tracing::subscriber::set_global_default(log).unwrap();
    });
}

/// Everything that was logged.
pub(crate) fn whole_log() -> String {
    String::from_utf8(LOG.lock().unwrap().clone()).unwrap()
}

/// The access line of the request with this id, once it is written.
pub(crate) async fn line_of(request_id: &str) -> Value {
    super::eventually("the request was logged", async || {
        // Where it stands, and from the end: the log of a whole test program is long.
        let log = LOG.lock().unwrap();
        let text = str::from_utf8(&log).unwrap();
        let line = text.lines().rev().find(|line| line.contains(request_id))?;
        Some(serde_json::from_str(line).unwrap())
    })
    .await
}

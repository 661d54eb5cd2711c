//! `postern run`: the real program, a real child, a real upstream over TLS.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod call;
mod environment;
mod files;
mod signals;
mod status;
mod support;

//! The real program on a free port, with a real upstream: what the caller got, and what the upstream saw.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bundle;
mod caller;
mod content;
mod deny;
mod fetch;
mod golden;
mod goldens;
mod inject;
mod lifecycle;
mod limits;
mod mask;
mod mask_request;
mod overlap;
mod process;
mod rotation;
mod scrub;
mod secrecy;
mod smuggling;
mod stream;
mod support;
mod token;
mod upstream;
mod usage;

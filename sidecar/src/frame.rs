//! The frames in which answers come, cut incrementally: bytes in, in pieces of any size, and the same events out however they were cut.
//!
//! NDJSON needs no module of its own: it is one JSON value after another, which [`json::Scanner`] reads as they come.

pub(crate) mod aws;
pub(crate) mod json;
pub(crate) mod members;
pub(crate) mod sse;

//! `postern policy`: the real program on real folders.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod explain;
mod goldens;
mod mistakes;
mod support;
mod table;

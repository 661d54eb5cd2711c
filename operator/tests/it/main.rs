//! The operator, run in this process against an API server in memory.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

mod admin;
mod api_server;
mod bundles;
mod cluster;
mod leadership;
mod policies;
mod rotation;
mod sources;
mod staleness;
mod stores;

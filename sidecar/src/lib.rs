//! The sidecar: a proxy on localhost that decides every call of an application and puts the real credential into those it lets pass.
//!
//! *Architecture invariant: no Kubernetes client.* All that it knows comes from one document, the bundle, which is mounted; it has no other source of
//! truth, so it goes on when the operator is gone. A bundle may say where a newer one can be fetched before it is mounted: that is a shortcut, and nothing
//! depends on it.
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
#[doc(hidden)]
pub mod bench;
pub mod config;
#[doc(hidden)]
pub mod fuzz;
pub mod policy_command;
pub mod process;
pub mod run;

mod admin;
mod answer;
mod body;
mod bundle;
mod clock;
mod dialect;
mod error;
mod fetch;
mod frame;
mod limits;
mod listener;
mod mask;
mod meter;
mod metrics;
mod percent;
mod proxy;
mod scrub;
mod snapshot;
mod token;
mod upstream;
mod wiped;

pub use app::App;
pub use config::{ApiHost, Config, Source};

//! A real Kubernetes cluster on this machine, and the images that run on it: the ground for tests, demo and benchmarks.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let cluster = postern_e2e::Cluster::ensure()?;
//! println!("{}", cluster.kubectl(["get", "nodes"])?);
//! # Ok(()) }
//! ```

mod cache;
pub mod cluster;
mod digest;
pub mod house;
pub mod image;
mod namespace;
pub mod neighbours;
mod openbao;
pub mod packages;
pub mod pki;
mod postgres;
mod process;
mod progress;
pub mod provider;
mod random;
pub mod run;
mod tools;
mod wait;

pub use cache::{Cache, Lock};
pub use cluster::Cluster;
pub use house::House;
pub use image::Image;
pub use namespace::{Namespace, PATIENCE};
pub use openbao::OpenBao;
pub use postgres::Postgres;
pub use progress::step;
pub use provider::Provider;
pub use random::random;
pub use tools::Tools;
pub use wait::until;

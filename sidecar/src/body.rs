//! The two bodies that pass through.

mod request;
mod response;

pub(crate) use request::{CallerBody, RequestBody};
pub(crate) use response::{ResponseBody, Stages};

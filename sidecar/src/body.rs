//! The two bodies that pass through.

mod decode;
mod request;
mod response;

pub(crate) use decode::{Decoder, Unknown};
pub(crate) use request::{CallerBody, RequestBody};
pub(crate) use response::{BodyError, ResponseBody, Stages};

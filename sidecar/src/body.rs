//! The two bodies that pass through.

mod decode;
mod request;
mod response;

pub(crate) use decode::{Bound, Decoder, Encoding, Undecodable, Unknown};
pub(crate) use request::{CallerBody, RequestBody};
pub(crate) use response::{BodyError, ResponseBody, Stages};

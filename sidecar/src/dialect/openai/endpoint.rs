//! Which operations the API has, and where each of them names its model.

use postern_crds::facts::Operation;

use super::{
    super::{Unreadable, draft::Draft, json::Value},
    chat,
};

/// One operation of the API.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Endpoint {
    /// What it is in the vocabulary of all dialects.
    pub(super) operation: Operation,
    /// What its body says.
    pub(super) body: Body,
}

/// What a body says of its models.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// A JSON document with the model in it, which this reads.
    Json(fn(Value<'_, '_>, &mut Draft) -> Result<(), Unreadable>),
    /// Nothing: no model is concerned.
    Unread,
    /// The models stand elsewhere, or the operation is not known.
    Hidden,
}

/// The operation of a method and a path below the base path.
pub(in super::super) fn endpoint(method: &str, segments: &[&str]) -> Endpoint {
    use Operation as O;
    let (operation, body) = match (method, segments) {
        ("POST", ["chat", "completions"]) => (O::Chat, Body::Json(chat::read)),
        ("GET" | "HEAD", ["models", ..]) => (O::Models, Body::Unread),
        _ => (O::Unknown, Body::Hidden),
    };
    Endpoint { operation, body }
}

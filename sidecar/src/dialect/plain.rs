//! Services without a format of their own here: JSON where the request says so, and otherwise bytes.
//!
//! What an operation means only its service knows. Of a strict JSON body, the `model` at its top is taken for what it says; ranking and embedding
//! are known by the last segment of their path, which Jina, Voyage and the servers of Hugging Face have alike.

use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Request, Unreadable, blocks,
    draft::Draft,
    json::{self, Kind, Value},
    media::{self, Media},
    model, query,
};

fn operation(head: &Head<'_>) -> Operation {
    match (head.method, head.path.rsplit('/').next()) {
        ("POST", Some("embeddings" | "multimodalembeddings" | "contextualizedembeddings")) => {
            Operation::Embeddings
        }
        ("POST", Some("rerank")) => Operation::Rerank,
        _ => Operation::Unknown,
    }
}

/// Whether the method asks for nothing but an answer.
fn is_read(head: &Head<'_>) -> bool {
    matches!(head.method, "GET" | "HEAD" | "OPTIONS")
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let is_silent = query::values(head.query, "model").is_ok_and(|names| names.is_empty());
    let models = if is_read(head) && is_silent {
        Models::None
    } else {
        Models::Hidden
    };
    Draft::head(operation(head), models)
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let head = &request.head;
    let mut draft = Draft::new(operation(head));
    let mut is_opaque = false;
    match media::kind(request.headers)? {
        Media::Json if !request.body.is_empty() => {
            json::read(request.body, |value| body(value, &mut draft))?;
        }
        _ => is_opaque = !request.body.is_empty(),
    }
    for name in query::values(head.query, "model")? {
        model(&name, &mut draft);
    }
    let asks_only = is_read(head) && request.body.is_empty();
    if !draft.has_models() && !asks_only {
        draft.hide_models();
    }
    if is_opaque {
        draft.input.incomplete();
    }
    Ok(draft.finish())
}

/// Cars and devices have models too: what can be no name of a language model is not refused here, and hides them.
fn model(name: &str, draft: &mut Draft) {
    match model::named(name) {
        Ok(model) => draft.model(model),
        Err(_) => draft.hide_models(),
    }
}

fn body(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "documents",
        "input",
        "inputs",
        "messages",
        "model",
        "query",
        "stream",
    ];
    if value.kind() != Some(Kind::Object) {
        return Ok(value.weigh(&mut draft.input)?);
    }
    value.object(FIELDS, |field, value| match (field, value.kind()) {
        // Members of other types mean something else to this service.
        ("model", Some(Kind::Text)) => {
            model(&value.text()?, draft);
            Ok(())
        }
        ("stream", Some(Kind::Flag)) => Ok(draft.stream(value)?),
        ("messages", Some(Kind::List)) => value.list(|value| {
            draft.message();
            blocks::content(value, draft)
        }),
        ("input" | "inputs", Some(Kind::List)) => value.list(|value| {
            draft.embeddings(1);
            blocks::content(value, draft)
        }),
        _ => Ok(value.weigh(&mut draft.input)?),
    })
}

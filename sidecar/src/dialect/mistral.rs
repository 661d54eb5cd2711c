//! Mistral's API: OpenAI's format for chat and embeddings, and operations of its own (<https://docs.mistral.ai/api/>).

use http::{HeaderMap, header};
use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Request, Unreadable, blocks,
    draft::Draft,
    json::{self, Kind, Value},
    media, openai, query, tools,
};

/// What an operation's body says of its model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Names it, or an agent, whose model the vendor keeps.
    Json,
    /// A form that names it.
    Form,
    /// No model is concerned.
    Unread,
    /// The models stand elsewhere.
    Hidden,
}

fn endpoint(method: &str, segments: &[&str]) -> (Operation, Body) {
    use Operation as O;
    match (method, segments) {
        ("POST", ["chat", "completions"] | ["agents", "completions"]) => (O::Chat, Body::Json),
        ("POST", ["fim", "completions"]) => (O::TextCompletion, Body::Json),
        ("POST", ["embeddings"]) => (O::Embeddings, Body::Json),
        (
            "POST",
            ["moderations" | "classifications"] | ["chat", "moderations" | "classifications"],
        ) => (O::Moderation, Body::Json),
        // Text from pictures of it: a chat with the document, for all that a rule cares.
        ("POST", ["ocr"]) => (O::Chat, Body::Json),
        ("POST", ["conversations"]) => (O::Chat, Body::Json),
        // The conversation's model is the vendor's to know.
        ("POST", ["conversations", _] | ["conversations", _, "restart"]) => (O::Chat, Body::Hidden),
        ("GET" | "DELETE", ["conversations", ..]) => (O::Stored, Body::Unread),
        ("GET" | "DELETE", ["agents", ..]) => (O::Stored, Body::Unread),
        (_, ["agents", ..]) => (O::Stored, Body::Hidden),
        (_, ["libraries", ..]) => (O::Stored, Body::Unread),
        ("POST", ["audio", "transcriptions"]) => (O::Transcription, Body::Form),
        ("POST", ["audio", "speech"]) => (O::Speech, Body::Json),
        (_, ["audio", "voices", ..]) => (O::Stored, Body::Unread),
        (_, ["files", ..]) => (O::Files, Body::Unread),
        ("GET", ["batch", ..]) => (O::Batch, Body::Unread),
        // The jobs' lines may name other models than the job does.
        (_, ["batch", ..]) => (O::Batch, Body::Hidden),
        ("GET", ["fine_tuning", ..]) => (O::FineTuning, Body::Unread),
        (_, ["fine_tuning", ..]) => (O::FineTuning, Body::Hidden),
        ("GET", ["models"] | ["models", _]) => (O::Models, Body::Unread),
        ("DELETE", ["models", _]) => (O::Models, Body::Hidden),
        _ => (O::Unknown, Body::Hidden),
    }
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let (operation, body) = endpoint(head.method, &head.segments());
    let models = match body {
        Body::Unread => Models::None,
        Body::Json | Body::Form | Body::Hidden => Models::Hidden,
    };
    Draft::head(operation, models)
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let (operation, kind) = endpoint(request.head.method, &request.head.segments());
    let mut draft = Draft::new(operation);
    match kind {
        Body::Json => {
            media::json(request.headers)?;
            json::read(request.body, |value| body(value, operation, &mut draft))?;
        }
        Body::Form if is_urlencoded(request.headers) => form(request.body, &mut draft)?,
        // With a file, it is OpenAI's operation.
        Body::Form => {
            return Ok(Call {
                operation,
                ..openai::read(request)?
            });
        }
        Body::Unread => return Ok(draft.finish()),
        Body::Hidden => {
            draft.hide_models();
            draft.input.incomplete();
        }
    }
    query::models(request.head.query, &mut draft)?;
    if !draft.has_models() {
        return Err(Unreadable::NoModel);
    }
    Ok(draft.finish())
}

/// All operations use the same words for the same things.
fn body(value: Value<'_, '_>, operation: Operation, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "agent_id",
        "completion_args",
        "document",
        "input",
        "inputs",
        "instructions",
        "max_tokens",
        "messages",
        "model",
        "n",
        "prediction",
        "prompt",
        "response_format",
        "stream",
        "suffix",
        "tools",
    ];
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => draft.model_member(value),
            // Its model, instructions and tools are kept at the vendor.
            "agent_id" => {
                draft.hide_models();
                draft.input.incomplete();
                Ok(value.skip()?)
            }
            "messages" => blocks::messages(value, draft),
            "max_tokens" => Ok(draft.max_tokens(value)?),
            "n" => Ok(draft.n(value)?),
            "stream" => Ok(draft.stream(value)?),
            "tools" => tools::list(value, draft),
            "document" => {
                // Its pages become the input.
                draft.input.incomplete();
                blocks::content(value, draft)
            }
            "completion_args" => {
                value.object(&["max_tokens", "response_format"], |field, value| {
                    if field == "max_tokens" {
                        Ok(draft.max_tokens(value)?)
                    } else {
                        Ok(value.weigh(&mut draft.input)?)
                    }
                })
            }
            "input" | "inputs" => inputs(value, operation, draft),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// Texts to be embedded or judged, or the entries of a conversation: one, or a list of them.
fn inputs(value: Value<'_, '_>, operation: Operation, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() == Some(Kind::List) {
        return value.list(|value| inputs(value, operation, draft));
    }
    match operation {
        Operation::Embeddings => draft.embeddings(1),
        Operation::Chat => draft.message(),
        _ => {}
    }
    blocks::content(value, draft)
}

/// Whether the body is a form without files, which is what the vendor's own client sends where the sound stands at an address.
fn is_urlencoded(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    kinds
        .next()
        .is_some_and(|kind| kind == "application/x-www-form-urlencoded")
        && kinds.next().is_none()
}

/// Such a form, which is written like a query.
fn form(body: &[u8], draft: &mut Draft) -> Result<(), Unreadable> {
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::Query)?;
    query::models(Some(text), draft)?;
    if query::values(Some(text), "stream")?
        .iter()
        .any(|value| value != "false")
    {
        draft.streams();
    }
    draft.input.incomplete();
    Ok(())
}

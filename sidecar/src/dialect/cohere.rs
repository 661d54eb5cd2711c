//! Cohere's API, versions 1 and 2: <https://docs.cohere.com/reference/about>.

use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Request, Unreadable, blocks,
    draft::Draft,
    json::{self, Value},
    media, openai, query, tools,
};

/// Where an operation has its model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Model {
    /// In the body, and it must.
    Named,
    /// In the body; where it is not, the vendor takes one that it does not tell beforehand.
    Defaulted,
    /// Nowhere: no model is concerned.
    None,
    /// Elsewhere.
    Hidden,
}

fn endpoint(method: &str, segments: &[&str]) -> (Operation, Model) {
    use Operation as O;
    match (method, segments) {
        ("POST", ["v2", "chat"]) => (O::Chat, Model::Named),
        ("POST", ["v1", "chat"]) => (O::Chat, Model::Defaulted),
        ("POST", ["v1", "generate" | "summarize"]) => (O::TextCompletion, Model::Defaulted),
        ("POST", ["v2", "embed"]) => (O::Embeddings, Model::Named),
        ("POST", ["v1", "embed"]) => (O::Embeddings, Model::Defaulted),
        ("POST", ["v2", "rerank"]) => (O::Rerank, Model::Named),
        ("POST", ["v1", "rerank"]) => (O::Rerank, Model::Defaulted),
        ("POST", ["v1", "classify"]) => (O::Moderation, Model::Defaulted),
        ("POST", ["v1", "tokenize" | "detokenize"]) => (O::CountTokens, Model::Named),
        ("POST", ["v2", "audio", "transcriptions"]) => (O::Transcription, Model::Hidden),
        ("GET", ["v1", "models"] | ["v1", "models", _]) => (O::Models, Model::None),
        // Jobs over a data set, with the model in the body.
        ("POST", ["v1", "embed-jobs"]) => (O::Batch, Model::Named),
        ("GET", ["v1", "embed-jobs", ..]) => (O::Batch, Model::None),
        ("POST", ["v1", "embed-jobs", _, "cancel"]) => (O::Batch, Model::None),
        ("POST", ["v2", "batches"]) => (O::Batch, Model::Hidden),
        (_, ["v1", "datasets", ..]) => (O::Files, Model::None),
        // They say where a chat may look.
        (_, ["v1", "connectors", ..]) => (O::Stored, Model::None),
        ("GET", ["v1", "finetuning", ..]) => (O::FineTuning, Model::None),
        (_, ["v1", "finetuning", ..]) => (O::FineTuning, Model::Hidden),
        ("POST", ["v1", "check-api-key"]) => (O::Models, Model::None),
        _ => (O::Unknown, Model::Hidden),
    }
}

/// OpenAI's API, which Cohere has too (<https://docs.cohere.com/docs/compatibility-api>).
fn compatible<'a>(head: &Head<'a>) -> Option<Head<'a>> {
    const BASE: &str = "/compatibility/v1";
    head.path.strip_prefix(BASE).map(|_| Head {
        base_path: BASE,
        ..*head
    })
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    if let Some(head) = compatible(head) {
        return openai::head(&head);
    }
    let (operation, model) = endpoint(head.method, &head.segments());
    let models = match model {
        Model::None => Models::None,
        Model::Named | Model::Defaulted | Model::Hidden => Models::Hidden,
    };
    Draft::head(operation, models)
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    if let Some(head) = compatible(&request.head) {
        return openai::read(&Request { head, ..*request });
    }
    let (operation, model) = endpoint(request.head.method, &request.head.segments());
    let mut draft = Draft::new(operation);
    match model {
        Model::Named | Model::Defaulted => {
            media::json(request.headers)?;
            json::read(request.body, |value| body(value, &mut draft))?;
            query::models(request.head.query, &mut draft)?;
            if !draft.has_models() && model == Model::Named {
                return Err(Unreadable::NoModel);
            }
            if !draft.has_models() {
                draft.hide_models();
            }
        }
        Model::None => {}
        Model::Hidden => draft.hide_models(),
    }
    Ok(draft.finish())
}

/// All operations use the same words for the same things.
fn body(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "chat_history",
        "connectors",
        "conversation_id",
        "documents",
        "examples",
        "images",
        "inputs",
        "max_tokens",
        "message",
        "messages",
        "model",
        "num_generations",
        "preamble",
        "preset",
        "prompt",
        "query",
        "response_format",
        "stream",
        "text",
        "texts",
        "tool_results",
        "tools",
    ];
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => draft.model_member(value),
            "messages" | "chat_history" => blocks::messages(value, draft),
            "message" => {
                draft.message();
                Ok(value.weigh(&mut draft.input)?)
            }
            "max_tokens" => Ok(draft.max_tokens(value)?),
            "num_generations" => Ok(draft.n(value)?),
            "stream" => Ok(draft.stream(value)?),
            "tools" => tools::list(value, draft),
            "connectors" => value.list(|value| connector(value, draft)),
            // A conversation or a preset at the vendor: what it says is not in the call, and it may name a model.
            "conversation_id" => {
                draft.input.incomplete();
                Ok(value.skip()?)
            }
            "preset" => {
                draft.input.incomplete();
                draft.hide_models();
                Ok(value.skip()?)
            }
            "texts" | "inputs" => value.list(|value| {
                draft.embeddings(1);
                blocks::content(value, draft)
            }),
            "images" => value.list(|value| {
                draft.embeddings(1);
                blocks::image(draft);
                Ok(value.skip()?)
            }),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// A place where the vendor looks before the model answers.
fn connector(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["id"], |_, value| {
        let id = value.text()?;
        draft.vendor_tool(format!("connector:{id}"));
        Ok(())
    })
}

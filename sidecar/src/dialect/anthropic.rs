//! Anthropic's Messages API: <https://docs.claude.com/en/api/messages>.

use postern_crds::facts::{Call, Models, Operation};

use super::{
    Head, Reader, Request, Unreadable, blocks,
    draft::Draft,
    estimate,
    json::{self, Kind, Value},
    media, openai,
};

/// What the vendor says to the model once where there are tools or citations: 313 to 530 tokens by its documentation
/// (<https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview>), up to 590 in recorded calls.
const PREAMBLE_TOKENS: u64 = 600;

/// What an answer in a given shape adds, in recorded calls.
const SHAPE_TOKENS: u64 = 150;

/// What thinking adds, in recorded calls.
const THINKING_TOKENS: u64 = 40;

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    let (operation, body) = endpoint(head.method, &head.segments());
    let models = match body {
        Body::Nowhere => Models::None,
        Body::Json(_) | Body::Hidden => Models::Hidden,
    };
    Draft::head(operation, models)
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let (operation, body) = endpoint(request.head.method, &request.head.segments());
    let mut draft = Draft::new(operation);
    match body {
        Body::Json(reader) => {
            media::json(request.headers)?;
            json::read(request.body, |value| reader(value, &mut draft))?;
            draft.query_models(request.head.query)?;
            if !draft.has_models() {
                return Err(Unreadable::NoModel);
            }
        }
        Body::Nowhere => {}
        Body::Hidden => draft.hide_models(),
    }
    Ok(draft.finish())
}

/// Where an operation's models stand.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// In a JSON document, which this reads.
    Json(Reader),
    /// Nowhere: no model is concerned.
    Nowhere,
    /// Elsewhere, or the operation is not known.
    Hidden,
}

fn endpoint(method: &str, segments: &[&str]) -> (Operation, Body) {
    let is_read = matches!(method, "GET" | "HEAD");
    match segments {
        // To a lenient server it may be the same without the slash at the end.
        [.., ""] => (Operation::Unknown, Body::Hidden),
        ["messages"] if method == "POST" => (Operation::Chat, Body::Json(messages)),
        ["messages", "count_tokens"] if method == "POST" => {
            (Operation::CountTokens, Body::Json(messages))
        }
        // For OpenAI's clients: <https://docs.claude.com/en/api/openai-sdk>.
        ["chat", "completions"] if method == "POST" => {
            (Operation::Chat, Body::Json(openai::chat::read))
        }
        ["complete"] if method == "POST" => (Operation::TextCompletion, Body::Json(complete)),
        ["messages", "batches"] if method == "POST" => (Operation::Batch, Body::Json(batch)),
        ["messages", "batches", _, "cancel"] if method == "POST" => {
            (Operation::Batch, Body::Nowhere)
        }
        ["messages", "batches", ..] if is_read || method == "DELETE" => {
            (Operation::Batch, Body::Nowhere)
        }
        ["files", ..] if is_read || matches!(method, "POST" | "DELETE") => {
            (Operation::Files, Body::Nowhere)
        }
        ["models", ..] if is_read => (Operation::Models, Body::Nowhere),
        // Skills run in a container at the vendor; which model uses them is said by the call that does.
        ["skills", ..] if is_read || matches!(method, "POST" | "DELETE") => {
            (Operation::Stored, Body::Nowhere)
        }
        _ => (Operation::Unknown, Body::Hidden),
    }
}

/// Reads the body of `POST /messages`, and of all that takes the same.
pub(super) fn messages(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "container",
        "fallbacks",
        "max_tokens",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "output_format",
        "stream",
        "system",
        "thinking",
        "thread",
        "tools",
    ];
    value.object(FIELDS, |field, value| {
        match field {
            "model" => draft.model_member(value)?,
            "max_tokens" => draft.max_tokens(value)?,
            "stream" => draft.stream(value)?,
            "system" => content(value, draft)?,
            "messages" => value.list(|value| message(value, draft))?,
            _ => {
                let Some(value) = value.optional()? else {
                    return Ok(());
                };
                match field {
                    "tools" => value.list(|value| tool(value, draft))?,
                    "mcp_servers" => value.list(|value| server(value, draft))?,
                    "fallbacks" => fallbacks(value, draft)?,
                    // The state of an earlier call, and skills with it; a conversation that the vendor keeps.
                    "container" | "thread" => {
                        value.skip()?;
                        draft.input.incomplete();
                    }
                    // Answers in a shape are asked for in words.
                    "output_config" | "output_format" => {
                        value.weigh(&mut draft.input)?;
                        draft.input.preamble(SHAPE_TOKENS);
                    }
                    "thinking" => {
                        value.skip()?;
                        draft.input.preamble(THINKING_TOKENS);
                    }
                    _ => value.weigh(&mut draft.input)?,
                }
            }
        }
        Ok(())
    })
}

/// Models to try when the first declines; or a word by which the vendor chooses them.
fn fallbacks(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() != Some(Kind::List) {
        value.skip()?;
        draft.hide_models();
        return Ok(());
    }
    value.list(|value| fallback(value, draft))
}

fn fallback(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["model", "max_tokens"], |field, value| {
        if field == "model" {
            draft.model_member(value)
        } else {
            Ok(draft.max_tokens(value)?)
        }
    })
}

fn message(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    draft.message();
    draft.input.tokens_given(estimate::MESSAGE);
    draft.input.preamble(estimate::FRAME);
    value.object(&["content"], |_, value| content(value, draft))
}

fn content(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    blocks::strict(value, draft, "a text or a list of blocks", block)
}

/// What stands behind a block's `source`.
#[derive(Default)]
struct Source {
    base64: usize,
    is_elsewhere: bool,
}

fn block(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "citations",
        "content",
        "context",
        "data",
        "file_id",
        "input",
        "name",
        "source",
        "text",
        "thinking",
        "title",
        "tool",
        "tool_changes",
        "type",
    ];
    let (mut is_image, mut source) = (false, Source::default());
    value.object(FIELDS, |field, value| {
        match field {
            "type" => is_image = value.text()? == "image",
            // The results of tools have blocks of their own; some are one block and no list.
            "content" => content(value, draft)?,
            "source" => read_source(value, draft, &mut source)?,
            "citations" => {
                value.skip()?;
                draft.input.preamble(PREAMBLE_TOKENS);
            }
            "tool" => addition(value, draft)?,
            "tool_changes" => additions(value, draft)?,
            "file_id" => {
                value.skip()?;
                source.is_elsewhere = true;
            }
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })?;
    if is_image {
        draft.image();
        draft.input.image();
    } else if source.base64 > 0 {
        draft.input.document(source.base64);
    } else if source.is_elsewhere {
        draft.input.incomplete();
    }
    Ok(())
}

/// An image's or a document's bytes, text, blocks, address or file; a text in place of an object is a search result's address.
fn read_source(
    value: Value<'_, '_>,
    draft: &mut Draft,
    source: &mut Source,
) -> Result<(), Unreadable> {
    if value.kind() != Some(Kind::Object) {
        return Ok(value.weigh(&mut draft.input)?);
    }
    let (mut data, mut is_base64) = (None, false);
    value.object(
        &["content", "data", "file_id", "type", "url"],
        |field, value| {
            match field {
                "type" => is_base64 = value.text()? == "base64",
                "data" => data = Some(value.text()?),
                "content" => content(value, draft)?,
                _ => {
                    value.skip()?;
                    source.is_elsewhere = true;
                }
            }
            Ok(())
        },
    )?;
    match data {
        Some(data) if is_base64 => source.base64 += data.len(),
        Some(data) => draft.input.text(&data),
        None => {}
    }
    Ok(())
}

/// The `tool` of a block that makes a tool available in the midst of a conversation: a definition, or the name of one that stands elsewhere in
/// the call.
pub(super) fn addition(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() != Some(Kind::Object) {
        return Ok(value.skip()?);
    }
    value.object(&["definition"], |_, value| tool(value, draft))
}

/// Such blocks, as the summary of a conversation repeats them.
pub(super) fn additions(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    match value.optional()? {
        Some(value) => {
            value.list(|value| value.object(&["tool"], |_, value| addition(value, draft)))
        }
        None => Ok(()),
    }
}

/// A tool of the caller by its name, one of the vendor's by its type (`web_search_20250305`), one of a server's by the server.
fn tool(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "description",
        "input_schema",
        "mcp_server_name",
        "model",
        "name",
        "type",
    ];
    let nameless = value.expected("a tool with a name or a type of its own");
    let (mut name, mut kind, mut server) = (None, None, None);
    value.object(FIELDS, |field, value| {
        match field {
            "name" => name = Some(value.text()?.into_owned()),
            "mcp_server_name" => server = Some(value.text()?.into_owned()),
            "type" => kind = value.optional()?.map(Value::text).transpose()?,
            // An advisor is another model that this one may ask.
            "model" => draft.model_member(value)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })?;
    draft.input.preamble(PREAMBLE_TOKENS);
    match (kind.as_deref(), name, server) {
        (_, _, Some(server)) => draft.vendor_tool(format!("mcp:{server}")),
        (Some("custom") | None, Some(name), None) => draft.tool(name),
        (Some("custom") | None, None, None) => return Err(nameless.into()),
        (Some(kind), _, None) => draft.vendor_tool(kind),
    }
    Ok(())
}

/// An MCP server that the vendor asks for the model.
fn server(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut name = None;
    value.object(&["name"], |_, value| {
        name = Some(value.text()?.into_owned());
        Ok(())
    })?;
    draft.vendor_tool(format!("mcp:{}", name.unwrap_or_default()));
    Ok(())
}

/// Reads the body of the older `POST /complete`.
fn complete(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(
        &["max_tokens_to_sample", "model", "prompt", "stream"],
        |field, value| {
            match field {
                "model" => draft.model_member(value)?,
                "max_tokens_to_sample" => draft.max_tokens(value)?,
                "stream" => draft.stream(value)?,
                _ => value.weigh(&mut draft.input)?,
            }
            Ok(())
        },
    )
}

/// Reads the body of `POST /messages/batches`: every request stands in it, so all of them are one call with all their models and tools.
fn batch(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut requests = 0;
    value.object(&["model", "requests"], |field, value| {
        // It has no place here, and says something if it is there.
        if field == "model" {
            return draft.model_member(value);
        }
        value.list(|value| {
            requests += 1;
            value.object(&["params"], |_, value| messages(value, draft))
        })
    })?;
    draft.times(requests);
    Ok(())
}

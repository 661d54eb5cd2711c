//! Which operations the API has, and where each of them names its model.

use postern_crds::facts::Operation;

use super::{
    super::{Reader, anthropic},
    assistants, chat, completions, embeddings, prompt, responses,
};

/// One operation of the API.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Endpoint {
    /// What it is in the vocabulary of all dialects.
    pub(super) operation: Operation,
    /// Where its models stand.
    pub(super) body: Body,
}

/// Where an operation's models stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// In a JSON document that must name one.
    Json(Reader),
    /// In a JSON document that may leave it to the provider, which then takes whichever it likes.
    Defaulted(Reader),
    /// In a form, or for newer versions of the operation in such a document.
    Form(Option<Reader>),
    /// In the query.
    Query,
    /// Nowhere: no model is concerned.
    Nowhere,
    /// In a file or in something stored, or the operation is not known.
    Hidden,
}

/// The operation of a method and a path below the base path. A path that is not here, be it by a capital letter or a slash, is unknown: it
/// may do anything.
pub(in super::super) fn endpoint(method: &str, segments: &[&str]) -> Endpoint {
    use Body::{Defaulted, Form, Hidden, Json, Nowhere, Query};
    use Operation as O;
    let is_read = matches!(method, "GET" | "HEAD");
    let is_write = matches!(method, "POST" | "DELETE");
    let (operation, body) = match segments {
        // With a slash behind it `chat/completions` may be itself to a lenient server, and a stored answer's place to the patterns below.
        [.., ""] => (O::Unknown, Hidden),
        ["chat", "completions"] if method == "POST" => (O::Chat, Json(chat::read)),
        ["responses"] if method == "POST" => (O::Chat, Json(responses::read)),
        ["responses", "compact"] if method == "POST" => (O::Chat, Json(responses::read)),
        ["responses", "input_tokens"] if method == "POST" => {
            (O::CountTokens, Json(responses::read))
        }
        ["completions"] if method == "POST" => (O::TextCompletion, Json(completions::read)),
        // OpenRouter, vLLM and xAI serve Anthropic's operation too.
        ["messages"] if method == "POST" => (O::Chat, Json(anthropic::messages)),
        ["messages", "count_tokens"] if method == "POST" => {
            (O::CountTokens, Json(anthropic::messages))
        }
        ["embeddings"] if method == "POST" => (O::Embeddings, Json(embeddings::read)),
        ["rerank" | "score"] if method == "POST" => (O::Rerank, Json(prompt::read)),
        // Perplexity's.
        ["search"] if method == "POST" => (O::Search, Nowhere),
        ["moderations"] if method == "POST" => (O::Moderation, Defaulted(prompt::read)),

        ["images", "generations"] if method == "POST" => {
            (O::ImageGeneration, Defaulted(prompt::read))
        }
        ["images", "edits"] if method == "POST" => (O::ImageEdit, Form(Some(prompt::read))),
        ["images", "variations"] if method == "POST" => (O::ImageEdit, Form(None)),
        ["audio", "speech"] if method == "POST" => (O::Speech, Json(prompt::read)),
        ["audio", "transcriptions"] if method == "POST" => (O::Transcription, Form(None)),
        ["audio", "translations"] if method == "POST" => (O::Translation, Form(None)),
        ["videos"] if method == "POST" => (O::Video, Form(Some(prompt::read))),
        // A remix takes the model of the first video.
        ["videos", ..] if method == "POST" => (O::Video, Hidden),
        ["videos", ..] if is_read || is_write => (O::Video, Nowhere),

        // A live session's first message may name another model than its address, unless the address names one.
        ["realtime"] if is_read => (O::Realtime, Query),
        ["realtime" | "live", ..] => (O::Realtime, Hidden),
        // The same as a socket: every message on it is a call of its own.
        ["responses"] if is_read => (O::Realtime, Hidden),

        ["files" | "uploads", ..] if is_read || is_write => (O::Files, Nowhere),
        ["batches", _, "cancel"] if method == "POST" => (O::Batch, Nowhere),
        ["batches" | "evals", ..] if is_read || method == "DELETE" => (O::Batch, Nowhere),
        ["batches" | "evals", ..] if method == "POST" => (O::Batch, Hidden),
        ["fine_tuning", "jobs"] if method == "POST" => (O::FineTuning, Json(prompt::read)),
        ["fine_tuning", "jobs", _, "cancel" | "pause" | "resume"] if method == "POST" => {
            (O::FineTuning, Nowhere)
        }
        ["fine_tuning" | "fine-tunes", ..] if is_read || method == "DELETE" => {
            (O::FineTuning, Nowhere)
        }
        ["fine_tuning" | "fine-tunes", ..] if method == "POST" => (O::FineTuning, Hidden),
        ["models", ..] if is_read => (O::Models, Nowhere),
        ["models", ..] if is_write => (O::Models, Hidden),

        ["assistants"] if method == "POST" => (O::Stored, Json(assistants::read)),
        ["assistants", _] if method == "POST" => (O::Stored, Defaulted(assistants::read)),
        ["threads", "runs"] | ["threads", _, "runs"] if method == "POST" => {
            (O::Stored, Defaulted(assistants::read))
        }
        // Goes on with a run, whose model stands in it.
        ["threads", _, "runs", _, "submit_tool_outputs"] if method == "POST" => (O::Stored, Hidden),
        ["vector_stores", _, "search"] if method == "POST" => (O::Search, Nowhere),
        [
            "assistants" | "containers" | "conversations" | "threads" | "vector_stores",
            ..,
        ] if is_read || is_write => (O::Stored, Nowhere),
        // Stored answers: reading, labelling, cancelling and deleting them.
        ["chat", "completions", ..] if is_read => (O::Stored, Nowhere),
        ["chat", "completions", _] | ["responses", _, "cancel"] if is_write => (O::Stored, Nowhere),
        ["responses", _, ..] if is_read => (O::Stored, Nowhere),
        ["responses", _] if method == "DELETE" => (O::Stored, Nowhere),
        _ => (O::Unknown, Hidden),
    };
    Endpoint { operation, body }
}

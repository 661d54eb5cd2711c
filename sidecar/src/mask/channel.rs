//! Which members of a stream's events are pieces of one text, whose that is, and what ends it: one table a dialect.
//!
//! A text is told from others by its channel and by its owners, the members beside it or above it that say which answer and which part of it
//! is meant. Members that are in no table are texts of their own.

use std::sync::LazyLock;

use postern_crds::provider::Dialect;

use crate::frame::json::Paths;

/// How many members may say whose a text is.
pub(super) const OWNERS: usize = 4;

/// What a member of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    /// A piece of a text of this channel. Members of several names may be one channel's.
    pub(super) channel: Option<u8>,
    /// It says whose all texts in the object around it are: the number of this owner.
    pub(super) owner: Option<usize>,
    /// It may say that texts end.
    pub(super) stop: Option<Stop>,
}

/// Which values say that texts end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Any but `null` and `false`: those of the same first owner.
    Given,
    /// As the event's type: those that the type's name says.
    Type,
}

/// Whose texts end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Those of the same first owner.
    OfOwner,
    /// All.
    All,
}

impl Stop {
    /// What `value` ends, as it is written without quotes.
    pub(super) fn ends(self, value: &str) -> Option<Ended> {
        match self {
            Self::Given => (!matches!(value, "null" | "false")).then_some(Ended::OfOwner),
            Self::Type => ended_by(value),
        }
    }
}

/// What an event of this type ends.
pub(super) fn ended_by(kind: &str) -> Option<Ended> {
    match kind {
        // Anthropic, Cohere, Bedrock's Converse.
        "content_block_stop" | "content-end" | "tool-call-end" | "contentBlockStop" => {
            Some(Ended::OfOwner)
        }
        "message_delta" | "message_stop" | "message-end" | "messageStop" => Some(Ended::All),
        // OpenAI's Responses.
        "response.completed" | "response.incomplete" | "response.failed" | "error" => {
            Some(Ended::All)
        }
        // Each part and each item has an event of its own that says it whole.
        kind => kind.ends_with(".done").then_some(Ended::OfOwner),
    }
}

const NONE: Role = Role {
    channel: None,
    owner: None,
    stop: None,
};

const fn text(channel: u8) -> Role {
    Role {
        channel: Some(channel),
        ..NONE
    }
}

const fn owner(number: usize) -> Role {
    Role {
        owner: Some(number),
        ..NONE
    }
}

const GIVEN: Role = Role {
    stop: Some(Stop::Given),
    ..NONE
};

/// Of an event whose kind of text its type tells.
const TYPE: Role = Role {
    owner: Some(3),
    stop: Some(Stop::Type),
    ..NONE
};

type Table = &'static [(&'static str, Role)];

/// OpenAI's chat and completions, and all that speak like them
/// (<https://platform.openai.com/docs/api-reference/chat-streaming/streaming>). `reasoning_content` is DeepSeek's, `reasoning` and
/// `reasoning_details` OpenRouter's (<https://openrouter.ai/docs/use-cases/reasoning-tokens>), content in a list Mistral's
/// (<https://docs.mistral.ai/capabilities/reasoning/>).
const CHAT: Table = &[
    ("choices.*.index", owner(0)),
    ("choices.*.finish_reason", GIVEN),
    ("choices.*.text", text(0)),
    ("choices.*.delta.content", text(0)),
    ("choices.*.delta.content.*.text", text(0)),
    ("choices.*.delta.content.*.thinking.*.text", text(1)),
    ("choices.*.delta.refusal", text(2)),
    ("choices.*.delta.reasoning_content", text(1)),
    ("choices.*.delta.reasoning", text(3)),
    ("choices.*.delta.reasoning_details.*.index", owner(1)),
    ("choices.*.delta.reasoning_details.*.text", text(4)),
    ("choices.*.delta.reasoning_details.*.summary", text(5)),
    ("choices.*.delta.audio.transcript", text(6)),
    ("choices.*.delta.function_call.arguments", text(7)),
    ("choices.*.delta.tool_calls.*.index", owner(1)),
    ("choices.*.delta.tool_calls.*.function.arguments", text(8)),
    ("choices.*.delta.tool_calls.*.custom.input", text(9)),
];

/// OpenAI's Responses (<https://platform.openai.com/docs/api-reference/responses-streaming>): the type tells text from refusal, reasoning,
/// arguments and code.
const RESPONSES: Table = &[
    ("type", TYPE),
    ("output_index", owner(0)),
    ("content_index", owner(1)),
    ("summary_index", owner(2)),
    ("delta", text(20)),
];

/// OpenAI's Assistants (<https://platform.openai.com/docs/api-reference/assistants-streaming/events>).
const ASSISTANTS: Table = &[
    ("delta.content.*.index", owner(1)),
    ("delta.content.*.text.value", text(21)),
    ("delta.step_details.tool_calls.*.index", owner(1)),
    (
        "delta.step_details.tool_calls.*.function.arguments",
        text(22),
    ),
    (
        "delta.step_details.tool_calls.*.code_interpreter.input",
        text(23),
    ),
];

/// Anthropic (<https://docs.claude.com/en/docs/build-with-claude/streaming>), and its older text completions.
const ANTHROPIC: Table = &[
    ("type", TYPE_ALONE),
    ("index", owner(0)),
    ("content_block.text", text(30)),
    ("delta.text", text(30)),
    ("delta.partial_json", text(31)),
    ("content_block.thinking", text(32)),
    ("delta.thinking", text(32)),
    // Of a compaction.
    ("delta.content", text(33)),
    ("completion", text(34)),
];

/// Of a dialect whose members tell one kind of text from another, so that the type need not.
const TYPE_ALONE: Role = Role {
    stop: Some(Stop::Type),
    ..NONE
};

/// Gemini (<https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>): a candidate's parts go on with those of the event
/// before, thoughts and answers apart.
const GEMINI: Table = &[
    ("candidates.*.index", owner(0)),
    ("candidates.*.finishReason", GIVEN),
    ("candidates.*.content.parts.*.thought", owner(1)),
    ("candidates.*.content.parts.*.text", text(40)),
    (
        "candidates.*.content.parts.*.functionCall.partialArgs.*.jsonPath",
        owner(2),
    ),
    (
        "candidates.*.content.parts.*.functionCall.partialArgs.*.stringValue",
        text(41),
    ),
];

/// Cohere (<https://docs.cohere.com/reference/chat-stream>), and its first version's `text`.
const COHERE: Table = &[
    ("type", TYPE_ALONE),
    ("index", owner(0)),
    ("delta.message.content.text", text(50)),
    ("delta.message.content.thinking", text(51)),
    ("delta.message.tool_plan", text(52)),
    ("delta.message.tool_calls.function.arguments", text(53)),
    ("text", text(54)),
    ("is_finished", GIVEN),
];

/// Ollama (<https://github.com/ollama/ollama/blob/main/docs/api.md>).
const OLLAMA: Table = &[
    ("message.content", text(60)),
    ("message.thinking", text(61)),
    ("response", text(60)),
    ("thinking", text(61)),
    ("done", GIVEN),
];

/// Bedrock's Converse (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>), and InvokeModel with Nova,
/// Llama, Titan, Mistral; with Anthropic's table beside it. The types of Converse's events stand in their headers.
const BEDROCK: Table = &[
    ("contentBlockIndex", owner(0)),
    ("delta.toolUse.input", text(70)),
    ("delta.reasoningContent.text", text(71)),
    ("contentBlockDelta.contentBlockIndex", owner(0)),
    ("contentBlockDelta.delta.text", text(72)),
    ("contentBlockDelta.delta.toolUse.input", text(73)),
    ("generation", text(74)),
    ("outputText", text(75)),
    ("outputs.*.text", text(76)),
    ("stop_reason", GIVEN),
];

/// The channels of `dialect`'s streams.
pub(super) fn of(dialect: Dialect) -> &'static Paths<Role> {
    macro_rules! paths {
        ($($table:expr),+) => {{
            static PATHS: LazyLock<Paths<Role>> = LazyLock::new(|| {
                let tables: [Table; _] = [$($table),+];
                Paths::new(tables.into_iter().flatten().copied(), [])
            });
            &PATHS
        }};
    }
    match dialect {
        Dialect::OpenAi | Dialect::OpenRouter | Dialect::AzureOpenAi | Dialect::Mistral => {
            // Servers that copy OpenAI serve Anthropic's API too.
            paths!(ANTHROPIC, CHAT, ASSISTANTS, RESPONSES)
        }
        Dialect::Anthropic => paths!(ANTHROPIC),
        // Vertex AI has the models of others, which speak as they do.
        Dialect::Gemini => paths!(GEMINI, CHAT, ANTHROPIC),
        Dialect::Bedrock => paths!(ANTHROPIC, BEDROCK),
        Dialect::Cohere => paths!(COHERE, CHAT),
        Dialect::Ollama => paths!(OLLAMA, CHAT, RESPONSES),
        // A service that the registry does not know may speak like any of them. Where two tables name one member the later says what it is, and
        // that is right for both.
        Dialect::Pinecone | Dialect::Qdrant | Dialect::Weaviate | Dialect::Plain => {
            paths!(
                OLLAMA, GEMINI, COHERE, BEDROCK, ANTHROPIC, CHAT, ASSISTANTS, RESPONSES
            )
        }
    }
}

//! Where each dialect says what a call used: the members of its answers, whole and streamed, as paths.

use std::sync::LazyLock;

use postern_crds::provider::Dialect;

use crate::frame::json::Paths;

/// What a member says. Of several that say the same thing the last one holds: every dialect that says it more than once says sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Member {
    /// Input tokens; whether those of caches are among them depends on the dialect.
    Input,
    /// Input tokens of the vendor's own tools, beside `Input`.
    ToolInput,
    /// Input tokens read from a cache.
    Cached,
    /// Input tokens written into a cache, for whichever time.
    Written,
    /// Of those, for a long time.
    WrittenLong,
    /// Output tokens.
    Output,
    /// Output tokens of reasoning.
    Reasoning,
    /// All tokens.
    Total,
    /// The model that answers.
    Model,
    /// Why an answer ended.
    Finish,
    /// An error in place of an answer, or in the middle of one.
    Error,
    /// Text of the answer.
    Text,
}

use Member::{
    Cached, Error, Finish, Input, Model, Output, Reasoning, Text, ToolInput, Total, Written,
    WrittenLong,
};

/// Members whose values are read, and members whose text is counted.
type Table = (
    &'static [(&'static str, Member)],
    &'static [(&'static str, Member)],
);

/// OpenAI and all that speak its format.
///
/// Usage: <https://platform.openai.com/docs/api-reference/chat/object>, `/responses/object`, `/embeddings/object`, `/images/object`,
/// `/audio/json-object`. DeepSeek has cached tokens in members of their own (<https://api-docs.deepseek.com/api/create-chat-completion>), Groq
/// the usage of a stream in `x_groq` too (<https://console.groq.com/docs/api-reference>), OpenRouter tokens written into caches
/// (<https://openrouter.ai/docs/use-cases/usage-accounting>).
const OPENAI: Table = (
    &[
        ("model", Model),
        ("response.model", Model),
        ("choices.*.finish_reason", Finish),
        ("response.incomplete_details.reason", Finish),
        ("incomplete_details.reason", Finish),
        ("error", Error),
        ("response.error", Error),
        ("usage.prompt_tokens", Input),
        ("usage.input_tokens", Input),
        ("usage.completion_tokens", Output),
        ("usage.output_tokens", Output),
        ("usage.total_tokens", Total),
        ("usage.prompt_tokens_details.cached_tokens", Cached),
        ("usage.prompt_tokens_details.cache_write_tokens", Written),
        ("usage.prompt_cache_hit_tokens", Cached),
        ("usage.input_tokens_details.cached_tokens", Cached),
        (
            "usage.completion_tokens_details.reasoning_tokens",
            Reasoning,
        ),
        ("usage.output_tokens_details.reasoning_tokens", Reasoning),
        ("response.usage.input_tokens", Input),
        ("response.usage.output_tokens", Output),
        ("response.usage.total_tokens", Total),
        ("response.usage.input_tokens_details.cached_tokens", Cached),
        (
            "response.usage.output_tokens_details.reasoning_tokens",
            Reasoning,
        ),
        ("x_groq.usage.prompt_tokens", Input),
        ("x_groq.usage.completion_tokens", Output),
        ("x_groq.usage.total_tokens", Total),
        ("x_groq.error", Error),
    ],
    &[
        ("choices.*.text", Text),
        ("choices.*.delta.content", Text),
        ("choices.*.delta.reasoning_content", Text),
        ("choices.*.delta.reasoning", Text),
        ("choices.*.delta.refusal", Text),
        ("choices.*.delta.function_call.arguments", Text),
        ("choices.*.delta.tool_calls.*.function.name", Text),
        ("choices.*.delta.tool_calls.*.function.arguments", Text),
        ("choices.*.message.content", Text),
        ("choices.*.message.reasoning_content", Text),
        ("choices.*.message.reasoning", Text),
        ("choices.*.message.refusal", Text),
        ("choices.*.message.function_call.arguments", Text),
        ("choices.*.message.tool_calls.*.function.name", Text),
        ("choices.*.message.tool_calls.*.function.arguments", Text),
        // Of the Responses API: every delta of a stream, and the items of a whole answer.
        ("delta", Text),
        ("output.*.content.*.text", Text),
        ("output.*.content.*.refusal", Text),
        ("output.*.summary.*.text", Text),
        ("output.*.arguments", Text),
        ("output.*.input", Text),
    ],
);

/// Anthropic (<https://docs.claude.com/en/api/messages>, <https://docs.claude.com/en/docs/build-with-claude/streaming>): `message_start` has the
/// input, `message_delta` sums of the output and, when tools of the vendor ran, of the input too.
const ANTHROPIC: Table = (
    &[
        ("model", Model),
        ("message.model", Model),
        ("stop_reason", Finish),
        ("delta.stop_reason", Finish),
        ("error", Error),
        ("usage.input_tokens", Input),
        ("usage.output_tokens", Output),
        ("usage.cache_read_input_tokens", Cached),
        ("usage.cache_creation_input_tokens", Written),
        (
            "usage.cache_creation.ephemeral_1h_input_tokens",
            WrittenLong,
        ),
        ("message.usage.input_tokens", Input),
        ("message.usage.output_tokens", Output),
        ("message.usage.cache_read_input_tokens", Cached),
        ("message.usage.cache_creation_input_tokens", Written),
        (
            "message.usage.cache_creation.ephemeral_1h_input_tokens",
            WrittenLong,
        ),
    ],
    &[
        ("content.*.text", Text),
        ("content.*.thinking", Text),
        ("content.*.input", Text),
        ("content.*.name", Text),
        ("content.*.id", Text),
        ("content_block.name", Text),
        ("content_block.id", Text),
        ("delta.text", Text),
        ("delta.partial_json", Text),
        ("delta.thinking", Text),
        // Of the older text completions.
        ("completion", Text),
    ],
);

/// Gemini (<https://ai.google.dev/api/generate-content#UsageMetadata>). Without `alt=sse` a stream is one array.
const GEMINI: Table = (
    &[
        ("modelVersion", Model),
        ("candidates.*.finishReason", Finish),
        ("promptFeedback.blockReason", Finish),
        ("error", Error),
        ("usageMetadata.promptTokenCount", Input),
        ("usageMetadata.toolUsePromptTokenCount", ToolInput),
        ("usageMetadata.cachedContentTokenCount", Cached),
        ("usageMetadata.candidatesTokenCount", Output),
        ("usageMetadata.responseTokenCount", Output),
        ("usageMetadata.thoughtsTokenCount", Reasoning),
        ("*.modelVersion", Model),
        ("*.candidates.*.finishReason", Finish),
        ("*.promptFeedback.blockReason", Finish),
        ("*.error", Error),
        ("*.usageMetadata.promptTokenCount", Input),
        ("*.usageMetadata.toolUsePromptTokenCount", ToolInput),
        ("*.usageMetadata.cachedContentTokenCount", Cached),
        ("*.usageMetadata.candidatesTokenCount", Output),
        ("*.usageMetadata.thoughtsTokenCount", Reasoning),
    ],
    &[
        ("candidates.*.content.parts.*.text", Text),
        ("candidates.*.content.parts.*.functionCall", Text),
        ("candidates.*.content.parts.*.executableCode", Text),
        ("*.candidates.*.content.parts.*.text", Text),
        ("*.candidates.*.content.parts.*.functionCall", Text),
        ("*.candidates.*.content.parts.*.executableCode", Text),
    ],
);

/// Bedrock's Converse (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>), and InvokeModel with the bodies
/// of Nova, Titan and Llama; those of Anthropic have their own table. The metrics of an invocation stand in the last event of its stream.
const BEDROCK: Table = (
    &[
        ("stopReason", Finish),
        ("usage.inputTokens", Input),
        ("usage.outputTokens", Output),
        ("usage.cacheReadInputTokens", Cached),
        ("usage.cacheWriteInputTokens", Written),
        ("inputTextTokenCount", Input),
        ("prompt_token_count", Input),
        ("generation_token_count", Output),
        ("amazon-bedrock-invocationMetrics.inputTokenCount", Input),
        ("amazon-bedrock-invocationMetrics.outputTokenCount", Output),
        (
            "amazon-bedrock-invocationMetrics.cacheReadInputTokenCount",
            Cached,
        ),
        (
            "amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount",
            Written,
        ),
    ],
    &[
        ("output.message.content.*.text", Text),
        (
            "output.message.content.*.reasoningContent.reasoningText.text",
            Text,
        ),
        ("output.message.content.*.toolUse", Text),
        ("start.toolUse", Text),
        ("delta.toolUse.input", Text),
        ("delta.reasoningContent.text", Text),
        ("contentBlockDelta.delta.text", Text),
        ("generation", Text),
        ("outputText", Text),
        ("results.*.outputText", Text),
    ],
);

/// Cohere (<https://docs.cohere.com/reference/chat>). What is billed counts, which is less than what the model saw.
const COHERE: Table = (
    &[
        ("finish_reason", Finish),
        ("delta.finish_reason", Finish),
        ("delta.error", Error),
        ("usage.billed_units.input_tokens", Input),
        ("usage.billed_units.output_tokens", Output),
        ("delta.usage.billed_units.input_tokens", Input),
        ("delta.usage.billed_units.output_tokens", Output),
        ("meta.billed_units.input_tokens", Input),
        ("meta.billed_units.output_tokens", Output),
        ("response.meta.billed_units.input_tokens", Input),
        ("response.meta.billed_units.output_tokens", Output),
    ],
    &[
        ("message.content.*.text", Text),
        ("message.content.*.thinking", Text),
        ("message.tool_plan", Text),
        ("message.tool_calls.*.function.arguments", Text),
        ("delta.message.content.text", Text),
        ("delta.message.content.thinking", Text),
        ("delta.message.tool_plan", Text),
        ("delta.message.tool_calls.function.arguments", Text),
        ("text", Text),
    ],
);

/// Ollama (<https://github.com/ollama/ollama/blob/main/docs/api.md>). It answers in OpenAI's format below `/v1` too.
const OLLAMA: Table = (
    &[
        ("model", Model),
        ("done_reason", Finish),
        ("error", Error),
        ("prompt_eval_count", Input),
        ("eval_count", Output),
    ],
    &[
        ("message.content", Text),
        ("message.thinking", Text),
        ("message.tool_calls", Text),
        ("response", Text),
        ("thinking", Text),
    ],
);

/// Pinecone's own inference (<https://docs.pinecone.io/reference/api/inference/generate-embeddings>).
const PINECONE: Table = (&[("model", Model), ("usage.total_tokens", Total)], &[]);

/// Where nothing is said of tokens.
const NONE: Table = (&[], &[]);

/// The members of `dialect`'s answers.
pub(super) fn of(dialect: Dialect) -> &'static Paths<Member> {
    macro_rules! paths {
        ($($table:expr),+) => {{
            static PATHS: LazyLock<Paths<Member>> = LazyLock::new(|| {
                let tables = [$($table),+];
                Paths::new(
                    tables.iter().flat_map(|(values, _)| values.iter().copied()),
                    tables.iter().flat_map(|(_, sizes)| sizes.iter().copied()),
                )
            });
            &PATHS
        }};
    }
    match dialect {
        Dialect::OpenAi | Dialect::OpenRouter | Dialect::AzureOpenAi | Dialect::Mistral => {
            paths!(OPENAI)
        }
        Dialect::Anthropic => paths!(ANTHROPIC),
        Dialect::Gemini => paths!(GEMINI),
        Dialect::Bedrock => paths!(BEDROCK, ANTHROPIC),
        Dialect::Cohere => paths!(COHERE),
        Dialect::Ollama => paths!(OLLAMA, OPENAI),
        Dialect::Pinecone => paths!(PINECONE),
        Dialect::Qdrant | Dialect::Weaviate | Dialect::Plain => paths!(NONE),
    }
}

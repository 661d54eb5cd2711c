//! Which members of a call's body stay as they are: names and numbers by which the provider does what it is told, and which nobody has to be
//! hidden by. One table a dialect; what is in none is masked.
//!
//! Among them is all that facts depend on (a decision about the original must be true of what is sent), ids and signatures that the provider gave
//! out, and what types and enumerations the API has. Text is never among them, nor what a person may be known by: `user`, `metadata`, the name of
//! a message's author. The arguments of tools are text: a member of theirs is masked whatever its name is.

use std::sync::LazyLock;

use postern_crds::provider::Dialect;

use crate::frame::json::Paths;

/// How a member is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Its string or number.
    Value,
    /// All numbers in it, and the strings of these members, however deep they are.
    Within(&'static [&'static str]),
    /// What the whole call would keep: it is a call of its own.
    Call,
}

/// Keywords of JSON Schema whose strings name types and members (<https://json-schema.org/draft/2020-12/json-schema-validation>).
const SCHEMA: Kept = Kept::Within(&[
    "$ref",
    "$schema",
    "format",
    "pattern",
    "propertyOrdering",
    "required",
    "type",
]);

/// A vector of Qdrant's, or a text of which it makes one by a model.
const VECTOR: Kept = Kept::Within(&["collection", "model", "using"]);

type Table = &'static [(&'static str, Kept)];

macro_rules! table {
    ($($path:literal),* $(; $($inner:literal is $how:expr),*)?) => {
        &[$(($path, Kept::Value),)* $($(($inner, $how),)*)?]
    };
}

/// OpenAI's chat, completions and embeddings, and all that speak like them (<https://platform.openai.com/docs/api-reference/chat/create>), with
/// OpenRouter's fallbacks and Mistral's agents and documents.
const CHAT: Table = table![
    "model", "models.*", "agent_id", "preset", "route", "seed", "random_seed", "max_tokens", "max_completion_tokens", "service_tier",
    "reasoning_effort", "verbosity", "encoding_format", "prompt_mode", "modalities.*", "size", "quality", "voice",
    "messages.*.role", "messages.*.tool_call_id", "messages.*.tool_name", "messages.*.audio.id",
    "messages.*.content.*.type", "messages.*.content.*.image_url.detail", "messages.*.content.*.cache_control.type",
    "messages.*.content.*.input_audio.format", "messages.*.content.*.file.file_id",
    "messages.*.tool_calls.*.id", "messages.*.tool_calls.*.type", "messages.*.tool_calls.*.function.name",
    "messages.*.tool_calls.*.custom.name", "messages.*.function_call.name",
    "tools.*.type", "tools.*.function.name", "tools.*.custom.name", "tools.*.name", "tools.*.server_label", "tools.*.connector_id",
    "tools.*.mcp_server_name", "functions.*.name", "plugins.*.id",
    "tool_choice", "tool_choice.type", "tool_choice.name", "tool_choice.function.name", "function_call", "function_call.name",
    "response_format", "response_format.type", "response_format.json_schema.name",
    "document.type", "completion_args.max_tokens", "completion_args.response_format.type"
    ; "tools.*.function.parameters" is SCHEMA, "tools.*.parameters" is SCHEMA, "functions.*.parameters" is SCHEMA,
    "response_format.json_schema.schema" is SCHEMA
];

/// Cohere (<https://docs.cohere.com/reference/chat>), beside what it has in common with OpenAI.
const COHERE: Table = table![
    "input_type", "embedding_types.*", "truncate", "safety_mode", "citation_options.mode", "chat_history.*.role", "connectors.*.id",
    "conversation_id"
    ; "tools.*.parameter_definitions" is SCHEMA, "response_format.schema" is SCHEMA, "response_format.json_schema" is SCHEMA
];

/// Ollama (<https://github.com/ollama/ollama/blob/main/docs/api.md>), beside what it has in common with OpenAI.
const OLLAMA: Table = table![
    "name", "from", "source", "keep_alive", "options.seed", "options.num_predict"
    ; "format" is SCHEMA
];

/// OpenAI's Responses (<https://platform.openai.com/docs/api-reference/responses/create>).
const RESPONSES: Table = table![
    "model", "previous_response_id", "conversation", "conversation.id", "prompt.id", "prompt.version", "include.*", "truncation", "seed",
    "max_output_tokens", "max_tool_calls", "service_tier", "reasoning.effort", "reasoning.summary", "text.verbosity",
    "text.format.type", "text.format.name", "text.format.schema.name",
    "input.*.type", "input.*.role", "input.*.id", "input.*.call_id", "input.*.name", "input.*.status", "input.*.encrypted_content",
    "input.*.content.*.type", "input.*.content.*.detail", "input.*.content.*.file_id", "input.*.summary.*.type",
    "input.*.output.*.type",
    "tools.*.type", "tools.*.name", "tools.*.server_label", "tools.*.connector_id", "tools.*.vector_store_ids.*", "tools.*.container.type",
    "tools.*.require_approval", "tools.*.allowed_tools.*", "tool_choice", "tool_choice.type", "tool_choice.name"
    ;
    "tools.*.parameters" is SCHEMA, "text.format.schema" is SCHEMA
];

/// Anthropic (<https://docs.claude.com/en/api/messages>). Signatures vouch for the thoughts beside them and must come back as they were; so must the thoughts,
/// or the provider refuses them: it says so, and nothing is given away.
const ANTHROPIC: Table = table![
    "model", "anthropic_version", "anthropic_beta.*", "max_tokens", "max_tokens_to_sample", "service_tier", "container", "container.id",
    "fallbacks.*.model", "fallbacks.*.max_tokens", "thinking.type", "thinking.budget_tokens", "output_config.effort",
    "system.*.type", "system.*.cache_control.type", "system.*.cache_control.ttl",
    "messages.*.role", "messages.*.content.*.type", "messages.*.content.*.id", "messages.*.content.*.tool_use_id",
    "messages.*.content.*.name", "messages.*.content.*.signature", "messages.*.content.*.source.type",
    "messages.*.content.*.source.media_type", "messages.*.content.*.source.file_id", "messages.*.content.*.cache_control.type",
    "messages.*.content.*.cache_control.ttl", "messages.*.content.*.content.*.type", "messages.*.content.*.content.*.source.type",
    "messages.*.content.*.content.*.source.media_type", "messages.*.content.*.content.*.tool_name",
    "tools.*.type", "tools.*.name", "tools.*.model", "tools.*.mcp_server_name", "tools.*.cache_control.type",
    "tool_choice.type", "tool_choice.name", "mcp_servers.*.type", "mcp_servers.*.name",
    "requests.*.custom_id", "output_format.type", "output_config.format.type"
    ;
    "tools.*.input_schema" is SCHEMA, "output_format.schema" is SCHEMA, "output_config.format.schema" is SCHEMA, "requests.*.params" is Kept::Call
];

/// Gemini (<https://ai.google.dev/api/generate-content>). Names in snake case are found by those in camel case, as protobuf's JSON has both.
const GEMINI: Table = table![
    "model", "cachedContent", "contents.*.role", "content.role", "systemInstruction.role",
    "contents.*.parts.*.functionCall.name", "contents.*.parts.*.functionCall.id", "contents.*.parts.*.functionResponse.name",
    "contents.*.parts.*.functionResponse.id", "contents.*.parts.*.thoughtSignature", "contents.*.parts.*.inlineData.mimeType",
    "contents.*.parts.*.fileData.mimeType", "tools.*.functionDeclarations.*.name", "toolConfig.functionCallingConfig.mode",
    "toolConfig.functionCallingConfig.allowedFunctionNames.*", "generationConfig.seed", "generationConfig.maxOutputTokens",
    "generationConfig.responseMimeType", "generationConfig.responseModalities.*", "safetySettings.*.category",
    "safetySettings.*.threshold", "taskType"
    ; "tools.*.functionDeclarations.*.parameters" is SCHEMA, "tools.*.functionDeclarations.*.parametersJsonSchema" is SCHEMA,
    "tools.*.functionDeclarations.*.response" is SCHEMA, "generationConfig.responseSchema" is SCHEMA,
    "generationConfig.responseJsonSchema" is SCHEMA, "requests.*" is Kept::Call, "generateContentRequest" is Kept::Call
];

/// Bedrock's Converse (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>).
const BEDROCK: Table = table![
    "modelId", "messages.*.role", "messages.*.content.*.toolUse.toolUseId", "messages.*.content.*.toolUse.name", "messages.*.content.*.toolUse.type",
    "messages.*.content.*.toolResult.toolUseId", "messages.*.content.*.toolResult.status", "messages.*.content.*.image.format",
    "messages.*.content.*.document.format", "messages.*.content.*.video.format", "messages.*.content.*.cachePoint.type",
    "messages.*.content.*.reasoningContent.reasoningText.signature", "system.*.cachePoint.type", "inferenceConfig.maxTokens",
    "inferenceConfig.max_new_tokens", "textGenerationConfig.maxTokenCount", "schemaVersion", "taskType", "input_type",
    "toolConfig.tools.*.toolSpec.name", "toolConfig.tools.*.systemTool.name", "toolConfig.tools.*.cachePoint.type",
    "toolConfig.toolChoice.tool.name", "guardrailConfig.guardrailIdentifier", "guardrailConfig.guardrailVersion",
    "guardrailConfig.trace", "performanceConfig.latency"
    ;
    "toolConfig.tools.*.toolSpec.inputSchema.json" is SCHEMA, "modelInput" is Kept::Call, "additionalModelRequestFields" is Kept::Call
];

/// Pinecone (<https://docs.pinecone.io/reference/api>).
const PINECONE: Table = table![
    "model",
    "namespace",
    "id",
    "ids.*",
    "_id",
    "topK",
    "top_k",
    "vectors.*.id",
    "queries.*.namespace",
    "embed.model",
    "rerank.model",
    "parameters.input_type",
    "parameters.truncate",
    "rank_fields.*",
    "fields.*"
];

/// Qdrant (<https://api.qdrant.tech/api-reference>).
const QDRANT: Table = table![
    "ids.*", "points.*", "points.*.id", "batch.ids.*", "shard_key", "using", "key", "with_payload.*", "order_by", "order_by.key", "group_by",
    "with_lookup", "actions.*.create_alias.collection_name", "actions.*.create_alias.alias_name", "actions.*.delete_alias.alias_name",
    "actions.*.rename_alias.old_alias_name", "actions.*.rename_alias.new_alias_name"
    ; "points.*.vector" is VECTOR, "batch.vectors" is VECTOR, "vector" is VECTOR, "query" is VECTOR, "prefetch" is VECTOR, "target" is VECTOR,
    "positive" is VECTOR, "negative" is VECTOR, "context" is VECTOR, "lookup_from" is VECTOR, "with_lookup.collection" is Kept::Value,
    "searches.*" is Kept::Call, "operations.*.upsert" is Kept::Call, "operations.*.update_vectors" is Kept::Call
];

/// Weaviate (<https://docs.weaviate.io/weaviate/api/rest>).
const WEAVIATE: Table = table![
    "class",
    "id",
    "tenant",
    "objects.*.class",
    "objects.*.id",
    "objects.*.tenant",
    "match.class",
    "*.from",
    "*.to"
];

/// A service that is not known: what a decision may be about.
const PLAIN: Table = table!["model"];

/// Nothing: in a text all strings are text.
pub(super) fn nothing() -> &'static Paths<Kept> {
    static NOTHING: LazyLock<Paths<Kept>> = LazyLock::new(|| Paths::new([], []));
    &NOTHING
}

/// What is kept of `dialect`'s calls.
pub(super) fn of(dialect: Dialect) -> &'static Paths<Kept> {
    macro_rules! paths {
        ($($table:expr),+) => {{
            static PATHS: LazyLock<Paths<Kept>> = LazyLock::new(|| {
                let tables: [Table; _] = [$($table),+];
                Paths::new(tables.into_iter().flatten().copied(), [])
            });
            &PATHS
        }};
    }
    match dialect {
        Dialect::OpenAi | Dialect::OpenRouter | Dialect::AzureOpenAi | Dialect::Mistral => {
            // Servers that copy OpenAI serve Anthropic's API too.
            paths!(ANTHROPIC, CHAT, RESPONSES)
        }
        Dialect::Anthropic => paths!(CHAT, ANTHROPIC),
        Dialect::Gemini => paths!(CHAT, ANTHROPIC, GEMINI),
        Dialect::Bedrock => paths!(CHAT, ANTHROPIC, BEDROCK),
        Dialect::Cohere => paths!(CHAT, COHERE),
        Dialect::Ollama => paths!(ANTHROPIC, CHAT, RESPONSES, OLLAMA),
        Dialect::Pinecone => paths!(PINECONE),
        Dialect::Qdrant => paths!(QDRANT),
        Dialect::Weaviate => paths!(WEAVIATE),
        Dialect::Plain => paths!(PLAIN),
    }
}

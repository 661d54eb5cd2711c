//! Bodies of Bedrock's operations.

use super::{
    super::{
        Unreadable, blocks,
        draft::Draft,
        json::{Kind, Value},
        tools,
    },
    model,
};

/// `Converse` and `ConverseStream`.
pub(super) fn converse(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "additionalModelRequestFields",
        "inferenceConfig",
        "messages",
        "outputConfig",
        "promptVariables",
        "system",
        "toolConfig",
    ];
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "messages" => blocks::messages(value, draft),
            "system" => blocks::content(value, draft),
            "inferenceConfig" => limits(value, draft),
            "toolConfig" => tool_config(value, draft),
            // Goes to the model as it is, so it may say again what stands elsewhere, and offer the model's own tools.
            "additionalModelRequestFields" => invoke(value, draft),
            // The variables of a stored prompt, which is not in the call.
            "promptVariables" => {
                draft.input.incomplete();
                Ok(value.skip()?)
            }
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// `InvokeModel`, for all families of models: what each family calls the same thing
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html>).
pub(super) fn invoke(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "chat_history",
        "documents",
        "embeddingParams",
        "imageGenerationConfig",
        "images",
        "inferenceConfig",
        "inputText",
        "input_image",
        "inputs",
        "max_completion_tokens",
        "max_gen_len",
        "max_tokens",
        "max_tokens_to_sample",
        "maxTokens",
        "mcp_servers",
        "message",
        "messages",
        "model",
        "n",
        "numResults",
        "num_generations",
        "preamble",
        "prompt",
        "query",
        "stream",
        "suffix",
        "system",
        "text",
        "textGenerationConfig",
        "textToImageParams",
        "texts",
        "toolConfig",
        "tool_results",
        "tools",
    ];
    if value.kind() != Some(Kind::Object) {
        // `additionalModelRequestFields` is any document; a model's own body always is an object.
        return Ok(value.weigh(&mut draft.input)?);
    }
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "messages" => blocks::messages(value, draft),
            "max_tokens"
            | "max_completion_tokens"
            | "max_gen_len"
            | "max_tokens_to_sample"
            | "maxTokens" => Ok(draft.max_tokens(value)?),
            "inferenceConfig" | "textGenerationConfig" | "imageGenerationConfig" => {
                limits(value, draft)
            }
            "n" | "num_generations" | "numResults" => Ok(draft.n(value)?),
            "stream" => Ok(draft.stream(value)?),
            // The path decides; a model that reads this all the same must be allowed too.
            "model" => {
                draft.model(model::named(&value.text()?)?);
                Ok(())
            }
            "tools" => tools::list(value, draft),
            "toolConfig" => tool_config(value, draft),
            "mcp_servers" => mcp_servers(value, draft),
            "images" => blocks::images(value, draft),
            "input_image" => {
                blocks::image(draft);
                Ok(value.skip()?)
            }
            "inputs" | "texts" => texts(value, draft),
            "inputText" => {
                draft.embeddings(1);
                Ok(value.weigh(&mut draft.input)?)
            }
            "system" | "prompt" => blocks::content(value, draft),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// `CountTokens`: the body of one of the other two operations.
pub(super) fn count_tokens(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["input"], |_, value| {
        value.object(&["converse", "invokeModel"], |field, value| match field {
            "converse" => converse(value, draft),
            // In base64. Nothing is generated, so what it says of limits and tools has no effect.
            _ => {
                draft.input.incomplete();
                Ok(value.skip()?)
            }
        })
    })
}

/// `ApplyGuardrail`.
pub(super) fn guardrail(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["content"], |_, value| blocks::content(value, draft))
}

/// `StartAsyncInvoke`.
pub(super) fn job(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["modelId", "modelInput"], |field, value| match field {
        "modelId" => {
            draft.model(model::named(&value.text()?)?);
            Ok(())
        }
        _ => invoke(value, draft),
    })
}

/// An object with limits of the output, in the spellings of Converse, Nova and Titan.
fn limits(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "maxNewTokens",
        "maxTokenCount",
        "maxTokens",
        "max_new_tokens",
        "max_tokens",
        "numberOfImages",
    ];
    value.object(FIELDS, |field, value| {
        if field == "numberOfImages" {
            draft.n(value)?;
        } else {
            draft.max_tokens(value)?;
        }
        Ok(())
    })
}

/// Texts to be embedded: strings, or objects with one in them.
fn texts(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() != Some(Kind::List) {
        return Ok(value.weigh(&mut draft.input)?);
    }
    value.list(|value| {
        draft.embeddings(1);
        blocks::content(value, draft)
    })
}

/// Converse's `toolConfig`.
fn tool_config(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["tools"], |_, value| tools::list(value, draft))
}

/// Anthropic's servers of tools.
fn mcp_servers(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.list(|value| {
        value.object(&["name"], |_, value| {
            let name = value.text()?;
            draft.vendor_tool(format!("mcp:{name}"));
            Ok(())
        })
    })
}

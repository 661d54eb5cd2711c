//! `POST /chat/completions`.

use super::{
    super::{
        Unreadable,
        draft::Draft,
        estimate,
        json::{Kind, Value},
    },
    parts, tools,
};

/// Reads the body.
pub(in super::super) fn read(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "best_of",
        "fallbacks",
        "functions",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "messages",
        "model",
        "models",
        "n",
        "plugins",
        "prediction",
        "preset",
        "response_format",
        "search_parameters",
        "stream",
        "tools",
        "web_search_options",
    ];
    value.object(FIELDS, |field, value| {
        match field {
            "model" => draft.model_member(value)?,
            "messages" => value.list(|value| message(value, draft))?,
            "max_completion_tokens" | "max_output_tokens" | "max_tokens" => {
                draft.max_tokens(value)?;
            }
            "n" | "best_of" => draft.n(value)?,
            "stream" => draft.stream(value)?,
            "tools" => tools::list(value, draft)?,
            "functions" => tools::functions(value, draft)?,
            "prediction" | "response_format" => value.weigh(&mut draft.input)?,
            // OpenAI's and xAI's ways to let a chat search the web.
            "web_search_options" | "search_parameters" => {
                if let Some(value) = value.optional()? {
                    value.skip()?;
                    draft.vendor_tool("web_search");
                }
            }
            _ => routing(field, value, draft)?,
        }
        Ok(())
    })
}

/// Members by which OpenRouter, and gateways that are called through the same clients, choose among models.
pub(super) fn routing(
    field: &'static str,
    value: Value<'_, '_>,
    draft: &mut Draft,
) -> Result<(), Unreadable> {
    let Some(value) = value.optional()? else {
        return Ok(());
    };
    match field {
        // OpenRouter's and LiteLLM's lists of models to try in turn.
        "models" | "fallbacks" => value.list(|value| {
            if value.kind() == Some(Kind::Object) {
                return value.object(&["model"], |_, value| draft.model_member(value));
            }
            draft.model_member(value)
        }),
        // A configuration at the provider, models among it.
        "preset" => {
            value.skip()?;
            draft.hide_models();
            Ok(())
        }
        "plugins" => value.list(|value| {
            value.object(&["id"], |_, value| {
                let id = value.text()?;
                draft.vendor_tool(format!("plugin:{id}"));
                Ok(())
            })
        }),
        _ => Ok(()),
    }
}

fn message(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    draft.message();
    draft.input.tokens_given(estimate::MESSAGE);
    draft.input.preamble(estimate::FRAME);
    const FIELDS: &[&str] = &[
        "content",
        "function_call",
        "name",
        "reasoning",
        "reasoning_content",
        "refusal",
        "tool_calls",
    ];
    value.object(FIELDS, |field, value| match field {
        "content" => parts::content(value, draft),
        _ => Ok(value.weigh(&mut draft.input)?),
    })
}

//! `POST /responses`.

use super::{
    super::{
        Unreadable,
        draft::Draft,
        estimate,
        json::{Kind, Value},
    },
    chat, parts, tools,
};

/// Reads the body.
pub(in super::super) fn read(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "conversation",
        "fallbacks",
        "input",
        "instructions",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "model",
        "models",
        "n",
        "plugins",
        "preset",
        "previous_response_id",
        "prompt",
        "stream",
        "text",
        "tools",
    ];
    let mut has_prompt = false;
    value.object(FIELDS, |field, value| {
        match field {
            "model" => draft.model_member(value)?,
            "input" => input(value, draft)?,
            "instructions" => parts::content(value, draft)?,
            "max_completion_tokens" | "max_output_tokens" | "max_tokens" => {
                draft.max_tokens(value)?;
            }
            "n" => draft.n(value)?,
            "stream" => draft.stream(value)?,
            "text" => value.weigh(&mut draft.input)?,
            "tools" => tools::list(value, draft)?,
            // The rest of the conversation stands at the provider.
            "conversation" | "previous_response_id" => {
                if let Some(value) = value.optional()? {
                    value.skip()?;
                    draft.input.incomplete();
                }
            }
            "prompt" => {
                if let Some(value) = value.optional()? {
                    prompt(value, draft)?;
                    has_prompt = true;
                }
            }
            _ => chat::routing(field, value, draft)?,
        }
        Ok(())
    })?;
    if has_prompt && !draft.has_models() {
        // The stored prompt names it then.
        draft.hide_models();
    }
    Ok(())
}

/// A prompt that is stored at the provider: its text and its tools are not in the call. A name in the list of tools says so, so that an `Allow`
/// that lists tools does not cover it unknowingly.
fn prompt(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    draft.input.incomplete();
    value.object(&["id", "variables"], |field, value| {
        if field == "id" {
            let id = value.text()?;
            draft.tool(format!("prompt:{id}"));
        } else {
            value.weigh(&mut draft.input)?;
        }
        Ok(())
    })
}

fn input(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    match value.kind() {
        Some(Kind::List) => value.list(|value| item(value, draft)),
        Some(Kind::Null) => Ok(value.skip()?),
        _ => {
            draft.message();
            draft.input.tokens_given(estimate::MESSAGE);
            draft.input.preamble(estimate::FRAME);
            parts::content(value, draft)
        }
    }
}

/// A message, a call of a tool, its output, or something else that happened before.
fn item(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    draft.message();
    draft.input.tokens_given(estimate::MESSAGE);
    draft.input.preamble(estimate::FRAME);
    const FIELDS: &[&str] = &[
        "action",
        "arguments",
        "code",
        "content",
        "encrypted_content",
        "input",
        "name",
        "output",
        "outputs",
        "queries",
        "result",
        "results",
        "summary",
        "tools",
        "type",
    ];
    let tools_before = draft.tools();
    let (mut lists_a_server, mut is_reasoning, mut is_whole) = (false, false, false);
    value.object(FIELDS, |field, value| {
        match field {
            "content" | "output" => parts::content(value, draft)?,
            "type" => match &*value.text()? {
                "item_reference" => draft.input.incomplete(),
                "mcp_list_tools" => lists_a_server = true,
                "reasoning" => is_reasoning = true,
                _ => {}
            },
            "encrypted_content" => {
                is_whole = value.kind() == Some(Kind::Text);
                value.weigh(&mut draft.input)?;
            }
            // An image that was generated before, in base64.
            "result" => {
                if let Some(value) = value.optional()? {
                    value.skip()?;
                    draft.image();
                    draft.input.image();
                }
            }
            // Tools that a search for tools brought in.
            "tools" => tools::list(value, draft)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })?;
    if is_reasoning && !is_whole {
        // What the model thought stands at the provider.
        draft.input.incomplete();
    }
    if lists_a_server {
        // What a server said that it has is no offer: the call's own `tools` name the server.
        draft.forget_tools(tools_before);
    }
    Ok(())
}

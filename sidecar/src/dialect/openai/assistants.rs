//! Assistants and their runs: the conversation stands at the provider, and the model too where the call leaves it out.

use super::{
    super::{Unreadable, draft::Draft, json::Value},
    parts, tools,
};

/// Reads the body.
pub(super) fn read(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "additional_instructions",
        "additional_messages",
        "instructions",
        "max_completion_tokens",
        "model",
        "stream",
        "thread",
        "tools",
    ];
    draft.input.incomplete();
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => draft.model_member(value)?,
            "max_completion_tokens" => draft.max_tokens(value)?,
            "stream" => draft.stream(value)?,
            "tools" => tools::list(value, draft)?,
            "additional_messages" => messages(value, draft)?,
            "thread" => value.object(&["messages"], |_, value| messages(value, draft))?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })
}

fn messages(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let Some(value) = value.optional()? else {
        return Ok(());
    };
    value.list(|value| {
        draft.message();
        value.object(&["content"], |_, value| parts::content(value, draft))
    })
}

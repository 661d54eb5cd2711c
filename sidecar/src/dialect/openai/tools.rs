//! The tools that a call offers to the model, in the shapes of chat completions and of Responses.

use super::super::{Unreadable, draft::Draft, json::Value};

/// What the vendor says to the model once where there are tools: up to 85 tokens in recorded calls.
const PREAMBLE_TOKENS: u64 = 100;

/// `tools`: functions by their name, an MCP server as `mcp:<label>`, the vendor's own by their type.
pub(super) fn list(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    match value.optional()? {
        Some(value) => value.list(|value| tool(value, draft)),
        None => Ok(()),
    }
}

/// The older `functions` of chat completions.
pub(super) fn functions(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    list(value, draft)
}

fn tool(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "custom",
        "description",
        "format",
        "function",
        "input_schema",
        "model",
        "name",
        "parameters",
        "server_label",
        "tools",
        "type",
    ];
    let nameless = value.expected("a tool with a name or a type of its own");
    let (mut kind, mut name, mut label) = (None, None, None);
    value.object(FIELDS, |field, value| {
        match field {
            "type" => kind = Some(value.text()?.into_owned()),
            "name" => name = Some(value.text()?.into_owned()),
            "server_label" => label = Some(value.text()?.into_owned()),
            "function" | "custom" => name = Some(inner_name(value, draft)?),
            // The vendor's image generation takes another model than the call's.
            "model" => draft.model_member(value)?,
            // A namespace of tools.
            "tools" => list(value, draft)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })?;
    draft.input.preamble(PREAMBLE_TOKENS);
    match (kind.as_deref(), name, label) {
        (Some("mcp"), _, label) => draft.vendor_tool(format!("mcp:{}", label.unwrap_or_default())),
        (Some("function" | "custom" | "namespace") | None, Some(name), _) => draft.tool(name),
        (Some("function" | "custom" | "namespace") | None, None, _) => return Err(nameless.into()),
        (Some(kind), _, _) => draft.vendor_tool(kind),
    }
    Ok(())
}

/// The name in chat's `function` or `custom` member.
fn inner_name(value: Value<'_, '_>, draft: &mut Draft) -> Result<String, Unreadable> {
    let nameless = value.expected("a function with a name");
    let mut name = None;
    value.object(
        &["description", "format", "name", "parameters"],
        |field, value| {
            if field == "name" {
                name = Some(value.text()?.into_owned());
            } else {
                value.weigh(&mut draft.input)?;
            }
            Ok(())
        },
    )?;
    name.ok_or_else(|| nameless.into())
}

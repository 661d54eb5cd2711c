//! The tools that a call offers to the model, in the shapes of Bedrock's Converse, Anthropic, Cohere, Mistral and Ollama.

use super::{
    Unreadable,
    draft::Draft,
    json::{Kind, Value},
};

/// A list of tools: functions by their name, the vendor's own by their type, others' as `mcp:<server>` and `connector:<name>`.
///
/// A tool of which neither can be told has the empty name, which no rule allows but one that allows all.
pub(super) fn list(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    match value.optional()? {
        Some(value) => value.list(|value| tool(value, draft)),
        None => Ok(()),
    }
}

fn tool(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "cachePoint",
        "connector_id",
        "description",
        "function",
        "inputSchema",
        "input_schema",
        "mcp_server_name",
        "name",
        "parameter_definitions",
        "parameters",
        "server_label",
        "systemTool",
        "toolSpec",
        "type",
    ];
    let mut is_mark = false;
    let (mut kind, mut name, mut server) = (None, None, None);
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "type" => kind = Some(value.text()?.into_owned()),
            "name" => name = Some(value.text()?.into_owned()),
            "mcp_server_name" | "server_label" => server = Some(format!("mcp:{}", value.text()?)),
            "connector_id" => server = Some(format!("connector:{}", value.text()?)),
            "toolSpec" | "systemTool" | "function" => name = inner_name(value, draft)?,
            // Converse: not a tool, but up to where the list may be cached.
            "cachePoint" => {
                is_mark = true;
                value.skip()?;
            }
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })?;
    match (kind.as_deref(), name, server) {
        (_, _, Some(server)) => draft.vendor_tool(server),
        (None | Some("function" | "custom"), Some(name), None) => draft.tool(name),
        (None, None, None) if is_mark => {}
        (Some(kind), _, None) => draft.vendor_tool(kind),
        (None, None, None) => draft.tool(""),
    }
    Ok(())
}

/// The name in the member that holds the function itself.
fn inner_name(value: Value<'_, '_>, draft: &mut Draft) -> Result<Option<String>, Unreadable> {
    const FIELDS: &[&str] = &["description", "inputSchema", "name", "parameters"];
    let mut name = None;
    if value.kind() != Some(Kind::Object) {
        return Err(value.expected("a function with a name").into());
    }
    value.object(FIELDS, |field, value| {
        if field == "name" {
            name = Some(value.text()?.into_owned());
            Ok(())
        } else {
            Ok(value.weigh(&mut draft.input)?)
        }
    })?;
    Ok(name)
}

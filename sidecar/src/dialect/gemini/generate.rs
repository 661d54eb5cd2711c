//! The bodies of `generateContent` and its kin.

use postern_crds::facts::Operation;

use super::{
    super::{
        Unreadable,
        draft::Draft,
        estimate,
        json::{Kind, Value},
    },
    parts, target,
};

/// Reads a `GenerateContentRequest`, or a `CachedContent`, whose members are among its.
pub(super) fn content(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "cachedContent",
        "contents",
        "generationConfig",
        "model",
        "systemInstruction",
        "tools",
    ];
    value.message(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => named(value, draft),
            "contents" => contents(value, draft),
            "systemInstruction" => parts::content(value, draft),
            "tools" => value.list(|value| tool(value, draft)),
            "generationConfig" => config(value, draft),
            // The cached part of the input stands at Google.
            _ => {
                value.skip()?;
                draft.input.incomplete();
                Ok(())
            }
        }
    })
}

/// Reads a `CountTokensRequest`: contents, or a whole request inside.
pub(super) fn count(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &["contents", "generateContentRequest", "instances", "model"];
    value.message(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => named(value, draft),
            "contents" => contents(value, draft),
            "generateContentRequest" => content(value, draft),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// Reads an `EmbedContentRequest`.
pub(super) fn embed(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    draft.embeddings(1);
    value.message(&["content", "model", "title"], |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => named(value, draft),
            "content" => parts::content(value, draft),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })
}

/// Reads a `BatchEmbedContentsRequest`.
pub(super) fn embed_many(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.message(&["model", "requests"], |field, value| {
        if field == "model" {
            return named(value, draft);
        }
        value.list(|value| embed(value, draft))
    })
}

/// Reads Vertex AI's `instances` and `parameters`.
pub(super) fn predict(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.message(&["instances", "parameters"], |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        if field == "instances" {
            return value.list(|value| {
                if draft.operation() == Operation::Embeddings {
                    draft.embeddings(1);
                }
                instance(value, draft)
            });
        }
        value.message(
            &["maxOutputTokens", "sampleCount"],
            |field, value| match field {
                "sampleCount" => Ok(draft.n(value)?),
                _ => Ok(draft.max_tokens(value)?),
            },
        )
    })
}

/// One instance. Its images are base64, which is no text.
fn instance(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() != Some(Kind::Object) {
        return Ok(value.weigh(&mut draft.input)?);
    }
    const FIELDS: &[&str] = &[
        "content",
        "image",
        "prompt",
        "referenceImages",
        "text",
        "title",
        "video",
    ];
    value.message(FIELDS, |field, value| {
        match field {
            "image" | "referenceImages" => {
                value.skip()?;
                draft.image();
                draft.input.image();
            }
            "video" => {
                value.skip()?;
                draft.input.incomplete();
            }
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })
}

fn named(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let name = value.text()?;
    draft.model(target::in_body(&name)?);
    Ok(())
}

fn contents(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut one = |value: Value<'_, '_>| {
        draft.message();
        draft.input.tokens_given(estimate::MESSAGE);
        draft.input.preamble(estimate::FRAME);
        parts::content(value, draft)
    };
    if value.kind() == Some(Kind::List) {
        value.list(one)
    } else {
        one(value)
    }
}

fn config(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "candidateCount",
        "maxOutputTokens",
        "modelConfig",
        "modelSelectionConfig",
        "responseJsonSchema",
        "responseSchema",
        "routingConfig",
    ];
    value.message(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "routingConfig" => routing(value, draft)?,
            // Google chooses another model by what is preferred here.
            "modelConfig" | "modelSelectionConfig" => {
                value.skip()?;
                draft.hide_models();
            }
            "candidateCount" => draft.n(value)?,
            "maxOutputTokens" => draft.max_tokens(value)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })
}

/// Vertex AI's way to name another model than the path's, or to leave it to Google.
fn routing(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.members(|key, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        if camel(key) != "manualMode" {
            value.skip()?;
            draft.hide_models();
            return Ok(());
        }
        value.message(&["modelName"], |_, value| named(value, draft))
    })
}

/// One `Tool`: functions of the caller by their name, Google's own by their member, in camel case, whether this version knows it or not.
fn tool(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.members(|key, value| {
        let member = camel(key);
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match member.as_str() {
            "functionDeclarations" => value.list(|value| function(value, draft)),
            "mcpServers" => value.list(|value| server(value, draft)),
            _ => {
                draft.vendor_tool(member);
                Ok(value.weigh(&mut draft.input)?)
            }
        }
    })
}

/// An MCP server that Google asks for the model.
fn server(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut name = None;
    value.message(&["name"], |_, value| {
        name = Some(value.text()?.into_owned());
        Ok(())
    })?;
    draft.vendor_tool(format!("mcp:{}", name.unwrap_or_default()));
    Ok(())
}

fn function(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "description",
        "name",
        "parameters",
        "parametersJsonSchema",
        "response",
        "responseJsonSchema",
    ];
    let nameless = value.expected("a function with a name");
    let mut name = None;
    value.message(FIELDS, |field, value| {
        if field == "name" {
            name = Some(value.text()?.into_owned());
        } else {
            value.weigh(&mut draft.input)?;
        }
        Ok(())
    })?;
    draft.tool(name.ok_or(nameless)?);
    Ok(())
}

/// `google_search` as `googleSearch`.
fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

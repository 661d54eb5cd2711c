//! The content of messages, for the wire formats that nest it by kind: Bedrock, Cohere, Ollama, and bodies of many families in one operation.
//!
//! What stands in a block counts whatever its `type` says, since a server goes by the one or by the other.

use super::{
    Reader, Unreadable, anthropic,
    draft::Draft,
    estimate,
    json::{Kind, Value},
};

/// A list of messages.
pub(super) fn messages(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "content",
        "images",
        "message",
        "name",
        "text",
        "thinking",
        "tool_calls",
        "tool_plan",
        "tool_results",
    ];
    let Some(value) = value.optional()? else {
        return Ok(());
    };
    value.list(|value| {
        draft.message();
        draft.input.tokens_given(estimate::MESSAGE);
        draft.input.preamble(estimate::FRAME);
        value.object(FIELDS, |field, value| match field {
            "content" => content(value, draft),
            "images" => images(value, draft),
            _ => Ok(value.weigh(&mut draft.input)?),
        })
    })
}

/// A message's content: a text, a block, or a list of either.
pub(super) fn content(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    match value.kind() {
        Some(Kind::List) => value.list(|value| content(value, draft)),
        Some(Kind::Object) => block(value, draft),
        _ => Ok(value.weigh(&mut draft.input)?),
    }
}

/// A message's content where it has one of few shapes: a text, a part as `part` reads it, or a list of either.
///
/// # Errors
/// Another shape, which is not `expected`.
pub(super) fn strict(
    value: Value<'_, '_>,
    draft: &mut Draft,
    expected: &'static str,
    part: Reader,
) -> Result<(), Unreadable> {
    match value.kind() {
        Some(Kind::List) => value.list(|value| match value.kind() {
            Some(Kind::Text) => Ok(value.weigh(&mut draft.input)?),
            _ => part(value, draft),
        }),
        Some(Kind::Object) => part(value, draft),
        Some(Kind::Text | Kind::Null) => Ok(value.weigh(&mut draft.input)?),
        _ => Err(value.expected(expected).into()),
    }
}

/// A list of images that are nothing else, in base64.
pub(super) fn images(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let Some(value) = value.optional()? else {
        return Ok(());
    };
    value.list(|value| {
        value.skip()?;
        image(draft);
        Ok(())
    })
}

/// One image of unknown size.
pub(super) fn image(draft: &mut Draft) {
    draft.image();
    draft.input.image();
}

fn block(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "arguments",
        "audio",
        "audioContent",
        "bytes",
        "content",
        "context",
        "data",
        "document",
        "document_url",
        "file",
        "fileId",
        "file_data",
        "file_id",
        "file_url",
        "guardContent",
        "image",
        "image_url",
        "input",
        "input_audio",
        "json",
        "name",
        "query",
        "reasoningContent",
        "s3Location",
        "searchResult",
        "source",
        "text",
        "thinking",
        "title",
        "tool",
        "toolResult",
        "toolUse",
        "tool_changes",
        "type",
        "uri",
        "url",
        "video",
    ];
    let mut bulk = Bulk::default();
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "type" => {
                let kind = value.text()?;
                bulk.is_image |= matches!(&*kind, "image" | "image_url" | "input_image");
                Ok(())
            }
            "tool" => anthropic::addition(value, draft),
            "tool_changes" => anthropic::additions(value, draft),
            "image" | "image_url" => {
                bulk.is_image = true;
                Ok(value.skip()?)
            }
            "audio" | "audioContent" | "input_audio" | "video" => {
                let mut inside = Bulk::default();
                inside.read(value, draft)?;
                draft.input.media(inside.base64);
                bulk.is_elsewhere |= inside.is_elsewhere;
                Ok(())
            }
            "source" | "bytes" | "data" | "file" | "file_data" => bulk.read(value, draft),
            "document_url" | "fileId" | "file_id" | "file_url" | "s3Location" | "uri" | "url" => {
                bulk.is_elsewhere = true;
                Ok(value.skip()?)
            }
            "content" | "context" | "document" | "guardContent" | "reasoningContent"
            | "searchResult" | "text" | "toolResult" => content(value, draft),
            _ => Ok(value.weigh(&mut draft.input)?),
        }
    })?;
    if bulk.is_image {
        image(draft);
        return Ok(());
    }
    if bulk.base64 > 0 {
        draft.input.document(bulk.base64);
    }
    if bulk.is_elsewhere {
        draft.input.incomplete();
    }
    Ok(())
}

/// Bytes in base64, of which only the other members of their block say what they are.
#[derive(Default)]
struct Bulk {
    base64: usize,
    is_image: bool,
    is_elsewhere: bool,
}

impl Bulk {
    /// Reads a source: the bytes themselves, or an object that has them or says where they are.
    fn read(&mut self, value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
        const FIELDS: &[&str] = &[
            "bytes",
            "content",
            "data",
            "fileId",
            "file_data",
            "file_id",
            "s3Location",
            "source",
            "text",
            "uri",
            "url",
        ];
        match value.kind() {
            Some(Kind::Text) => self.base64 += value.text()?.len(),
            Some(Kind::Object) => {
                value.object(FIELDS, |field, value| match field {
                    "bytes" | "data" | "file_data" | "source" => self.read(value, draft),
                    "content" | "text" => content(value, draft),
                    _ => {
                        self.is_elsewhere = true;
                        Ok(value.skip()?)
                    }
                })?;
            }
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    }
}

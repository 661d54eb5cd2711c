//! The content of messages and input items: a text, or a list of parts.

use super::super::{Unreadable, blocks, draft::Draft, json::Value};

/// A message's content.
pub(super) fn content(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    blocks::strict(value, draft, "a text or a list of parts", part)
}

/// One part, whichever its type: what stands in it counts, since a server goes by the type or by the members.
fn part(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "audio_url",
        "content",
        "file",
        "file_data",
        "file_id",
        "file_url",
        "image",
        "image_url",
        "input_audio",
        "refusal",
        "text",
        "type",
        "video_url",
    ];
    let (mut is_image, mut is_elsewhere) = (false, false);
    value.object(FIELDS, |field, value| {
        match field {
            "type" => {
                let kind = value.text()?;
                is_image |= matches!(
                    &*kind,
                    "image" | "image_embeds" | "image_url" | "input_image" | "computer_screenshot"
                );
            }
            "image" | "image_url" => {
                if let Some(value) = value.optional()? {
                    value.skip()?;
                    is_image = true;
                }
            }
            "input_audio" | "audio_url" | "video_url" => media(value, draft)?,
            "file" => file(value, draft)?,
            "file_data" => document(value, draft)?,
            "file_id" | "file_url" => is_elsewhere |= is_there(value)?,
            "content" => content(value, draft)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })?;
    if is_image {
        draft.image();
        draft.input.image();
    } else if is_elsewhere {
        draft.input.incomplete();
    }
    Ok(())
}

/// Whether something other than `null` stands here.
fn is_there(value: Value<'_, '_>) -> Result<bool, Unreadable> {
    Ok(match value.optional()? {
        Some(value) => {
            value.skip()?;
            true
        }
        None => false,
    })
}

/// Chat's `file` member.
fn file(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.object(&["file_data", "file_id", "file_url"], |field, value| {
        if field == "file_data" {
            document(value, draft)?;
        } else if is_there(value)? {
            draft.input.incomplete();
        }
        Ok(())
    })
}

fn document(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if let Some(value) = value.optional()? {
        draft.input.document(value.text()?.len());
    }
    Ok(())
}

/// Sound or film: `{data, format}` with the bytes in it, or `{url}`.
fn media(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let Some(value) = value.optional()? else {
        return Ok(());
    };
    value.object(&["data", "url"], |_, value| {
        let data = value.text()?;
        if data.starts_with("http") {
            draft.input.incomplete();
        } else {
            draft.input.media(data.len());
        }
        Ok(())
    })
}

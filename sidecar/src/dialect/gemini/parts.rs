//! `Content` and its parts.

use super::super::{
    Unreadable,
    draft::Draft,
    json::{Kind, Value},
};

/// One `Content`, or as some clients send it, its text alone.
pub(super) fn content(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() == Some(Kind::Text) {
        return Ok(value.weigh(&mut draft.input)?);
    }
    value.message(&["parts"], |_, value| {
        if value.kind() == Some(Kind::Object) {
            return part(value, draft);
        }
        value.list(|value| part(value, draft))
    })
}

fn part(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
        "toolCall",
        "toolResponse",
    ];
    value.message(FIELDS, |field, value| {
        match field {
            "inlineData" => inline(value, draft)?,
            "fileData" => file(value, draft)?,
            "functionResponse" => response(value, draft)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })
}

/// Bytes in the call.
fn inline(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let (mut kind, mut length) = (String::new(), 0);
    value.message(&["data", "mimeType"], |field, value| {
        let text = value.text()?;
        if field == "data" {
            length = text.len();
        } else {
            kind = text.to_ascii_lowercase();
        }
        Ok(())
    })?;
    if kind.starts_with("image/") {
        draft.image();
        draft.input.image();
    } else if kind.starts_with("audio/") || kind.starts_with("video/") {
        draft.input.media(length);
    } else {
        draft.input.document(length);
    }
    Ok(())
}

/// A file at Google, in a bucket or on the web.
fn file(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut kind = String::new();
    value.message(&["mimeType"], |_, value| {
        kind = value.text()?.to_ascii_lowercase();
        Ok(())
    })?;
    // Without a type it may be an image.
    if kind.is_empty() || kind.starts_with("image/") {
        draft.image();
    }
    if kind.starts_with("image/") {
        draft.input.image();
    } else {
        draft.input.incomplete();
    }
    Ok(())
}

/// What a function returned; newer models take images in it.
fn response(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    value.message(&["name", "parts", "response"], |field, value| {
        if field == "parts" {
            value.list(|value| part(value, draft))
        } else {
            Ok(value.weigh(&mut draft.input)?)
        }
    })
}

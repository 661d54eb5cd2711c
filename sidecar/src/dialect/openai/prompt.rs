//! Operations that work on a prompt or an input and have little else to say: images, speech, videos, moderation, ranking, training.

use super::super::{
    Unreadable,
    draft::Draft,
    json::{Kind, Value},
};

/// Reads the body.
pub(super) fn read(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "documents",
        "image",
        "images",
        "input",
        "input_reference",
        "instructions",
        "mask",
        "model",
        "n",
        "prompt",
        "query",
        "size",
        "stream",
        "stream_format",
        "text_1",
        "text_2",
    ];
    value.object(FIELDS, |field, value| {
        let Some(value) = value.optional()? else {
            return Ok(());
        };
        match field {
            "model" => draft.model_member(value)?,
            "n" => draft.n(value)?,
            "stream" => draft.stream(value)?,
            // Speech: `audio` or `sse`.
            "stream_format" => {
                if value.text()? == "sse" {
                    draft.streams();
                }
            }
            // Others have numbers there, which say something else.
            "size" if value.kind() != Some(Kind::Text) => value.skip()?,
            "size" => draft.image_size(value.text()?),
            "image" | "images" | "input_reference" | "mask" => images(value, draft)?,
            _ => value.weigh(&mut draft.input)?,
        }
        Ok(())
    })
}

fn images(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    if value.kind() == Some(Kind::List) {
        return value.list(|value| images(value, draft));
    }
    value.skip()?;
    draft.image();
    draft.input.image();
    Ok(())
}

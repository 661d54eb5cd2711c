//! Operations whose body is a form: files go with them.

use super::super::{
    Unreadable,
    draft::Draft,
    media::{self, Media},
    model,
    multipart::{self, Error, Part},
};

/// Fields that we read; those with a value of their own must stand there once.
const FIELDS: [&str; 5] = ["model", "n", "prompt", "size", "stream"];

/// Reads the form.
pub(super) fn read(body: &[u8], boundary: &str, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut seen: Vec<&str> = Vec::new();
    multipart::read(body, boundary, |part| {
        match part.field(&FIELDS)? {
            Some(field) => {
                if seen.contains(&field) {
                    return Err(Error::Twice.into());
                }
                seen.push(field);
                member(field, &part, draft)?;
            }
            None => file(&part, draft),
        }
        Ok(())
    })
}

fn member(field: &str, part: &Part<'_>, draft: &mut Draft) -> Result<(), Unreadable> {
    let text = part.text()?;
    match field {
        "model" => draft.model(model::named(text)?),
        "n" => draft.answers(text.parse().map_err(|_| Error::Value)?),
        "size" => draft.image_size(text),
        "stream" => match text {
            "true" | "True" => draft.streams(),
            "false" | "False" | "" => {}
            // Servers that read forms have many words for yes.
            _ => return Err(Error::Value.into()),
        },
        _ => draft.input.text(text),
    }
    Ok(())
}

fn file(part: &Part<'_>, draft: &mut Draft) {
    match part.name {
        "image" | "image[]" | "mask" | "input_reference" => {
            draft.image();
            draft.input.image();
        }
        // Sound; in base64 it would be a third longer.
        "file" => draft.input.media(part.content.len() / 3 * 4),
        _ => {}
    }
}

/// The boundary of the form that the request says it is, or nothing for JSON where the operation takes that too.
pub(super) fn boundary(
    headers: &http::HeaderMap,
    takes_json: bool,
) -> Result<Option<String>, Unreadable> {
    match media::kind(headers)? {
        Media::Form(boundary) => Ok(Some(boundary)),
        Media::Json if takes_json => Ok(None),
        Media::Json | Media::Other => Err(Unreadable::ContentType("multipart/form-data")),
    }
}

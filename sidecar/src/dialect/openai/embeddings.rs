//! `POST /embeddings`.

use super::{
    super::{Unreadable, draft::Draft, json::Value},
    chat, completions,
};

/// Reads the body.
pub(in super::super) fn read(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &["fallbacks", "input", "model", "models", "preset"];
    value.object(FIELDS, |field, value| {
        match field {
            "model" => draft.model_member(value)?,
            "input" => {
                let texts = completions::texts(value, draft)?;
                draft.embeddings(texts);
            }
            _ => chat::routing(field, value, draft)?,
        }
        Ok(())
    })
}

//! `POST /completions`.

use super::{
    super::{
        Unreadable,
        draft::Draft,
        json::{Kind, Value},
    },
    chat,
};

/// Reads the body. Every prompt is answered `n` times, so that the call's `n` is the product.
pub(in super::super) fn read(value: Value<'_, '_>, draft: &mut Draft) -> Result<(), Unreadable> {
    const FIELDS: &[&str] = &[
        "best_of",
        "fallbacks",
        "max_completion_tokens",
        "max_tokens",
        "model",
        "models",
        "n",
        "plugins",
        "preset",
        "prompt",
        "stream",
        "suffix",
    ];
    let mut prompts = 1;
    value.object(FIELDS, |field, value| {
        match field {
            "model" => draft.model_member(value)?,
            "prompt" => prompts = texts(value, draft)?,
            "suffix" => value.weigh(&mut draft.input)?,
            "max_completion_tokens" | "max_tokens" => draft.max_tokens(value)?,
            "n" | "best_of" => draft.n(value)?,
            "stream" => draft.stream(value)?,
            _ => chat::routing(field, value, draft)?,
        }
        Ok(())
    })?;
    draft.times(prompts);
    Ok(())
}

/// A text, a list of texts, the tokens of one, or a list of the tokens of several: says how many texts these are.
pub(super) fn texts(value: Value<'_, '_>, draft: &mut Draft) -> Result<u64, Unreadable> {
    if value.kind() != Some(Kind::List) {
        if value.kind() == Some(Kind::Null) {
            value.skip()?;
        } else {
            value.weigh(&mut draft.input)?;
        }
        return Ok(1);
    }
    let (mut texts, mut tokens) = (0, 0);
    value.list(|value| {
        match value.kind() {
            Some(Kind::Number) => {
                value.skip()?;
                tokens += 1;
            }
            Some(Kind::List) => {
                texts += 1;
                value.list(|value| {
                    // Other items than numbers are no tokens, and weigh what they weigh.
                    if value.kind() == Some(Kind::Number) {
                        tokens += 1;
                        return Ok(value.skip()?);
                    }
                    Ok(value.weigh(&mut draft.input)?)
                })?;
            }
            _ => {
                texts += 1;
                value.weigh(&mut draft.input)?;
            }
        }
        Ok(())
    })?;
    if texts == 0 && tokens > 0 {
        texts = 1;
    }
    draft.input.tokens_given(tokens);
    Ok(texts)
}

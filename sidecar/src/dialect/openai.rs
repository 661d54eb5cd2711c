//! OpenAI's API, and all that is spoken like it: Groq, DeepSeek, xAI, Together, Fireworks, OpenRouter, vLLM and others.
//!
//! Paths and members are those of <https://platform.openai.com/docs/api-reference> and <https://openrouter.ai/docs/api-reference>; which
//! operations there are stands in `endpoint`, how a body is read in a file for each shape of body.

use postern_crds::{
    facts::{Call, Models},
    provider::Dialect,
};

use super::{Head, Request, Unreadable, draft::Draft, json, media};

mod assistants;
pub(super) mod chat;
mod completions;
pub(super) mod embeddings;
mod endpoint;
mod form;
mod parts;
mod prompt;
mod responses;
mod tools;

use endpoint::Body;
pub(super) use endpoint::{Endpoint, endpoint};

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    endpoint(head.method, &head.segments()).head()
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let endpoint = endpoint(request.head.method, &request.head.segments());
    endpoint.read(request, endpoint.draft())
}

impl Endpoint {
    /// What the head alone tells.
    pub(super) fn head(self) -> Call {
        let models = match self.body {
            Body::Nowhere => Models::None,
            Body::Json(_) | Body::Defaulted(_) | Body::Form(_) | Body::Query | Body::Hidden => {
                Models::Hidden
            }
        };
        Draft::head(self.operation, models)
    }

    /// A call for this operation of which nothing else is known.
    pub(super) fn draft(self) -> Draft {
        Draft::new(self.operation)
    }

    /// Reads the body and the query, beside what is in `draft` already.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(super) fn read(self, request: &Request<'_>, mut draft: Draft) -> Result<Call, Unreadable> {
        match self.body {
            Body::Json(reader) | Body::Defaulted(reader) => {
                media::json(request.headers)?;
                json::read(request.body, |value| reader(value, &mut draft))?;
            }
            Body::Form(reader) => {
                match (form::boundary(request.headers, reader.is_some())?, reader) {
                    (Some(boundary), _) => form::read(request.body, &boundary, &mut draft)?,
                    (None, Some(reader)) => {
                        json::read(request.body, |value| reader(value, &mut draft))?;
                    }
                    (None, None) => {}
                }
            }
            Body::Query => {}
            Body::Hidden => draft.hide_models(),
            Body::Nowhere => return Ok(draft.finish()),
        }
        draft.query_models(request.head.query)?;
        if !draft.has_models() {
            // OpenRouter has a default of the account's own even for a chat.
            if matches!(self.body, Body::Json(_)) && request.head.dialect != Dialect::OpenRouter {
                return Err(Unreadable::NoModel);
            }
            draft.hide_models();
        }
        Ok(draft.finish())
    }
}

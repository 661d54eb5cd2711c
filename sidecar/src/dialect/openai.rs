//! OpenAI's API, and all that is spoken like it: Groq, DeepSeek, xAI, Together, Fireworks, OpenRouter, vLLM and others.
//!
//! Paths and members are those of <https://platform.openai.com/docs/api-reference> and <https://openrouter.ai/docs/api-reference>; which
//! operations there are stands in `endpoint`, how a body is read in a file for each shape of body.

use postern_crds::{
    facts::{Call, Models},
    provider::Dialect,
};

use super::{Head, Request, Unreadable, draft::Draft, json, media, model, query};

mod chat;
mod endpoint;
mod parts;
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
    let mut draft = Draft::new(endpoint.operation);
    endpoint.read(request, &mut draft)?;
    if !draft.has_models() && endpoint.has_model() {
        if request.head.dialect != Dialect::OpenRouter {
            return Err(Unreadable::NoModel);
        }
        // The account's own default answers then.
        draft.hide_models();
    }
    Ok(draft.finish())
}

impl Endpoint {
    /// What the head alone tells.
    pub(super) fn head(self) -> Call {
        let models = match self.body {
            Body::Json(_) | Body::Hidden => Models::Hidden,
            Body::Unread => Models::None,
        };
        Draft::head(self.operation, models)
    }

    /// Whether the body must name a model.
    fn has_model(self) -> bool {
        matches!(self.body, Body::Json(_))
    }

    /// Reads the body and the query into `draft`.
    ///
    /// # Errors
    /// [`Unreadable`], but for a missing model.
    pub(super) fn read(self, request: &Request<'_>, draft: &mut Draft) -> Result<(), Unreadable> {
        match self.body {
            Body::Json(body) => {
                media::json(request.headers)?;
                json::read(request.body, |value| body(value, draft))?;
            }
            Body::Unread => return Ok(()),
            Body::Hidden => draft.hide_models(),
        }
        // A server that looks into the query first would take that one.
        for name in query::values(request.head.query, "model")? {
            draft.model(model::named(&name)?);
        }
        Ok(())
    }
}

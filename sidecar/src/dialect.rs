//! What a call says, in the words of its vendor's API: method, path, headers and body become one [`Call`].
//!
//! Every reader is a pure function over bytes, one file a wire format. *Architecture invariant: any doubt makes a call unreadable or its models
//! hidden, never harmless.* An operation that is not known may do anything; a body that two servers may read differently is refused.

use std::collections::BTreeMap;

use http::HeaderMap;
use postern_crds::{
    facts::{Call, Models, Operation},
    provider::Dialect,
};

mod anthropic;
mod azure;
mod bedrock;
mod blocks;
mod cohere;
mod draft;
pub(crate) mod encoding;
mod estimate;
mod gemini;
pub(crate) mod json;
mod media;
mod mistral;
mod model;
mod multipart;
mod ollama;
mod openai;
mod pinecone;
mod plain;
mod qdrant;
pub(crate) mod query;
mod store;
mod tools;
mod weaviate;

/// A request's head, as far as a wire format speaks of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    /// The wire format of the route.
    pub(crate) dialect: Dialect,
    /// In capitals.
    pub(crate) method: &'a str,
    /// As it will be sent: normalised, without the query.
    pub(crate) path: &'a str,
    /// What every path of the route starts with: [`postern_crds::Route::base_path`].
    pub(crate) base_path: &'a str,
    /// As it will be sent.
    pub(crate) query: Option<&'a str>,
    /// Which model stands behind which deployment, where the identity says so.
    pub(crate) deployments: &'a BTreeMap<String, String>,
}

/// A whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Its head.
    pub(crate) head: Head<'a>,
    /// Its headers, as the caller sent them.
    pub(crate) headers: &'a HeaderMap,
    /// Its body, with the content encoding taken off: [`encoding::decode`].
    pub(crate) body: &'a [u8],
}

/// Why a call cannot be read in one way only. It quotes nothing of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// The JSON is not strict, or a member has another type than the API says.
    #[error("{0}")]
    Json(#[from] json::Error),
    /// `Content-Type` is missing, twice there, malformed, or another than the operation takes.
    #[error("the Content-Type must be {0}")]
    ContentType(&'static str),
    /// A form that is not strict.
    #[error("the form is refused: {0}")]
    Form(#[from] multipart::Error),
    /// A query that can be read in two ways.
    #[error("the query has a malformed percent-encoding")]
    Query,
    /// The operation needs a model and the call names none.
    #[error("the call names no model; set `model`")]
    NoModel,
    /// A model's name that no vendor has.
    #[error(
        "the model's name must be 1 to {} printable ASCII characters without spaces",
        model::MAX_NAME
    )]
    ModelName,
    /// More tools than any vendor takes.
    #[error("it names more than {} tools", draft::MAX_TOOLS)]
    TooManyTools,
    /// A header that asks for another method than the request's own.
    #[error("a header asks for another method; send the request with that method")]
    MethodOverride,
}

impl Unreadable {
    /// The same, with the member in which it was found, unless one deeper inside is named.
    fn within(mut self, field: &'static str) -> Self {
        if let Self::Json(error) = &mut self {
            error.field.get_or_insert(field);
        }
        self
    }
}

impl<'a> Head<'a> {
    /// The path below the route's base path, as the vendor's documentation writes it: `/chat/completions`.
    fn resource(&self) -> &'a str {
        self.path.strip_prefix(self.base_path).unwrap_or(self.path)
    }

    /// The resource's segments. A trailing slash gives an empty last one, which no known operation has.
    fn segments(&self) -> Vec<&'a str> {
        self.resource().split('/').skip(1).collect()
    }
}

/// Reads a JSON document into a draft.
type Reader = fn(json::Value<'_, '_>, &mut draft::Draft) -> Result<(), Unreadable>;

/// What method, path and query alone tell. Models that stand in the body are [`Models::Hidden`].
pub(crate) fn head(head: &Head<'_>) -> Call {
    match head.dialect {
        Dialect::OpenAi | Dialect::OpenRouter => openai::head(head),
        Dialect::AzureOpenAi => azure::head(head),
        Dialect::Anthropic => anthropic::head(head),
        Dialect::Gemini => gemini::head(head),
        Dialect::Bedrock => bedrock::head(head),
        Dialect::Mistral => mistral::head(head),
        Dialect::Cohere => cohere::head(head),
        Dialect::Ollama => ollama::head(head),
        Dialect::Pinecone => pinecone::head(head),
        Dialect::Qdrant => qdrant::head(head),
        Dialect::Weaviate => weaviate::head(head),
        Dialect::Plain => plain::head(head),
    }
}

/// The whole call.
///
/// # Errors
/// [`Unreadable`] where two servers may read the request differently, or where the operation's own API would refuse it.
pub(crate) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let mut call = match request.head.dialect {
        Dialect::OpenAi | Dialect::OpenRouter => openai::read(request)?,
        Dialect::AzureOpenAi => azure::read(request)?,
        Dialect::Anthropic => anthropic::read(request)?,
        Dialect::Gemini => gemini::read(request)?,
        Dialect::Bedrock => bedrock::read(request)?,
        Dialect::Mistral => mistral::read(request)?,
        Dialect::Cohere => cohere::read(request)?,
        Dialect::Ollama => ollama::read(request)?,
        Dialect::Pinecone => pinecone::read(request)?,
        Dialect::Qdrant => qdrant::read(request)?,
        Dialect::Weaviate => weaviate::read(request)?,
        Dialect::Plain => plain::read(request)?,
    };
    if call.tools.len() > draft::MAX_TOOLS {
        return Err(Unreadable::TooManyTools);
    }
    call.body_bytes = request.body.len() as u64;
    Ok(call)
}

/// A call of which nothing is known: it may do anything, with any model.
fn unknown() -> Call {
    Call {
        operation: Operation::Unknown,
        models: Models::Hidden,
        n: 1,
        ..Call::default()
    }
}

/// Refuses a header by which Google's servers, Rails, Django REST and others take another method than the request's own, past every rule about
/// that. It is no part of [`read`], since it holds for a call of which the head alone is read too.
///
/// # Errors
/// [`Unreadable::MethodOverride`].
pub(crate) fn refuse_method_override(headers: &HeaderMap) -> Result<(), Unreadable> {
    const NAMES: [&str; 3] = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ];
    if NAMES.iter().any(|name| headers.contains_key(*name)) {
        return Err(Unreadable::MethodOverride);
    }
    Ok(())
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;

//! What a path of Google's APIs asks for, and of which model.

use postern_crds::facts::{Model, Models, Operation};

use super::{
    super::{Reader, Unreadable, anthropic, model, openai},
    generate,
};

/// What a path asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    /// The operation.
    pub(super) operation: Operation,
    /// Whether the verb asks for a stream.
    pub(super) is_stream: bool,
    /// What its body says.
    pub(super) body: Body,
    model: Named<'a>,
}

/// Which model a path names.
#[derive(Clone, Copy, Debug)]
enum Named<'a> {
    /// None, and none is concerned, or the body names it.
    None,
    /// A model of this publisher.
    Model(&'a str),
    /// Something behind which a model stands: a tuned model, an endpoint.
    Handle(&'a str, &'a str),
    /// None, though some model will answer.
    Hidden,
}

/// What a body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Nothing of models.
    Nowhere,
    /// `GenerateContentRequest`.
    Generate,
    /// `CountTokensRequest`.
    Count,
    /// `EmbedContentRequest`.
    Embed,
    /// Several of them.
    EmbedMany,
    /// Vertex AI's `instances` and `parameters`.
    Predict,
    /// `CachedContent`.
    Cache,
    /// Anthropic's messages, on Vertex AI.
    Anthropic,
    /// A chat as Mistral's or Llama's, on Vertex AI.
    OpenAi,
}

impl<'a> Target<'a> {
    /// What `segments` ask for.
    pub(super) fn of(method: &str, segments: &[&'a str]) -> Self {
        let is_read = matches!(method, "GET" | "HEAD");
        let unknown = Self::new(Operation::Unknown, Body::Nowhere, Named::Hidden);
        let nowhere = |operation| Self::new(operation, Body::Nowhere, Named::None);
        // Files go up and down beside the versions: `/upload/v1beta/files`.
        let segments = match segments {
            ["upload" | "download", rest @ ..] => rest,
            other => other,
        };
        let Some(below) = below_parent(segments) else {
            return unknown;
        };
        match below {
            // To a lenient server it may be the same without the slash at the end.
            [.., ""] => unknown,
            ["models"] if is_read => nowhere(Operation::Models),
            ["models", name] if is_read && !name.contains(':') => nowhere(Operation::Models),
            ["tunedModels" | "operations", ..] if is_read => nowhere(Operation::Models),
            ["files", ..] => nowhere(Operation::Files),
            ["batches", ..] if is_read || method == "DELETE" => nowhere(Operation::Batch),
            ["batches", name] if method == "POST" && name.ends_with(":cancel") => {
                nowhere(Operation::Batch)
            }
            ["cachedContents"] if method == "POST" => {
                Self::new(Operation::Stored, Body::Cache, Named::None)
            }
            ["cachedContents", ..] if method != "POST" => nowhere(Operation::Stored),
            ["fileSearchStores" | "corpora" | "ragStores", ..] => nowhere(Operation::Stored),
            ["tunedModels"] if method == "POST" => {
                Self::new(Operation::FineTuning, Body::Nowhere, Named::Hidden)
            }
            [kind @ ("models" | "tunedModels" | "endpoints"), last] => {
                let (name, verb) = last.split_once(':').unwrap_or((last, ""));
                let model = match *kind {
                    "models" => Named::Model(name),
                    kind => Named::Handle(kind, name),
                };
                Self::of_verb(verb, model, None).unwrap_or(unknown)
            }
            ["publishers", publisher, "models", last] => {
                let (name, verb) = last.split_once(':').unwrap_or((last, ""));
                Self::of_verb(verb, Named::Model(name), Some(publisher)).unwrap_or(unknown)
            }
            _ => unknown,
        }
    }

    fn new(operation: Operation, body: Body, model: Named<'a>) -> Self {
        Self {
            operation,
            is_stream: false,
            body,
            model,
        }
    }

    /// What `verb` asks of `model`. Google takes the verb whatever the method is.
    fn of_verb(verb: &str, model: Named<'a>, publisher: Option<&str>) -> Option<Self> {
        use Operation as O;
        let (operation, body) = match verb {
            "generateContent" | "streamGenerateContent" | "generateAnswer" => {
                (O::Chat, Body::Generate)
            }
            "countTokens" | "computeTokens" => (O::CountTokens, Body::Count),
            "embedContent" => (O::Embeddings, Body::Embed),
            "batchEmbedContents" => (O::Embeddings, Body::EmbedMany),
            // The calls of a batch stand in a file, or name models of their own.
            "batchGenerateContent" | "asyncBatchEmbedContent" => {
                return Some(Self::new(O::Batch, Body::Nowhere, Named::Hidden));
            }
            "predict" => (model.predicts(), Body::Predict),
            "predictLongRunning" => (O::Video, Body::Predict),
            "fetchPredictOperation" => (O::Video, Body::Nowhere),
            "rawPredict" | "streamRawPredict" if publisher == Some("anthropic") => {
                (O::Chat, Body::Anthropic)
            }
            "rawPredict" | "streamRawPredict" if publisher.is_some() => (O::Chat, Body::OpenAi),
            _ => return None,
        };
        Some(Self {
            is_stream: matches!(verb, "streamGenerateContent" | "streamRawPredict"),
            ..Self::new(operation, body, model)
        })
    }

    /// The models that the path names.
    ///
    /// # Errors
    /// Not a model's name.
    pub(super) fn models(self) -> Result<Models, Unreadable> {
        Ok(match self.model {
            Named::None => Models::None,
            Named::Hidden => Models::Hidden,
            Named::Model(name) => Models::Named(vec![in_path(name)?]),
            Named::Handle(kind, name) => {
                in_path(name)?;
                Models::Named(vec![Model::opaque(format!("{kind}/{name}"))])
            }
        })
    }

    /// Who reads the body.
    pub(super) fn reader(self) -> Option<Reader> {
        Some(match self.body {
            Body::Nowhere => return None,
            Body::Generate => generate::content,
            Body::Count => generate::count,
            Body::Embed => generate::embed,
            Body::EmbedMany => generate::embed_many,
            Body::Predict => generate::predict,
            Body::Cache => generate::content,
            Body::Anthropic => anthropic::messages,
            Body::OpenAi => openai::chat::read,
        })
    }
}

impl Named<'_> {
    /// What `predict` asks of it: Vertex AI has one verb for all kinds of models.
    fn predicts(self) -> Operation {
        let Self::Model(name) = self else {
            return Operation::Unknown;
        };
        if name.contains("embedding") || name.contains("gecko") {
            Operation::Embeddings
        } else if name.starts_with("imagen") || name.starts_with("imagegeneration") {
            Operation::ImageGeneration
        } else {
            Operation::Unknown
        }
    }
}

/// A model in a path. What has to be percent-encoded there stands in no model's name.
fn in_path(name: &str) -> Result<Model, Unreadable> {
    if name.contains(['%', ':']) {
        return Err(Unreadable::ModelName);
    }
    model::named(name)
}

/// A model in a body: `models/{model}`, or a resource's full name.
pub(super) fn in_body(name: &str) -> Result<Model, Unreadable> {
    model::check(name)?;
    match name.rsplit('/').collect::<Vec<_>>().as_slice() {
        [model] | [model, "models", ..] => model::named(model),
        [id, kind, ..] => Ok(Model::opaque(format!("{kind}/{id}"))),
        [] => Err(Unreadable::ModelName),
    }
}

/// The resource below its version and, for Vertex AI, below its project and location.
fn below_parent<'s, 'a>(segments: &'s [&'a str]) -> Option<&'s [&'a str]> {
    let (version, rest) = segments.split_first()?;
    let is_version = version
        .strip_prefix('v')
        .is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    match rest {
        _ if !is_version => None,
        ["projects", _, "locations", _, rest @ ..] => Some(rest),
        rest => Some(rest),
    }
}

/// The path below Google's own copy of OpenAI's API, if it is there: `/v1beta/openai/…`, `/v1/projects/…/endpoints/openapi/…`.
pub(super) fn openai<'s, 'a>(segments: &'s [&'a str]) -> Option<&'s [&'a str]> {
    match below_parent(segments)? {
        ["openai", rest @ ..] | ["endpoints", "openapi", rest @ ..] => Some(rest),
        _ => None,
    }
}

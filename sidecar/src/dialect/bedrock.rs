//! AWS Bedrock's runtime: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html>.
//!
//! The model stands in the path; only asynchronous invocations have it in the body. Its chat completions like OpenAI's are read as those.

use postern_crds::facts::{Call, Models, Operation};

use super::{Head, Request, Unreadable, draft::Draft, json, media, openai};

mod body;
mod model;

/// What the path says.
enum Endpoint<'a> {
    /// One operation on the model of this segment.
    Model(Verb, &'a str),
    /// A judgement of texts by a guardrail, which is no model that a rule could name.
    Guardrail,
    /// The start of a job, whose model stands in the body.
    StartJob,
    /// Looking at jobs.
    Jobs,
    /// OpenAI's API, below this path.
    OpenAi(&'static str),
    /// Anything else.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Converse { stream: bool },
    Invoke { stream: bool },
    Live,
    CountTokens,
}

fn endpoint<'a>(head: &Head<'a>) -> Endpoint<'a> {
    let segments: Vec<&str> = head.path.split('/').skip(1).collect();
    match (head.method, segments.as_slice()) {
        ("POST", ["model", id, verb]) => {
            let verb = match *verb {
                "converse" => Verb::Converse { stream: false },
                "converse-stream" => Verb::Converse { stream: true },
                "invoke" => Verb::Invoke { stream: false },
                "invoke-with-response-stream" => Verb::Invoke { stream: true },
                "invoke-with-bidirectional-stream" => Verb::Live,
                "count-tokens" => Verb::CountTokens,
                _ => return Endpoint::Unknown,
            };
            Endpoint::Model(verb, id)
        }
        ("POST", ["guardrail", _, "version", _, "apply"]) => Endpoint::Guardrail,
        ("POST", ["async-invoke"]) => Endpoint::StartJob,
        ("GET", ["async-invoke"] | ["async-invoke", _]) => Endpoint::Jobs,
        (_, ["openai", "v1", ..]) => Endpoint::OpenAi("/openai/v1"),
        (_, ["v1", "chat", "completions"]) => Endpoint::OpenAi("/v1"),
        _ => Endpoint::Unknown,
    }
}

impl Verb {
    /// What is asked of the model `id`, which alone knows what it makes of an invocation's body.
    fn operation(self, id: &str) -> Operation {
        match self {
            Self::Converse { .. } => Operation::Chat,
            Self::Invoke { .. } => model::operation(id),
            Self::Live => Operation::Realtime,
            Self::CountTokens => Operation::CountTokens,
        }
    }

    fn is_stream(self) -> bool {
        matches!(
            self,
            Self::Converse { stream: true } | Self::Invoke { stream: true } | Self::Live
        )
    }
}

/// What the head alone tells.
pub(super) fn head(head: &Head<'_>) -> Call {
    match endpoint(head) {
        Endpoint::Model(verb, segment) => {
            let model = model::in_path(segment);
            let operation = match &model {
                Ok(model) => verb.operation(&model.name),
                Err(_) => Operation::Unknown,
            };
            let models = model.map_or(Models::Hidden, |model| Models::Named(vec![model]));
            Call {
                stream: verb.is_stream(),
                ..Draft::head(operation, models)
            }
        }
        Endpoint::Guardrail => Draft::head(Operation::Moderation, Models::None),
        Endpoint::StartJob => Draft::head(Operation::Batch, Models::Hidden),
        Endpoint::Jobs => Draft::head(Operation::Batch, Models::None),
        Endpoint::OpenAi(base_path) => openai::head(&Head { base_path, ..*head }),
        Endpoint::Unknown => super::unknown(),
    }
}

/// The whole call.
pub(super) fn read(request: &Request<'_>) -> Result<Call, Unreadable> {
    let head = &request.head;
    match endpoint(head) {
        Endpoint::Model(verb, segment) => {
            let model = model::in_path(segment)?;
            let mut draft = Draft::new(verb.operation(&model.name));
            draft.model(model);
            if verb.is_stream() {
                draft.streams();
            }
            if verb == Verb::Live {
                // A stream of events in both directions, which nobody has seen the end of.
                draft.input.incomplete();
                return Ok(draft.finish());
            }
            media::json_or_nothing(request.headers)?;
            json::read(request.body, |value| match verb {
                Verb::Converse { .. } => body::converse(value, &mut draft),
                Verb::CountTokens => body::count_tokens(value, &mut draft),
                Verb::Invoke { .. } | Verb::Live => body::invoke(value, &mut draft),
            })?;
            Ok(draft.finish())
        }
        Endpoint::Guardrail => {
            media::json_or_nothing(request.headers)?;
            let mut draft = Draft::new(Operation::Moderation);
            json::read(request.body, |value| body::guardrail(value, &mut draft))?;
            Ok(draft.finish())
        }
        Endpoint::StartJob => {
            media::json_or_nothing(request.headers)?;
            let mut draft = Draft::new(Operation::Batch);
            json::read(request.body, |value| body::job(value, &mut draft))?;
            if !draft.has_models() {
                return Err(Unreadable::NoModel);
            }
            Ok(draft.finish())
        }
        Endpoint::Jobs => Ok(Draft::new(Operation::Batch).finish()),
        Endpoint::OpenAi(base_path) => {
            let head = Head { base_path, ..*head };
            let mut call = openai::read(&Request { head, ..*request })?;
            if let Models::Named(models) = &mut call.models {
                for model in models {
                    *model = model::named(&model.name)?;
                }
            }
            Ok(call)
        }
        Endpoint::Unknown => Ok(super::unknown()),
    }
}

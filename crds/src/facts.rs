//! What is known of a call when it is decided: named alike in rules, logs and records.
//!
//! The sidecar finds these out and this crate only says what they are, so nothing here reads a clock, a body or an environment.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::money::Usd;

/// All that a decision may depend on.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Name of the credential that the call's route belongs to.
    pub credential: &'a str,
    /// HTTP method, in capitals.
    pub method: &'a str,
    /// Path as it will be sent to the provider, normalised, without the query.
    pub path: &'a str,
    /// The upstream's host.
    pub host: &'a str,
    /// The headers that rules may read, by their names in lower case: see [`READABLE_HEADERS`]. One that stands in the call twice stands here
    /// twice, and bytes that are no text are U+FFFD: a header that is there must never look as if it were not.
    pub headers: Vec<(&'a str, Cow<'a, str>)>,
    /// Namespace and name of the identity.
    pub identity: (&'a str, &'a str),
    /// The pod's name; empty on a laptop.
    pub pod: &'a str,
    /// When the call came.
    pub now: Moment,
    /// What the call itself says.
    pub content: Content<'a>,
}

impl<'a> Facts<'a> {
    /// What the head of a call says, for those who know no more of it: tests, and callers for whom [`Policy::needs`](crate::Policy::needs)
    /// asks for no content.
    pub fn of_head(credential: &'a str, method: &'a str, path: &'a str) -> Self {
        Self {
            credential,
            method,
            path,
            host: "",
            headers: Vec::new(),
            identity: ("", ""),
            pod: "",
            now: Moment::default(),
            content: Content::NotRead,
        }
    }
}

/// Headers that a rule may read. None of them carries a credential, and none is a name under which a vendor takes instructions.
pub const READABLE_HEADERS: [&str; 8] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "content-encoding",
    "content-type",
    "openai-beta",
    "traceparent",
    "user-agent",
];

/// A moment, as far as rules speak of it; in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// 0 to 23.
    pub hour: u8,
    /// 0 is Sunday, as in CEL's `getDayOfWeek`.
    pub weekday: u8,
}

/// What is known of a call's content.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// The head was read and nothing else, because no rule in force needs more.
    NotRead,
    /// It was read.
    Read(Cow<'a, Call>),
    /// It should have been read and could not be: a body that is too long. What the head alone tells is in it.
    Uninspected(Cow<'a, Call>),
}

/// One call in the terms of its dialect, whatever its wire format.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Call {
    /// What is asked for.
    pub operation: Operation,
    /// The models that may answer.
    pub models: Models,
    /// Whether the answer is to come as a stream.
    pub stream: bool,
    /// The most output tokens that the call asks for, in whichever spelling; or else the model's own limit, where it is known. For all `n`
    /// answers together this is to be taken `n` times.
    pub max_tokens: Option<u64>,
    /// About how many tokens the input has; never fewer than a tokenizer would count by much, see the sidecar's `dialect::estimate`. `None` where a part
    /// of the input is not in the call: a stored conversation or file, or what a tool that the vendor runs will find.
    pub estimated_input_tokens: Option<u64>,
    /// The most that the call can cost by the price table, in US dollars; `None` where a price or a bound is unknown.
    pub estimated_cost: Option<Usd>,
    /// Names of the tools that the model may call: functions by their name, the vendor's own by their type.
    pub tools: Vec<String>,
    /// Messages (or turns, or input items).
    pub messages: Option<u64>,
    /// Whether there are images among the input.
    pub has_images: bool,
    /// How large images or films are to be, as the call writes it: `1024x1024`, `auto`.
    pub image_size: Option<String>,
    /// How many texts are to be embedded.
    pub embeddings_count: Option<u64>,
    /// How many answers are asked for.
    pub n: u64,
    /// Collection, index or class of a vector store.
    pub collection: Option<String>,
    /// Namespace or tenant within it.
    pub namespace: Option<String>,
    /// Bytes of the body, after its content encoding was taken off.
    pub body_bytes: u64,
}

/// Which models may answer a call.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum Models {
    /// The operation has none: listing files, reading a collection.
    #[default]
    None,
    /// These. Several where the call names fallbacks, of which the provider takes the one that it likes.
    Named(Vec<Model>),
    /// Any: the names stand where they are not read (a batch's file, a stored conversation), or the operation is not known.
    Hidden,
}

/// One model that a call names.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// As the call writes it. An `Allow` is about this spelling alone.
    pub name: String,
    /// Other names of what it reaches, as the model under a fine-tuned one, or the one behind `openai/` or an ARN. A `Deny` is about these too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether the name is only a handle, as of a provisioned throughput or a deployment: any model may stand behind it. An `Allow` may name the
    /// handle; every `Deny` of a model is about it, whichever model that is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
}

impl Models {
    /// The name of the first, as the call writes it.
    pub fn first(&self) -> Option<&str> {
        match self {
            Self::Named(models) => models.first().map(|model| model.name.as_str()),
            Self::None | Self::Hidden => None,
        }
    }
}

impl Model {
    /// A model without other names.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// A model behind a name that does not tell which.
    pub fn opaque(name: impl Into<String>) -> Self {
        Self {
            opaque: true,
            ..Self::new(name)
        }
    }
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal),* $(,)?) => {
        /// What a call asks for, in one vocabulary for all dialects. Where OpenTelemetry's GenAI conventions have a word, it is theirs.
        #[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant,)*
            /// Not known. It may do anything.
            #[default]
            #[serde(rename = "unknown")]
            Unknown,
        }

        impl Operation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)* Self::Unknown];

            /// Its name in rules, logs and metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

operations! {
    /// A conversation: chat completions, Responses, messages, generateContent, Converse.
    Chat = "chat",
    /// A continuation of a text.
    TextCompletion = "text_completion",
    /// Vectors for texts.
    Embeddings = "embeddings",
    /// An order of texts by relevance.
    Rerank = "rerank",
    /// Counting tokens without an answer.
    CountTokens = "count_tokens",
    /// A judgement of texts.
    Moderation = "moderation",
    /// Images from a text.
    ImageGeneration = "image.generation",
    /// Images from images.
    ImageEdit = "image.edit",
    /// Speech from a text.
    Speech = "audio.speech",
    /// Text from speech.
    Transcription = "audio.transcription",
    /// English text from speech.
    Translation = "audio.translation",
    /// Videos.
    Video = "video",
    /// A live session over a socket or WebRTC.
    Realtime = "realtime",
    /// Jobs over many calls, which name their models in a file.
    Batch = "batch",
    /// Files at the provider.
    Files = "files",
    /// Training of models.
    FineTuning = "fine_tuning",
    /// Conversations, agents and other state that the provider keeps.
    Stored = "stored",
    /// What models there are, and changing them.
    Models = "models",
    /// A search of the web or of documents.
    Search = "search",
    /// Reading from a vector store.
    VectorQuery = "vector.query",
    /// Writing into a vector store.
    VectorUpsert = "vector.upsert",
    /// Deleting from a vector store.
    VectorDelete = "vector.delete",
    /// Listing, creating, changing or deleting collections, indexes or namespaces of a vector store.
    VectorCollections = "vector.collections",
}

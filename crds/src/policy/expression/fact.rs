//! The facts that expressions may name: their types, where they come from, and how the evaluator gets them. The table in the documentation of
//! `policy` is this file for its readers.

use std::{borrow::Cow, collections::HashMap};

use cel::{
    Context, Value,
    common::{
        types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelString},
        value::Val,
    },
};

use super::kind::Kind;
use crate::facts::{Content, Facts, Models};

/// Most entries of a list that an expression names: OpenAI takes 128 tools a call.
pub(super) const MAX_ENTRIES: usize = 256;

/// Most bytes of a text that an expression names, and of the texts of a list together.
pub(super) const MAX_TEXT: usize = 32 * 1024;

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The head of a call, or what surrounds it.
    Head,
    /// The dialect, by the head alone.
    Dialect,
    /// The body.
    Body,
}

macro_rules! facts {
    ($($variant:ident = $path:literal, $source:ident, $kind:expr;)*) => {
        /// A fact that expressions may name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Fact {
            $($variant,)*
        }

        impl Fact {
            /// All of them.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub(super) fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)* }
            }

            /// Where it comes from.
            pub(super) fn source(self) -> Source {
                match self { $(Self::$variant => Source::$source,)* }
            }

            /// Its type.
            pub(super) fn kind(self) -> Kind {
                match self { $(Self::$variant => $kind,)* }
            }
        }
    };
}

facts! {
    Operation = "request.operation", Dialect, Kind::Text;
    Model = "request.model", Body, Kind::Text;
    Models = "request.models", Body, Kind::List(Box::new(Kind::Text));
    Stream = "request.stream", Body, Kind::Bool;
    MaxTokens = "request.maxTokens", Body, Kind::Int;
    EstimatedInputTokens = "request.estimatedInputTokens", Body, Kind::Int;
    EstimatedCost = "request.estimatedCost", Body, Kind::Double;
    Tools = "request.tools", Body, Kind::List(Box::new(Kind::Text));
    Messages = "request.messages", Body, Kind::Int;
    HasImages = "request.hasImages", Body, Kind::Bool;
    ImageSize = "request.imageSize", Body, Kind::Text;
    EmbeddingsCount = "request.embeddings.count", Body, Kind::Int;
    N = "request.n", Body, Kind::Int;
    BodyBytes = "request.bodyBytes", Body, Kind::Int;
    Method = "request.method", Head, Kind::Text;
    Path = "request.path", Head, Kind::Text;
    Host = "request.host", Head, Kind::Text;
    Headers = "request.headers", Head, Kind::Map;
    Collection = "request.collection", Body, Kind::Text;
    Namespace = "request.namespace", Body, Kind::Text;
    Credential = "request.credential", Head, Kind::Text;
    IdentityNamespace = "identity.namespace", Head, Kind::Text;
    IdentityName = "identity.name", Head, Kind::Text;
    PodName = "pod.name", Head, Kind::Text;
    Hour = "now.hour", Head, Kind::Int;
    Weekday = "now.weekday", Head, Kind::Int;
}

type Bound<'a> = Box<dyn Val + 'a>;

impl Fact {
    /// The fact of this name.
    pub(super) fn find(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fact| fact.path() == path)
    }

    /// What it is for a call, as `request.maxTokens is 4096`.
    pub(super) fn told(self, facts: &Facts<'_>) -> String {
        let path = self.path();
        match self.value(facts) {
            Err(error) => error,
            Ok(None) => format!("{path} is not known"),
            Ok(Some(value)) => match Value::try_from(value.as_ref()) {
                Ok(value) => format!("{path} is {}", written(&value)),
                Err(_) => format!("{path} is known"),
            },
        }
    }

    /// Its value; nothing where it is not known.
    fn value<'a>(self, facts: &'a Facts<'_>) -> Result<Option<Bound<'a>>, String> {
        let call = match &facts.content {
            Content::NotRead => None,
            Content::Read(call) => Some(call.as_ref()),
            Content::Uninspected(call) => {
                Some(call.as_ref()).filter(|_| self.source() != Source::Body)
            }
        };
        Ok(match self {
            Self::Operation => self.text(call.map(|call| call.operation.as_str()))?,
            // Of several models any may answer, so none of them is "the" model.
            Self::Model => match call.map(|call| &call.models) {
                Some(Models::Named(models)) if models.len() == 1 => {
                    self.text(Some(&models[0].name))?
                }
                _ => None,
            },
            Self::Models => match call.map(|call| &call.models) {
                None | Some(Models::Hidden) => None,
                Some(Models::None) => self.texts(std::iter::empty())?,
                Some(Models::Named(models)) => {
                    self.texts(models.iter().map(|model| model.name.as_str()))?
                }
            },
            Self::Stream => call.map(|call| flag(call.stream)),
            Self::MaxTokens => call.and_then(|call| call.max_tokens).map(number),
            Self::EstimatedInputTokens => call
                .and_then(|call| call.estimated_input_tokens)
                .map(number),
            Self::EstimatedCost => call
                .and_then(|call| call.estimated_cost)
                .map(|cost| boxed(CelDouble::from(cost.as_f64()))),
            // Where models are hidden, tools may be too.
            Self::Tools => match call.filter(|call| call.models != Models::Hidden) {
                None => None,
                Some(call) => self.texts(call.tools.iter().map(String::as_str))?,
            },
            Self::Messages => call.and_then(|call| call.messages).map(number),
            Self::HasImages => call.map(|call| flag(call.has_images)),
            Self::ImageSize => self.text(call.and_then(|call| call.image_size.as_deref()))?,
            Self::EmbeddingsCount => call.and_then(|call| call.embeddings_count).map(number),
            Self::N => call.map(|call| number(call.n)),
            Self::BodyBytes => call.map(|call| number(call.body_bytes)),
            Self::Method => self.text(Some(facts.method))?,
            Self::Path => self.text(Some(facts.path))?,
            Self::Host => self.text(not_empty(facts.host))?,
            Self::Headers => Some(headers(facts)?),
            Self::Collection => self.text(call.and_then(|call| call.collection.as_deref()))?,
            Self::Namespace => self.text(call.and_then(|call| call.namespace.as_deref()))?,
            Self::Credential => self.text(Some(facts.credential))?,
            Self::IdentityNamespace => self.text(not_empty(facts.identity.0))?,
            Self::IdentityName => self.text(not_empty(facts.identity.1))?,
            Self::PodName => self.text(not_empty(facts.pod))?,
            Self::Hour => Some(number(facts.now.hour.into())),
            Self::Weekday => Some(number(facts.now.weekday.into())),
        })
    }

    fn text<'a>(self, text: Option<&'a str>) -> Result<Option<Bound<'a>>, String> {
        match text {
            Some(text) if text.len() > MAX_TEXT => {
                Err(format!("{} has more than {MAX_TEXT} bytes", self.path()))
            }
            text => Ok(text.map(|text| boxed(CelString::from(text)))),
        }
    }

    fn texts<'a>(self, texts: impl Iterator<Item = &'a str>) -> Result<Option<Bound<'a>>, String> {
        let mut list: Vec<Bound<'a>> = Vec::new();
        let mut bytes = 0;
        for text in texts {
            bytes += text.len();
            if list.len() == MAX_ENTRIES || bytes > MAX_TEXT {
                return Err(format!(
                    "{} has more than {MAX_ENTRIES} entries or {MAX_TEXT} bytes",
                    self.path()
                ));
            }
            list.push(boxed(CelString::from(text)));
        }
        Ok(Some(boxed(CelList::from(list))))
    }
}

/// A value about as CEL writes it.
fn written(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(value) => format!("{value:?}"),
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Map(map) => {
            let mut entries: Vec<String> = map
                .map
                .iter()
                .map(|(name, value)| format!("{name}: {}", written(value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        _ => "known".to_owned(),
    }
}

fn not_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn boxed<'a>(value: impl Val + 'a) -> Bound<'a> {
    Box::new(value)
}

fn flag<'a>(value: bool) -> Bound<'a> {
    boxed(CelBool::from(value))
}

/// No count of ours is greater than CEL's numbers; if one were, the greatest would be compared in its stead.
fn number<'a>(value: u64) -> Bound<'a> {
    boxed(CelInt::from(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// The headers by name; one that stands there twice is one with a comma in it (RFC 9110 section 5.3).
fn headers<'a>(facts: &'a Facts<'_>) -> Result<Bound<'a>, String> {
    let mut joined: HashMap<&str, Cow<'a, str>> = HashMap::new();
    let mut bytes = 0;
    for (name, value) in &facts.headers {
        bytes += value.len();
        if bytes > MAX_TEXT {
            return Err(format!(
                "{} has more than {MAX_TEXT} bytes",
                Fact::Headers.path()
            ));
        }
        joined
            .entry(name)
            .and_modify(|earlier| *earlier = format!("{earlier}, {value}").into())
            .or_insert(Cow::Borrowed(value.as_ref()));
    }
    let entries = joined.into_iter().map(|(name, value)| {
        let value: Bound<'a> = match value {
            Cow::Borrowed(value) => boxed(CelString::from(value)),
            Cow::Owned(value) => boxed(CelString::from(value)),
        };
        (key(name), value)
    });
    Ok(boxed(CelMap::from(
        entries.collect::<HashMap<CelMapKey<'a>, Bound<'a>>>(),
    )))
}

fn key(name: &str) -> CelMapKey<'_> {
    CelMapKey::String(CelString::from(name))
}

/// Gives `context` the facts `named`, and tells which of them are not known.
///
/// # Errors
/// One is larger than what is evaluated.
pub(super) fn bind<'a>(
    named: &[Fact],
    facts: &'a Facts<'_>,
    context: &mut Context<'_, 'a>,
) -> Result<Vec<&'static str>, String> {
    let mut absent = Vec::new();
    let mut roots: Vec<(&str, HashMap<CelMapKey<'a>, Bound<'a>>)> = Vec::new();
    for fact in named {
        let (root, name) = fact.path().split_once('.').unwrap_or((fact.path(), ""));
        let index = roots.iter().position(|(known, _)| *known == root);
        let index = index.unwrap_or_else(|| {
            roots.push((root, HashMap::new()));
            roots.len() - 1
        });
        let value = fact.value(facts)?;
        if value.is_none() {
            absent.push(fact.path());
        }
        match name.split_once('.') {
            // There is one of two levels. The upper one is always known, so that `has` can ask for the lower one.
            Some((upper, lower)) => {
                let members = value.into_iter().map(|value| (key(lower), value));
                let members: HashMap<CelMapKey<'a>, Bound<'a>> = members.collect();
                roots[index]
                    .1
                    .insert(key(upper), boxed(CelMap::from(members)));
            }
            None => roots[index].1.extend(value.map(|value| (key(name), value))),
        }
    }
    for (root, members) in roots {
        context.add_variable_as_val(root, boxed(CelMap::from(members)));
    }
    Ok(absent)
}

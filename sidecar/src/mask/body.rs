//! The masks of one direction, and those of one answer: whether its kind can be masked at all, what its head may say then, and its body on the way.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body;
use postern_crds::{policy, provider::Dialect};

use super::{
    Masker, SessionKey,
    json::Rules,
    stream::{Framing, Stream, Unreadable},
};
use crate::{access::Masked, proxy::headers};

/// What is masked in every call of one identity, or in every answer to it. Compiled once a snapshot.
pub(crate) struct Masks {
    pub(super) masker: Arc<Masker>,
    pub(super) rules: Rules,
    /// Whether anything is masked. Where all is only counted, bodies pass as they come.
    enforce: bool,
    /// Whether anything is put back.
    pub(super) restores: bool,
}

/// Why an answer cannot be masked, and so is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unmaskable {
    /// Nobody knows what stands in a body of this type.
    #[error("masks are in force, and its type is none whose text is known")]
    Type,
    /// It is compressed in a way that cannot be undone here.
    #[error("masks are in force, and its encoding cannot be taken off")]
    Encoding,
    /// It is a part of something: what a mask looks for may begin before it.
    #[error("masks are in force, and it is only a part of something")]
    Part,
}

impl Masks {
    /// What `masks` say of calls; `None` where they say nothing.
    pub(crate) fn of_requests(masks: &policy::Masks) -> Option<Self> {
        // A call's `logprobs` says whether they are wanted.
        Self::new(masks, false)
    }

    /// What `masks` say of answers; `None` where they say nothing.
    pub(crate) fn of_responses(masks: &policy::Masks) -> Option<Self> {
        Self::new(masks, masks.items.iter().any(|item| item.enforce))
    }

    fn new(masks: &policy::Masks, empties: bool) -> Option<Self> {
        if masks.is_empty() {
            return None;
        }
        let mut enforced = masks.items.iter().filter(|item| item.enforce).peekable();
        Some(Self {
            masker: Arc::new(Masker::new(masks, key())),
            rules: Rules {
                fields: masks.fields.clone().into(),
                empties,
            },
            enforce: enforced.peek().is_some() || masks.fields.iter().any(|field| field.enforce),
            restores: enforced.any(|item| item.restore),
        })
    }

    /// Whether anything is masked, and not only counted.
    pub(crate) fn enforce(&self) -> bool {
        self.enforce
    }
}

/// The key of this process, made when the first policy with masks comes: most have none, and the library's randomness takes long to set up.
fn key() -> Arc<SessionKey> {
    static KEY: OnceLock<Arc<SessionKey>> = OnceLock::new();
    let new = || {
        let key = SessionKey::new().expect("the system's randomness does not fail once it is up");
        Arc::new(key)
    };
    Arc::clone(KEY.get_or_init(new))
}

/// One answer on its way through the masks.
pub(crate) struct Masking {
    stream: Stream,
    /// It is changed, and not only read.
    enforce: bool,
    /// It cannot be read any further.
    is_lost: bool,
}

impl Masking {
    /// Of the answer that starts with `response` to a call that asked for a stream if `expects_stream`, whose encoding was taken off. What the head
    /// says of its length, and of parts and digests, is not true any more and taken out. `None` where there is no body, and where it is one that
    /// cannot be masked and need not be.
    ///
    /// # Errors
    /// [`Unmaskable`].
    pub(crate) fn of<B: Body>(
        masks: &Masks,
        dialect: Dialect,
        expects_stream: bool,
        response: &mut Response<B>,
    ) -> Result<Option<Self>, Unmaskable> {
        let is_empty = response.body().is_end_stream();
        let unmaskable = |why| match masks.enforce {
            true => Err(why),
            false => Ok(None),
        };
        if response.status() == StatusCode::PARTIAL_CONTENT {
            return unmaskable(Unmaskable::Part);
        }
        let framing = match framing(response.headers(), dialect, expects_stream) {
            Kind::Text(framing) => framing,
            Kind::Media => return Ok(None),
            Kind::Unknown if is_empty => return Ok(None),
            Kind::Unknown => return unmaskable(Unmaskable::Type),
        };
        if masks.enforce {
            // Of an answer to HEAD too, whose head is that of the answer to GET.
            headers::forget_content(response.headers_mut());
            response.headers_mut().remove(header::ACCEPT_RANGES);
        }
        Ok((!is_empty).then(|| Self {
            stream: Stream::new(&masks.masker, masks.rules.clone(), dialect, framing),
            enforce: masks.enforce,
            is_lost: false,
        }))
    }

    /// Puts back what `masker` says into the answer that starts with `response`, as [`Self::of`] masks it. `None` where there is no text to put it
    /// into: what stands there then are pseudonyms.
    pub(crate) fn restoring<B: Body>(
        masker: &Arc<Masker>,
        dialect: Dialect,
        expects_stream: bool,
        response: &mut Response<B>,
    ) -> Option<Self> {
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let encodings = response.headers().get_all(header::CONTENT_ENCODING);
        let is_encoded = encodings
            .iter()
            .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
        if is_part || is_encoded || response.body().is_end_stream() {
            return None;
        }
        let Kind::Text(framing) = framing(response.headers(), dialect, expects_stream) else {
            return None;
        };
        headers::forget_content(response.headers_mut());
        response.headers_mut().remove(header::ACCEPT_RANGES);
        let rules = Rules {
            fields: Arc::new([]),
            empties: false,
        };
        Some(Self {
            stream: Stream::new(masker, rules, dialect, framing),
            enforce: true,
            is_lost: false,
        })
    }

    /// Whether the answer may have another length than its upstream's.
    pub(crate) fn changes_length(&self) -> bool {
        self.enforce
    }

    /// What of `data` and of what was held back may go on now.
    ///
    /// # Errors
    /// What is left cannot be masked: nothing more may go on.
    pub(crate) fn push(&mut self, data: Bytes) -> Result<Bytes, Unreadable> {
        self.go(data, |_, _| Ok(()))
    }

    /// What of `data` and of what was held back may go on, where nothing follows.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub(crate) fn finish(&mut self, data: Bytes) -> Result<Bytes, Unreadable> {
        self.go(data, Stream::finish)
    }

    fn go(
        &mut self,
        data: Bytes,
        then: impl FnOnce(&mut Stream, &mut Vec<u8>) -> Result<(), Unreadable>,
    ) -> Result<Bytes, Unreadable> {
        let mut out = Vec::new();
        if !self.is_lost {
            let read = self.stream.push(&data, &mut out);
            let read = read.and_then(|()| then(&mut self.stream, &mut out));
            self.is_lost = read.is_err();
        }
        match (self.enforce, self.is_lost) {
            (false, _) => Ok(data),
            (true, false) => Ok(out.into()),
            (true, true) => Err(Unreadable),
        }
    }

    /// What was masked since this was asked last.
    pub(crate) fn counts(&mut self) -> Vec<Masked> {
        self.stream.counts()
    }
}

/// What is known of a type.
pub(super) enum Kind {
    /// Its text.
    Text(Framing),
    /// It has none that is looked for.
    Media,
    /// Nothing.
    Unknown,
}

/// How the text of a body of this type is framed.
pub(super) fn framing(headers: &HeaderMap, dialect: Dialect, expects_stream: bool) -> Kind {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(media_type) = types.next() else {
        // Some servers that copy OpenAI do not say what they send.
        return Kind::Text(if expects_stream {
            Framing::EventsOrText
        } else {
            Framing::Text
        });
    };
    let Some(media_type) = media_type.to_str().ok().filter(|_| types.next().is_none()) else {
        return Kind::Unknown;
    };
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    let Some((family, name)) = media_type.split_once('/') else {
        return Kind::Unknown;
    };
    let is_of_lines = matches!(dialect, Dialect::Ollama | Dialect::Cohere) && expects_stream;
    Kind::Text(match (family, name) {
        ("text", "event-stream") => Framing::Events,
        ("text", "plain") if expects_stream => Framing::EventsOrText,
        ("application", "vnd.amazon.eventstream") => Framing::Messages,
        (_, "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "jsonlines" | "x-jsonl") => {
            Framing::Lines
        }
        (_, name) if name.ends_with("json") && is_of_lines => Framing::Lines,
        (_, name) if name.ends_with("json") && dialect == Dialect::Gemini && expects_stream => {
            Framing::Elements
        }
        (_, name) if name.ends_with("json") => Framing::Json,
        ("text", _) => Framing::Text,
        (_, name) if name == "xml" || name.ends_with("+xml") => Framing::Text,
        ("application", "javascript" | "yaml" | "x-yaml" | "toml" | "graphql") => Framing::Text,
        ("image" | "audio" | "video" | "font", _) => return Kind::Media,
        _ => return Kind::Unknown,
    })
}

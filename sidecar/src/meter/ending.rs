//! Ends a stream before its time, in its own dialect: an event of error behind the last whole event, which the vendors' clients raise. A stream
//! that merely stopped would look like a whole answer to many of them.

use bytes::Bytes;
use http::HeaderMap;
use memchr::memchr_iter;
use postern_crds::provider::Dialect;
use serde_json::{Value, json};

use super::Frames;
use crate::frame::{aws, sse};

#[cfg(test)]
mod tests;

/// Follows a stream, so that it can be ended between two events at any time.
#[derive(Debug)]
pub(crate) struct Ending {
    dialect: Dialect,
    ends: Ends,
    /// Whether what was passed so far ends where an event ends.
    is_between: bool,
    /// Whether it is OpenAI's Responses, whose events have names.
    is_responses: bool,
}

/// What to do with a piece of a stream that is to end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Pass so many bytes of it on, which end an event, and then the error; nothing after that.
    At(usize, Bytes),
    /// The event that began before it does not end in it: pass it on, and ask again with the next piece.
    Later,
}

/// Where events end.
#[derive(Debug)]
enum Ends {
    Events(sse::Ends),
    Messages(aws::Ends),
    Lines,
}

impl Ends {
    /// The first and the last place in `bytes` where an event ends.
    fn push(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let mut found: Option<(usize, usize)> = None;
        let mut note = |at| found = Some((found.map_or(at, |(first, _)| first), at));
        match self {
            Self::Events(ends) => ends.push(bytes, note),
            Self::Messages(ends) => ends.push(bytes, note),
            Self::Lines => memchr_iter(b'\n', bytes).for_each(|at| note(at + 1)),
        }
        found
    }
}

/// Whether streams of `dialect` can be ended. Gemini's can if they are events, and not one array that would have to be closed.
pub(crate) fn is_possible(dialect: Dialect, query: Option<&str>) -> bool {
    match dialect {
        Dialect::OpenAi
        | Dialect::OpenRouter
        | Dialect::AzureOpenAi
        | Dialect::Mistral
        | Dialect::Anthropic
        | Dialect::Bedrock
        | Dialect::Cohere
        | Dialect::Ollama => true,
        Dialect::Gemini => {
            query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"))
        }
        Dialect::Pinecone | Dialect::Qdrant | Dialect::Weaviate | Dialect::Plain => false,
    }
}

impl Ending {
    /// For an answer with these headers to a call of `path`. `None` where it is no stream that can be ended: to break it off is all that is left.
    pub(crate) fn of(dialect: Dialect, path: &str, headers: &HeaderMap) -> Option<Self> {
        let ends = match (Frames::of(headers, true), dialect) {
            (_, Dialect::Pinecone | Dialect::Qdrant | Dialect::Weaviate | Dialect::Plain) => {
                return None;
            }
            (Frames::Events(_), _) => Ends::Events(sse::Ends::default()),
            (Frames::Messages(_), _) => Ends::Messages(aws::Ends::default()),
            (Frames::Json, Dialect::Ollama | Dialect::Cohere) => Ends::Lines,
            (Frames::Json | Frames::Opaque, _) => return None,
        };
        Some(Self {
            dialect,
            ends,
            is_between: true,
            is_responses: path.ends_with("/responses"),
        })
    }

    /// Takes note of a piece that is passed on.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let last = self.ends.push(bytes).map(|(_, last)| last);
            self.is_between = last == Some(bytes.len());
        }
    }

    /// The stream is to end, and `bytes` are what comes next of it. `message` is for a person, `reason` the stable word for it.
    pub(crate) fn cut(&mut self, bytes: &[u8], reason: &str, message: &str) -> Cut {
        let at = if self.is_between {
            Some(0)
        } else {
            self.ends.push(bytes).map(|(first, _)| first)
        };
        match at {
            Some(at) => Cut::At(at, self.error(reason, message)),
            None => Cut::Later,
        }
    }

    /// The event of error. Each shape was served to the vendor's own client for Python, which raised it, but for Cohere's (openai 3.57,
    /// anthropic 2.13, google-genai 3.6, botocore 1.44, ollama 0.6, cohere 7.3).
    fn error(&self, reason: &str, message: &str) -> Bytes {
        let data = |json: Value| format!("data: {json}\n\n");
        let event = |name: &str, json: Value| format!("event: {name}\ndata: {json}\n\n");
        let openai = json!({"message": message, "type": "insufficient_quota", "param": null, "code": reason});
        let text = match (&self.ends, self.dialect) {
            // https://platform.openai.com/docs/api-reference/responses-streaming/error, and beside it what the clients look for.
            (Ends::Events(_), Dialect::OpenAi | Dialect::AzureOpenAi) if self.is_responses => {
                event(
                    "error",
                    json!({"type": "error", "code": reason, "message": message, "param": null, "sequence_number": 0, "error": openai}),
                )
            }
            // Its client insists on a number where OpenAI has a word: https://openrouter.ai/docs/api-reference/errors
            (Ends::Events(_), Dialect::OpenRouter) => data(
                json!({"error": {"code": 429, "message": message, "metadata": {"reason": reason}}, "choices": []}),
            ),
            // https://docs.claude.com/en/docs/build-with-claude/streaming#error-events
            (Ends::Events(_), Dialect::Anthropic) => event(
                "error",
                json!({"type": "error", "error": {"type": "rate_limit_error", "message": message}}),
            ),
            // 403, since its client tries 429 again.
            (Ends::Events(_), Dialect::Gemini) => format!(
                "data: {}\r\n\r\n",
                json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}})
            ),
            // https://docs.cohere.com/reference/chat-stream: its client raises nothing, and shows the reason.
            (Ends::Events(_), Dialect::Cohere) => event(
                "message-end",
                json!({"type": "message-end", "delta": {"error": message, "finish_reason": "ERROR"}}),
            ),
            (Ends::Events(_), _) => data(json!({"error": openai})),
            // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html
            (Ends::Messages(_), _) => {
                let headers = [
                    (":exception-type", "throttlingException"),
                    (":content-type", "application/json"),
                    (":message-type", "exception"),
                ];
                let payload = json!({"message": message}).to_string();
                return aws::write(&headers, payload.as_bytes()).into();
            }
            (Ends::Lines, Dialect::Cohere) => format!(
                "{}\n",
                json!({"event_type": "stream-end", "is_finished": true, "finish_reason": "ERROR", "error": message})
            ),
            (Ends::Lines, _) => format!("{}\n", json!({"error": message})),
        };
        text.into()
    }
}

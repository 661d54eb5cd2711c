//! Reads from an answer, while it passes, what the call used. *Architecture invariant: pure; it alters no byte, keeps none of the text, and its
//! memory does not grow with the answer.*
//!
//! What the provider says counts, made alike for all dialects. Where it says nothing (a caller that left before the end, a server that
//! counts nothing), tokens are estimated from the bytes that passed, and the usage says so.

use http::{HeaderMap, StatusCode, header};
use postern_crds::{
    facts::Operation,
    provider::Dialect,
    usage::{Usage, UsageSource},
};

use crate::frame::{
    aws,
    json::Scanner,
    sse::{self, Piece},
};

pub(crate) mod ending;
mod members;
mod reading;
pub(crate) mod stream_usage;
#[cfg(test)]
mod tests;

use members::Member;
use reading::Reading;

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct Meter {
    dialect: Dialect,
    operation: Operation,
    frames: Frames,
    scanner: Scanner<Member>,
    reading: Reading,
    /// Tokens of the call's input, where the provider does not say them.
    estimated_input: u64,
    is_error: bool,
}

/// How the answer is framed.
#[derive(Debug)]
enum Frames {
    /// Nothing that tokens could be read from: sound, an image, an encoding that we do not take off.
    Opaque,
    /// One JSON value, or one after another.
    Json,
    /// Server-sent events with JSON in them.
    Events(sse::Data),
    /// AWS's event stream with JSON in it.
    Messages(aws::Messages),
}

/// What is known of a call after its answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metered {
    /// What it used; `None` for what has no tokens, and for a failure that the provider does not bill.
    pub(crate) usage: Option<Usage>,
    /// The model that answered, by its own word.
    pub(crate) model: Option<String>,
    /// Why the answers ended, by the dialect's own words.
    pub(crate) finish_reasons: Vec<String>,
    /// Whether it failed: by its status, or by an error in what came after it.
    pub(crate) failed: bool,
}

impl Meter {
    /// Of an answer with this head to a call that asked for `operation`, and for a stream if `expects_stream`.
    pub(crate) fn new(
        dialect: Dialect,
        operation: Operation,
        status: StatusCode,
        headers: &HeaderMap,
        expects_stream: bool,
    ) -> Self {
        let mut reading = Reading::default();
        if dialect == Dialect::Bedrock {
            read_bedrock_headers(headers, &mut reading);
        }
        Self {
            dialect,
            operation,
            frames: Frames::of(headers, expects_stream),
            scanner: Scanner::new(members::of(dialect)),
            reading,
            estimated_input: 0,
            is_error: status.is_client_error() || status.is_server_error(),
        }
    }

    /// Says how many tokens the input has by estimate.
    #[must_use]
    pub(crate) fn with_input(mut self, estimate: Option<u64>) -> Self {
        self.estimated_input = estimate.unwrap_or(0);
        self
    }

    /// Reads on.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let Self {
            frames,
            scanner,
            reading,
            ..
        } = self;
        match frames {
            Frames::Opaque => {}
            Frames::Json => scanner.push(bytes, |member, found| reading.take(member, found)),
            Frames::Events(events) => events.push(bytes, |piece| match piece {
                Piece::Data(data) => {
                    scanner.push(data, |member, found| reading.take(member, found));
                }
                Piece::End => scanner.restart(),
            }),
            Frames::Messages(messages) => messages.push(bytes, |message, _| {
                reading.has_error |= message.is_failure();
                scanner.restart();
                let mut scan =
                    |json: &[u8]| scanner.push(json, |member, found| reading.take(member, found));
                match aws::chunk_of(message) {
                    Some(inner) => scan(&inner),
                    None => scan(message.payload),
                }
            }),
        }
    }

    /// What it used so far, as far as it can be known: for a budget that may end it.
    pub(crate) fn so_far(&self) -> Usage {
        let said = self.reading.usage(self.dialect, self.estimated_input);
        let output = match self.dialect {
            // It says the sum with every event.
            Dialect::Gemini if self.reading.says_usage() => said.output,
            _ => said.output.max(self.reading.estimated_output()),
        };
        Usage {
            output,
            source: UsageSource::Partial,
            ..said
        }
    }

    /// What the call used, once the answer has said it and why it ended: what may still come adds nothing to it. A caller that reads this far may
    /// make its next call at once.
    pub(crate) fn said(&self) -> Option<Usage> {
        let reading = &self.reading;
        let is_said = reading.says_usage() && !reading.finish_reasons.is_empty();
        (is_said && !self.is_error && !reading.has_error)
            .then(|| reading.usage(self.dialect, self.estimated_input))
    }

    /// The answer is over: to its end if `is_whole`; otherwise its caller left, its provider broke off, or it was ended.
    pub(crate) fn finish(self, is_whole: bool) -> Metered {
        let failed = self.is_error || self.reading.has_error;
        Metered {
            usage: self.usage(is_whole, failed),
            model: self.reading.model,
            finish_reasons: self.reading.finish_reasons,
            failed,
        }
    }

    fn usage(&self, is_whole: bool, failed: bool) -> Option<Usage> {
        let reading = &self.reading;
        if !reading.says_usage() {
            let is_billed = has_tokens(self.operation) && (reading.has_text() || !failed);
            return is_billed.then(|| Usage {
                source: UsageSource::Estimated,
                ..self.so_far()
            });
        }
        // A caller may leave as soon as it has read the last event that it needs, and most do.
        let has_ended = self.is_stream() && !reading.finish_reasons.is_empty();
        let is_final = match self.dialect {
            // What these say at the beginning is not yet the sum.
            Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock if self.is_stream() => {
                has_ended
            }
            _ => is_whole || has_ended,
        };
        Some(if is_final && !failed {
            reading.usage(self.dialect, self.estimated_input)
        } else {
            self.so_far()
        })
    }

    fn is_stream(&self) -> bool {
        matches!(self.frames, Frames::Events(_) | Frames::Messages(_))
    }
}

impl Frames {
    fn of(headers: &HeaderMap, expects_stream: bool) -> Self {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if value(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Self::Opaque;
        }
        let media_type = value(header::CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        match media_type.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::Events(sse::Data::default()),
            "application/vnd.amazon.eventstream" => Self::Messages(aws::Messages::default()),
            // Some servers that copy OpenAI do not say what they send.
            "" | "text/plain" if expects_stream => Self::Events(sse::Data::default()),
            "" => Self::Json,
            json if json.ends_with("json") => Self::Json,
            _ => Self::Opaque,
        }
    }
}

/// Whether an operation is paid by tokens, so that they are worth an estimate.
fn has_tokens(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Chat | Operation::TextCompletion | Operation::Embeddings
    )
}

/// InvokeModel says the tokens in headers, whatever the model's own format
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html>).
fn read_bedrock_headers(headers: &HeaderMap, reading: &mut Reading) {
    for (name, member) in [
        ("x-amzn-bedrock-input-token-count", Member::Input),
        ("x-amzn-bedrock-output-token-count", Member::Output),
        (
            "x-amzn-bedrock-cache-read-input-token-count",
            Member::Cached,
        ),
        (
            "x-amzn-bedrock-cache-write-input-token-count",
            Member::Written,
        ),
    ] {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(count) = value.and_then(|value| value.parse().ok()) {
            reading.count(member, count);
        }
    }
}

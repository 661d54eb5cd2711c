//! What a call may use, as far as it can be told before it is made.

use postern_crds::{
    facts::{Call, Models, Operation},
    money::Usd,
    price::Listed,
};

/// The most that a call is expected to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Input tokens by estimate; `None` where the body was not read.
    pub(crate) input: Option<u64>,
    /// Output tokens of all answers together.
    pub(crate) output: Output,
    /// Prices of the model; `None` where they are not known.
    pub(crate) listed: Option<Listed>,
    /// Whether the answer comes as a stream that can be ended in its own dialect.
    pub(crate) can_end: bool,
}

/// A bound of output tokens, and who set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The call itself says so, or its operation has no output tokens.
    Asked(u64),
    /// The call says nothing, and this is what the model gives at most. Few answers come near it, so it refuses no stream that can be ended.
    Model(u64),
    /// Nothing is known.
    Unknown,
}

impl Output {
    /// The bound.
    pub(crate) fn bound(self) -> Option<u64> {
        match self {
            Self::Asked(tokens) | Self::Model(tokens) => Some(tokens),
            Self::Unknown => None,
        }
    }
}

impl Expected {
    /// What `call` is expected to use, where `listed` is what is known of its models. The call is as its dialect read it: its `max_tokens` are
    /// those that it asks for, not yet the model's own.
    pub(crate) fn of(call: &Call, listed: Option<Listed>, can_end: bool) -> Self {
        if call.models == Models::None && call.operation != Operation::Unknown {
            return Self::NOTHING;
        }
        let answers = call.n.max(1);
        let output = match (call.max_tokens, listed.and_then(|l| l.max_output_tokens)) {
            _ if has_no_output(call.operation) => Output::Asked(0),
            (Some(asked), _) => Output::Asked(asked.saturating_mul(answers)),
            (None, Some(own)) => Output::Model(own.saturating_mul(answers)),
            (None, None) => Output::Unknown,
        };
        Self {
            input: call.estimated_input_tokens,
            output,
            listed,
            can_end,
        }
    }

    /// The most that the call can cost; `None` where a price or a bound is not known.
    pub(crate) fn cost(&self) -> Option<Usd> {
        Some(self.listed?.at_most(self.input?, self.output.bound()?))
    }

    /// Of a call that no model answers: listing files, reading a collection.
    pub(crate) const NOTHING: Self = Self {
        input: Some(0),
        output: Output::Asked(0),
        listed: Some(Listed::FREE),
        can_end: false,
    };
}

/// Whether an operation is paid by its input alone.
fn has_no_output(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Embeddings | Operation::Rerank | Operation::CountTokens | Operation::Moderation
    )
}

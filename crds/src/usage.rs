//! What a call did use, in one shape for all dialects.

use serde::{Deserialize, Serialize};

/// Tokens of one call. `input` and `output` count everything, in every dialect; the others are parts of them, never beside them. (Anthropic's
/// own `input_tokens` leaves cached tokens out and OpenAI's has them in: the sidecar's readers make them alike.)
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Usage {
    /// Input tokens, those from and into caches among them.
    pub input: u64,
    /// Of `input`: read from a cache.
    pub cached_input: u64,
    /// Of `input`: written into a cache for a short time (Anthropic: five minutes).
    pub cache_write: u64,
    /// Of `input`: written into a cache for a long time (Anthropic: an hour).
    pub cache_write_long: u64,
    /// Output tokens, reasoning among them.
    pub output: u64,
    /// Of `output`: reasoning, which the caller may not see.
    pub reasoning: u64,
    /// How much of it the provider said.
    pub source: UsageSource,
}

/// Where a usage comes from.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// The provider said it, at the end.
    #[default]
    Complete,
    /// The provider said a part, and the answer ended early.
    Partial,
    /// The provider said nothing: counted from the bytes that passed.
    Estimated,
}

impl UsageSource {
    /// Its word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Estimated => "estimated",
        }
    }
}

impl Usage {
    /// Input and output together.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

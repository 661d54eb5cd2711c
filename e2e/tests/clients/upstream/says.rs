//! What is said, as `answers.json` has it.

use serde::Deserialize;
use serde_json::Value;

use super::write::Writing;

/// The part of the file that the upstream needs.
#[derive(Deserialize)]
pub(super) struct Answers {
    pub(super) says: Says,
    pub(super) writings: Vec<Writing>,
}

/// What one answer says.
#[derive(Deserialize)]
pub(super) struct Says {
    pub(super) text: String,
    /// Of the second choice.
    pub(super) second: String,
    pub(super) reasoning: String,
    pub(super) refusal: String,
    pub(super) calls: Vec<Call>,
    pub(super) error: String,
}

/// A call of a tool.
#[derive(Deserialize)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Value,
}

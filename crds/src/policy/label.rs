//! Names of models for metrics: as many as the policy has, however many a caller invents.

use super::{Glob, Policy};

/// The label of a model that the policy does not name.
const OTHER: &str = "other";

impl Policy {
    /// The label of `model`: the most exact name or glob of a rule that it matches, or `other`. So callers cannot make up labels.
    pub fn model_label(&self, model: &str) -> &str {
        self.models
            .iter()
            .find(|glob| glob.matches_any_case(model))
            .map_or(OTHER, Glob::as_str)
    }

    /// All that [`model_label`](Self::model_label) can say, `other` first and then the most exact first.
    pub fn model_labels(&self) -> impl Iterator<Item = &str> {
        std::iter::once(OTHER).chain(self.models.iter().map(Glob::as_str))
    }
}

/// The globs of all rules, the most exact first: names before globs, and of these the longest first.
pub(super) fn sorted<'a>(globs: impl Iterator<Item = &'a Glob>) -> Vec<Glob> {
    let mut globs: Vec<Glob> = globs.cloned().collect();
    globs.sort_by(|one, other| {
        let rank = |glob: &Glob| (!glob.is_literal(), usize::MAX - glob.as_str().len());
        rank(one).cmp(&rank(other)).then_with(|| one.cmp(other))
    });
    globs.dedup();
    globs
}

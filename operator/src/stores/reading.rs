//! What a reading of a store gave.

use postern_crds::{Secret, agent_identity::StoreRef, source::Shape};

use super::{document::Document, problem::Problem};

/// What is at one path of a store, for all credentials that come from there.
pub(super) struct Reading {
    /// The members that are there.
    pub(super) document: Document,
    /// The path as the store knows it, for problems.
    pub(super) path: String,
    /// A name of the version that says nothing of the value.
    pub(super) version: String,
}

impl Reading {
    /// The credential that `place` names in it.
    pub(super) fn secret(&self, place: &StoreRef, shape: Shape) -> Result<Secret, Problem> {
        self.document
            .secret(&self.path, place.key.as_deref(), shape)
    }
}

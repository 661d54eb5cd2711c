//! What a reading of a store gave.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use postern_crds::{
    Secret,
    agent_identity::StoreRef,
    credential_store::ValueEncoding,
    source::{self, Shape},
};
use zeroize::Zeroizing;

use super::{document::Document, lease::Granted, problem::Problem};

/// What is at one place of a store, for all credentials that come from there.
pub(super) struct Reading {
    /// The members that are there, or the one text.
    pub(super) document: Document,
    /// The path as the store knows it, for problems.
    pub(super) path: String,
    /// A name of the version that says nothing of the value.
    pub(super) version: String,
    /// The key of a source was part of what was asked, so that it names no member of the answer.
    pub(super) is_keyed: bool,
    /// How a text is written.
    pub(super) encoding: ValueEncoding,
    /// It was made for this reading, and ends.
    pub(super) lease: Option<Granted>,
}

impl Reading {
    /// The credential that `place` names in it.
    ///
    /// # Errors
    /// Why there is none, or that it cannot be one of `shape`.
    pub(super) fn secret(&self, place: &StoreRef, shape: Shape) -> Result<Secret, Problem> {
        let key = place.key.as_deref().filter(|_| !self.is_keyed);
        let value = self.document.value(&self.path, key, shape)?;
        let value = match self.encoding {
            ValueEncoding::Text => value,
            ValueEncoding::Base64 => Zeroizing::new(
                BASE64_STANDARD
                    .decode(&*value)
                    .map_err(|_| Problem::NotEncoded(self.path.clone()))?,
            ),
        };
        source::secret(&value, shape).map_err(|problem| Problem::Unfit {
            path: self.path.clone(),
            problem,
        })
    }
}

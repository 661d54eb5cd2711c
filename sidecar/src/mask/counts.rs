//! What was masked, by the name of what found it. Never the value.

use std::collections::BTreeMap;

use super::{
    Masker,
    change::{Change, What},
};
use crate::access::Masked;

/// The name under which members count that are masked whole.
const FIELD: &str = "FIELD";

/// How often something was masked, or seen by a policy that only observes.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<(What, bool), u64>);

impl Counts {
    pub(super) fn add(&mut self, change: &Change) {
        if let Some(what) = change.what {
            *self.0.entry((what, change.applies)).or_default() += 1;
        }
    }

    /// All of them; from now on none.
    pub(super) fn take(&mut self, masker: &Masker) -> Vec<Masked> {
        let named = |((what, applied), count)| Masked {
            name: match what {
                What::Item(item) => masker.name(item).to_owned(),
                What::Field => FIELD.to_owned(),
            },
            applied,
            count,
        };
        std::mem::take(&mut self.0).into_iter().map(named).collect()
    }
}

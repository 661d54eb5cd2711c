//! What is changed in a text, whoever found it.

use std::ops::Range;

use super::{Edit, ItemId};

/// What a change is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// An item of the policy's.
    Item(ItemId),
    /// A member that is masked whole.
    Field,
}

/// One change. Those of one text that are done come in order and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What it takes the place of, in bytes from the text's beginning.
    pub(super) range: Range<u64>,
    /// What stands there then, written as the text around it is.
    pub(super) by: String,
    /// What it is counted as; `None` where it goes on with the one before.
    pub(super) what: Option<What>,
    /// Whether it is done, or counted alone.
    pub(super) applies: bool,
}

impl Change {
    /// Takes `range` out.
    pub(super) fn cut(range: Range<u64>) -> Self {
        Self {
            range,
            by: String::new(),
            what: None,
            applies: true,
        }
    }
}

impl From<Edit> for Change {
    fn from(edit: Edit) -> Self {
        Self {
            range: edit.range,
            by: edit.by,
            what: edit.item.map(What::Item),
            applies: edit.applies,
        }
    }
}

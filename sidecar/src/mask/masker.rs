//! What one identity's policies mask, compiled.

use std::sync::Arc;

use postern_crds::{egress_policy::MaskStyle, policy::Masks};

use super::{
    detector,
    scan::{Scanner, Value},
    style::{self, SessionKey},
};

/// What is looked for in every text of an identity. Compiled once a snapshot.
pub(crate) struct Masker {
    items: Vec<Item>,
    /// Of the items that are masked.
    pub(super) enforced: Searched,
    /// Of those that are counted alone. They are searched by themselves: a value that is only counted must not hide one that is masked.
    pub(super) observed: Searched,
    key: Arc<SessionKey>,
}

/// Which of a policy's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemId(pub(super) usize);

struct Item {
    name: String,
    style: MaskStyle,
}

/// Items that are searched together.
pub(super) struct Searched {
    pub(super) scanner: Scanner,
    ids: Vec<ItemId>,
}

impl Masker {
    /// Of `masks`. Hashes are made with `key`.
    pub(crate) fn new(masks: &Masks, key: Arc<SessionKey>) -> Self {
        let searched = |enforce: bool| {
            let (ids, detectors) = masks
                .items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.enforce == enforce)
                .map(|(id, item)| {
                    let detector = detector::detector(&item.what, &masks.phone_regions);
                    (ItemId(id), detector)
                })
                .unzip();
            Searched {
                scanner: Scanner::new(detectors),
                ids,
            }
        };
        Self {
            enforced: searched(true),
            observed: searched(false),
            items: masks
                .items
                .iter()
                .map(|item| Item {
                    name: item.what.name().to_owned(),
                    style: item.style,
                })
                .collect(),
            key,
        }
    }

    /// An item's name in labels and metrics.
    pub(crate) fn name(&self, item: ItemId) -> &str {
        &self.items[item.0].name
    }

    /// What stands in the place of `value`, which is `text`.
    pub(super) fn replacement(&self, by: &Searched, value: &Value, text: &str) -> String {
        let item = &self.items[by.id(value.by).0];
        let normal = match (item.style, &value.rest) {
            (MaskStyle::Partial | MaskStyle::Hash, None) => {
                Some(by.scanner.detector(value.by).normalize(text))
            }
            _ => None,
        };
        style::replacement(item.style, &item.name, normal.as_deref(), &self.key)
    }
}

impl Searched {
    /// The item of a detector.
    pub(super) fn id(&self, detector: usize) -> ItemId {
        self.ids[detector]
    }
}

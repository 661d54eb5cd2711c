//! What one identity's policies mask, compiled; and what puts back what was masked in one call.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use postern_crds::{
    egress_policy::{Detector, MaskStyle},
    policy::{Masked, Masks},
};

use super::{
    detector,
    pseudonym::Originals,
    scan::{Scanner, Value},
    style::{self, SessionKey},
};

/// What is looked for in every text of an identity, compiled once a snapshot; or in every text of one answer.
pub(crate) struct Masker {
    items: Arc<[Item]>,
    /// Of the items that are masked.
    pub(super) enforced: Arc<Searched>,
    /// Of those that are counted alone. They are searched by themselves: a value that is only counted must not hide one that is masked.
    pub(super) observed: Arc<Searched>,
    key: Arc<SessionKey>,
    memory: Memory,
}

/// What is known of one call.
enum Memory {
    /// Nothing.
    None,
    /// What was masked in it so far and is to be put back.
    Notes(Mutex<Originals>),
    /// What is put back.
    PutsBack(Originals),
}

/// Which of a policy's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ItemId(pub(super) usize);

struct Item {
    name: String,
    style: MaskStyle,
    restore: bool,
}

/// The name under which is counted what was put back.
const RESTORED: &str = "RESTORED";

/// Items that are searched together.
pub(super) struct Searched {
    pub(super) scanner: Scanner,
    ids: Vec<ItemId>,
}

impl Masker {
    /// Of `masks`. Hashes are made with `key`.
    pub(crate) fn new(masks: &Masks, key: Arc<SessionKey>) -> Self {
        let searched = |enforce: bool| {
            let mut items: Vec<_> = masks
                .items
                .iter()
                .enumerate()
                .filter(|(_, item)| item.enforce == enforce)
                .collect();
            // Of two that find the same characters the first is meant. A number of a phone has neither a check digit nor a form of its own.
            items.sort_by_key(|(_, item)| item.what == Masked::Detector(Detector::Phone));
            let (ids, detectors) = items
                .into_iter()
                .map(|(id, item)| {
                    let detector = detector::detector(&item.what, &masks.phone_regions);
                    (ItemId(id), detector)
                })
                .unzip();
            Arc::new(Searched {
                scanner: Scanner::new(detectors),
                ids,
            })
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
                    restore: item.restore,
                })
                .collect(),
            key,
            memory: Memory::None,
        }
    }

    /// The same for one call, of which it keeps what is to be put back.
    pub(super) fn noting(&self) -> Self {
        Self {
            items: Arc::clone(&self.items),
            enforced: Arc::clone(&self.enforced),
            observed: Arc::clone(&self.observed),
            key: Arc::clone(&self.key),
            memory: Memory::Notes(Mutex::default()),
        }
    }

    /// What puts back into an answer what this one kept of its call; `None` where that is nothing.
    pub(super) fn restoring(&self) -> Option<Self> {
        let Memory::Notes(notes) = &self.memory else {
            return None;
        };
        let originals = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
        if originals.is_empty() {
            return None;
        }
        let what = Masked::Dictionary {
            name: RESTORED.to_owned(),
            words: originals.pseudonyms(),
            ignore_case: true,
        };
        let searched = |detectors, ids| {
            Arc::new(Searched {
                scanner: Scanner::new(detectors),
                ids,
            })
        };
        Some(Self {
            enforced: searched(
                vec![detector::detector(&what, &BTreeSet::new())],
                vec![ItemId(0)],
            ),
            observed: searched(Vec::new(), Vec::new()),
            items: Arc::new([Item {
                name: RESTORED.to_owned(),
                style: MaskStyle::Label,
                restore: false,
            }]),
            key: Arc::clone(&self.key),
            memory: Memory::PutsBack(originals),
        })
    }

    /// An item's name in labels and metrics.
    pub(crate) fn name(&self, item: ItemId) -> &str {
        &self.items[item.0].name
    }

    /// What stands in the place of `value`, which is `text`.
    pub(super) fn replacement(&self, by: &Searched, value: &Value, text: &str) -> String {
        let item = &self.items[by.id(value.by).0];
        if let Memory::PutsBack(originals) = &self.memory {
            return originals.spelling(text).unwrap_or(text).to_owned();
        }
        let normal = match (item.style, &value.rest) {
            (MaskStyle::Partial | MaskStyle::Hash | MaskStyle::Pseudonym, None) => {
                Some(by.scanner.detector(value.by).normalize(text))
            }
            _ => None,
        };
        if let (Memory::Notes(notes), true, Some(normal)) = (&self.memory, item.restore, &normal) {
            let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
            let pseudonym = notes.pseudonym(&self.key, &item.name, normal, text);
            return pseudonym.unwrap_or_else(|| format!("[{}]", item.name));
        }
        style::replacement(item.style, &item.name, normal.as_deref(), &self.key)
    }
}

impl Searched {
    /// The item of a detector.
    pub(super) fn id(&self, detector: usize) -> ItemId {
        self.ids[detector]
    }
}

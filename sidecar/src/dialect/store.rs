//! Which part of a vector store a call reaches.

use postern_crds::facts::Call;

/// The collection and the namespace, as far as the whole call keeps to one of each.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// Collection, index or class.
    pub(super) collection: Place,
    /// Namespace or tenant in it.
    pub(super) namespace: Place,
}

/// One name, if it is one. A fact that would be true of a part of the call alone is no fact: a rule about it must not let the other part pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing was named.
    #[default]
    Open,
    /// This was named, and nothing else.
    One(String),
    /// More than one was named, or which cannot be told.
    Mixed,
}

impl Place {
    /// One that `name` names.
    pub(super) fn of(name: impl Into<String>) -> Self {
        Self::One(name.into())
    }

    /// Takes `name` to what was named before.
    pub(super) fn add(&mut self, name: &str) {
        match self {
            Self::Open => *self = Self::of(name),
            Self::One(one) if one == name => {}
            Self::One(_) | Self::Mixed => *self = Self::Mixed,
        }
    }

    /// The one name.
    fn one(self) -> Option<String> {
        match self {
            Self::One(name) => Some(name),
            Self::Open | Self::Mixed => None,
        }
    }
}

impl Store {
    /// One collection, all of it.
    pub(super) fn collection(name: &str) -> Self {
        Self {
            collection: Place::of(name),
            ..Self::default()
        }
    }

    /// `call` with what is known of the store.
    pub(super) fn complete(self, call: Call) -> Call {
        Call {
            collection: self.collection.one(),
            namespace: self.namespace.one(),
            ..call
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_are_none() {
        let mut place = Place::default();
        place.add("a");
        place.add("a");
        assert_eq!(place, Place::of("a"));
        place.add("b");
        place.add("a");
        assert_eq!(place.one(), None);
    }
}

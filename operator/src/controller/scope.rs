//! Where objects are watched: in the whole cluster, or in a list of namespaces.

use std::fmt;

use kube::{Api, Client, Resource, core::NamespaceResourceScope};

/// Where objects are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// In all namespaces.
    Cluster,
    /// In one.
    Namespace(String),
}

impl Scope {
    /// As many scopes as `namespaces` names; without any, the whole cluster.
    pub(super) fn all(namespaces: Vec<String>) -> Vec<Self> {
        let mut names: Vec<String> = namespaces
            .into_iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return vec![Self::Cluster];
        }
        names.into_iter().map(Self::Namespace).collect()
    }

    /// An API for objects of one kind in this scope.
    pub(super) fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(
        &self,
        client: &Client,
    ) -> Api<K> {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("all namespaces"),
            Self::Namespace(namespace) => f.write_str(namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespaces_are_all_of_them() {
        assert_eq!(Scope::all(vec![]), [Scope::Cluster]);
        assert_eq!(Scope::all(vec![String::new()]), [Scope::Cluster]);
        let two = [Scope::Namespace("a".into()), Scope::Namespace("b".into())];
        assert_eq!(Scope::all(vec!["b".into(), " a ".into(), "b".into()]), two);
    }
}

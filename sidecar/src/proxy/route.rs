//! Finds the credential that a path stands for, and the path that its provider will see.

use std::sync::Arc;

use super::path::NormalPath;
use crate::{
    error::Error,
    snapshot::{Binding, Snapshot},
};

/// The credential of `path`'s first segment, and the upstream path.
///
/// # Errors
/// [`Error::UnknownRoute`], which lists the routes there are.
pub(crate) fn resolve(
    snapshot: &Snapshot,
    path: &NormalPath,
) -> Result<(Arc<Binding>, String), Error> {
    let (segment, rest) = path.split_first();
    let Some(binding) = snapshot.binding(segment) else {
        let routes: Vec<String> = snapshot
            .bindings()
            .iter()
            .map(|binding| format!("/{}", binding.route.credential))
            .collect();
        return Err(Error::UnknownRoute(routes.join(", ")));
    };
    let mut upstream_path = binding.route.upstream_path(rest);
    if upstream_path.is_empty() {
        upstream_path.push('/');
    }
    Ok((Arc::clone(binding), upstream_path))
}

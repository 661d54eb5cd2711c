//! Finds the credential that a path stands for, and the path that its provider will see.

use std::sync::Arc;

use postern_crds::provider::Dialect;

use super::path::{NormalPath, PathError};
use crate::{
    error::Error,
    snapshot::{Binding, Snapshot},
};

/// The credential of `path`'s first segment, and the upstream path.
///
/// # Errors
/// [`Error::UnknownRoute`], which lists the routes there are; a path that means another to this provider.
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
    // AWS takes segments apart before it decodes them. Others may do it the other way round, and then it is another path.
    if path.has_arn() && binding.route.dialect != Dialect::Bedrock {
        return Err(PathError::HiddenSlash.into());
    }
    let mut upstream_path = binding.route.upstream_path(rest);
    if upstream_path.is_empty() {
        upstream_path.push('/');
    }
    Ok((Arc::clone(binding), upstream_path))
}

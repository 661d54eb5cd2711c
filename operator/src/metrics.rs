//! The registry that `/metrics` shows. Each role registers its own metrics beside what is here.

use prometheus_client::{metrics::info::Info, registry::Registry};

/// A registry whose names start with `postern_`, with `postern_operator_build_info` in it.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("postern");
    operator(&mut registry).register(
        "build",
        "The running version",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    registry
}

/// The part of `registry` whose names start with `postern_operator_`: what is about the operator itself and not about secrets.
pub(crate) fn operator(registry: &mut Registry) -> &mut Registry {
    registry.sub_registry_with_prefix("operator")
}

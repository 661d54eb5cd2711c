//! Validation rules of the CRDs that follow from other parts of this crate, so that a rule and what it speaks of cannot drift apart.

use kube::core::Rule;

use crate::{
    agent_identity::{CONNECTION_HEADERS, WAYS},
    provider,
};

/// A provider that has no common host needs an endpoint.
pub(crate) fn endpoint_of_one_s_own() -> Rule {
    let names: Vec<&str> = provider::all()
        .iter()
        .filter(|provider| provider.host.is_none())
        .map(|provider| provider.name.as_str())
        .collect();
    Rule::new(format!(
        "!has(self.provider) || !(self.provider in {}) || has(self.endpoint)",
        list(&names)
    ))
    .message("this provider has no common address: set endpoint to yours")
}

/// LangChain's gateway layout gives some names to vendors; a credential under such a name must be one that their clients can call.
pub(crate) fn name_of_the_gateway() -> Rule {
    let mut gateways: Vec<&str> = provider::all()
        .iter()
        .filter_map(|provider| provider.gateway.as_deref())
        .collect();
    gateways.sort_unstable();
    gateways.dedup();
    let is_free = gateways.iter().map(|gateway| {
        let members: Vec<&str> = provider::all()
            .iter()
            .filter(|provider| provider.gateway.as_deref() == Some(gateway))
            .map(|provider| provider.name.as_str())
            .collect();
        format!(
            "(self.name != '{gateway}' || (has(self.provider) && self.provider in {}))",
            list(&members)
        )
    });
    Rule::new(is_free.collect::<Vec<_>>().join(" && ")).message(
        "LangChain reaches the vendor of this name by the route of the same name: choose another name for another service",
    )
}

/// A header that is not the connection's or the body's.
pub(crate) fn header_of_the_request() -> Rule {
    Rule::new(format!(
        "!(self.lowerAscii() in {})",
        list(&CONNECTION_HEADERS)
    ))
    .message("this header belongs to the connection or the body and cannot carry a credential")
}

/// The union of the ways to inject has exactly one member.
pub(crate) fn one_way_to_inject() -> Rule {
    let is_set = WAYS.map(|way| format!("has(self.{way})"));
    Rule::new(format!("[{}].exists_one(set, set)", is_set.join(", ")))
        .message(one_way_to_inject_message().as_str())
}

/// What is said where it has none, or two.
pub(crate) fn one_way_to_inject_message() -> String {
    format!("set exactly one way to inject: {}", WAYS.join(", "))
}

/// A list in CEL. None of our names has a quote in it.
fn list(names: &[&str]) -> String {
    format!("['{}']", names.join("', '"))
}

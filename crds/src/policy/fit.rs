//! Where a policy and an identity do not fit each other: well-formed rules that match nothing, most likely by mistake. A `Deny` that matches
//! nothing protects nothing, so these are worth a condition.

use super::Pattern;
use crate::{
    agent_identity::AgentIdentitySpec, egress_policy::EgressPolicySpec, route::Route,
    violation::Violation,
};

/// What a policy says about credentials that an identity does not have.
pub fn unknown_credentials(
    spec: &EgressPolicySpec,
    identity: &AgentIdentitySpec,
) -> Vec<Violation> {
    let known: Vec<&str> = identity
        .credentials
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    let mut found = Vec::new();
    for (index, rule) in spec.rules.iter().enumerate() {
        for name in &rule.to.credentials {
            if name != "*" && !known.contains(&name.as_str()) {
                found.push(Violation::new(
                    format!("spec.rules[{index}].to.credentials"),
                    format!(
                        "rule {} names {name:?}, which the identity does not have (it has {}), so it matches nothing there",
                        rule.name,
                        known.join(", ")
                    ),
                ));
            }
        }
    }
    found
}

/// Paths of a policy that no call to the credentials of their rule can have, since every path of that API starts otherwise: as where
/// `/chat/completions` stands for `/v1/chat/completions`.
pub fn unreachable_paths(spec: &EgressPolicySpec, routes: &[Route]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, rule) in spec.rules.iter().enumerate() {
        let meant = |route: &&Route| {
            rule.to
                .credentials
                .iter()
                .any(|name| name == "*" || *name == route.credential)
        };
        let bases: Vec<&str> = routes
            .iter()
            .filter(meant)
            .map(|route| route.base_path.as_str())
            .collect();
        for (position, text) in rule.paths.iter().enumerate() {
            let Ok(pattern) = Pattern::parse(text) else {
                continue;
            };
            if !bases.is_empty() && !bases.iter().any(|base| pattern.reaches_below(base)) {
                found.push(Violation::new(
                    format!("spec.rules[{index}].paths[{position}]"),
                    format!(
                        "rule {} matches nothing by {text:?}: paths are as the provider sees them, here below {}",
                        rule.name,
                        bases.join(", ")
                    ),
                ));
            }
        }
    }
    found
}

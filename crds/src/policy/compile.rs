//! Reads policies and reports everything that is wrong with them.

use super::{CompiledRule, METHODS, NamedPolicy, Pattern, Policy, RuleId};
use crate::{
    egress_policy::{EgressPolicySpec, PolicyRule},
    names::is_label,
    violation::Violation,
};

/// Compiles the policies of one identity.
///
/// # Errors
/// Every problem of every policy at once, each with the policy's name and the path in its spec. The rules of the CRD's schema that give a
/// policy its meaning are checked again here, since a folder on a laptop and a bundle come past no API server.
pub fn compile(policies: &[NamedPolicy]) -> Result<Policy, Vec<Violation>> {
    let mut policy = Policy::default();
    let mut violations = Vec::new();
    for (index, named) in policies.iter().enumerate() {
        let at = format!("EgressPolicy {}", named.name);
        if policies[..index]
            .iter()
            .any(|earlier| earlier.name == named.name)
        {
            violations.push(Violation::new(&at, "there is another policy of this name"));
        }
        match compile_one(&named.name, &named.spec) {
            Ok(rules) => policy.rules.extend(rules),
            Err(found) => violations.extend(found.into_iter().map(|violation| {
                Violation::new(format!("{at}: {}", violation.path), violation.message)
            })),
        }
    }
    if violations.is_empty() {
        Ok(policy)
    } else {
        Err(violations)
    }
}

/// Checks one policy alone, for its own status.
///
/// # Errors
/// Every problem at once.
pub fn check(spec: &EgressPolicySpec) -> Result<(), Vec<Violation>> {
    compile_one("", spec).map(|_| ())
}

fn compile_one(policy: &str, spec: &EgressPolicySpec) -> Result<Vec<CompiledRule>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut rules = Vec::new();
    if spec.target_refs.is_empty() {
        violations.push(Violation::new(
            "spec.targetRefs",
            "name at least one AgentIdentity",
        ));
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        let at = format!("spec.rules[{index}]");
        if !is_label(&rule.name) {
            violations.push(Violation::new(
                format!("{at}.name"),
                "must be 1 to 63 characters of a-z, 0-9 and '-', starting and ending with a letter or digit",
            ));
        }
        if spec.rules[..index]
            .iter()
            .any(|earlier| earlier.name == rule.name)
        {
            violations.push(Violation::new(
                format!("{at}.name"),
                format!("{:?} names an earlier rule too", rule.name),
            ));
        }
        match compile_rule(&at, policy, rule) {
            Ok(rule) => rules.push(rule),
            Err(found) => violations.extend(found),
        }
    }
    if violations.is_empty() {
        Ok(rules)
    } else {
        Err(violations)
    }
}

fn compile_rule(at: &str, policy: &str, rule: &PolicyRule) -> Result<CompiledRule, Vec<Violation>> {
    let mut violations = Vec::new();
    let credentials = &rule.to.credentials;
    if credentials.is_empty() {
        violations.push(Violation::new(
            format!("{at}.to.credentials"),
            "name at least one credential, or \"*\" for all",
        ));
    }
    if credentials.len() > 1 && credentials.iter().any(|name| name == "*") {
        violations.push(Violation::new(
            format!("{at}.to.credentials"),
            "\"*\" stands for all credentials and must be alone",
        ));
    }
    for (index, method) in rule.methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            violations.push(Violation::new(
                format!("{at}.methods[{index}]"),
                format!("{method:?} is not one of {}", METHODS.join(", ")),
            ));
        }
    }
    let mut paths = Vec::new();
    for (index, text) in rule.paths.iter().enumerate() {
        match Pattern::parse(text) {
            Ok(pattern) => paths.push(pattern),
            Err(error) => violations.push(Violation::new(
                format!("{at}.paths[{index}]"),
                error.to_string(),
            )),
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(CompiledRule {
        id: RuleId {
            policy: policy.to_owned(),
            rule: rule.name.clone(),
        },
        credentials: credentials.clone(),
        methods: rule.methods.clone(),
        paths,
        action: rule.action,
    })
}

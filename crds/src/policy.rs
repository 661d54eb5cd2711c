//! The meaning of policies: `compile` reads them, `decide` answers for one request.
//!
//! Default deny. A request is measured against every rule of every policy; the strongest action among the matching rules wins (`Deny` over
//! `Allow`); none matching is a denial. So the order of rules and policies has no meaning, and a policy can only tighten what another allows.

use crate::{
    agent_identity::AgentIdentitySpec,
    egress_policy::{Action, EgressPolicySpec, PolicyRule},
    violation::Violation,
};

mod path;

pub use path::Pattern;

/// All policies of one identity, ready to decide.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    rules: Vec<CompiledRule>,
}

#[derive(Clone, Debug)]
struct CompiledRule {
    id: RuleId,
    credentials: Vec<String>,
    methods: Vec<String>,
    paths: Vec<Pattern>,
    action: Action,
}

/// A rule's full name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleId {
    /// The policy's name.
    pub policy: String,
    /// The rule's name in it.
    pub rule: String,
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.policy, self.rule)
    }
}

/// What is known of a request when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Name of the credential that its route belongs to.
    pub credential: &'a str,
    /// HTTP method, in capitals.
    pub method: &'a str,
    /// Path as it will be sent to the provider, normalised, without the query.
    pub path: &'a str,
}

/// The answer for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A rule allows it and none denies it.
    Allow(RuleId),
    /// A rule denies it.
    Deny(RuleId),
    /// No rule matches it.
    NoRule,
}

/// A policy with its name, as it stands in a bundle.
#[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NamedPolicy {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.generation`, for `Programmed`; 0 on a laptop.
    #[serde(default)]
    pub generation: i64,
    /// `spec`.
    pub spec: EgressPolicySpec,
}

/// HTTP methods that a rule can name: those of RFC 9110 section 9 but `CONNECT` and `TRACE`, which are never forwarded, and `PATCH` (RFC 5789).
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Compiles the policies of one identity.
///
/// # Errors
/// Every problem of every policy at once, each with the policy's name and the path in its spec.
pub fn compile(policies: &[NamedPolicy]) -> Result<Policy, Vec<Violation>> {
    let mut policy = Policy::default();
    let mut violations = Vec::new();
    for named in policies {
        match compile_one(&named.name, &named.spec) {
            Ok(rules) => policy.rules.extend(rules),
            Err(found) => violations.extend(found.into_iter().map(|violation| {
                Violation::new(
                    format!("EgressPolicy {}: {}", named.name, violation.path),
                    violation.message,
                )
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

/// What a policy says about credentials that an identity does not have: such a rule matches nothing there, which may be a misspelling.
pub fn unknown_credentials(
    spec: &EgressPolicySpec,
    identity: &AgentIdentitySpec,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, rule) in spec.rules.iter().enumerate() {
        for name in &rule.to.credentials {
            if name != "*"
                && !identity
                    .credentials
                    .iter()
                    .any(|credential| credential.name == *name)
            {
                let known: Vec<&str> = identity
                    .credentials
                    .iter()
                    .map(|c| c.name.as_str())
                    .collect();
                found.push(Violation::new(
                    format!("spec.rules[{index}].to.credentials"),
                    format!("rule {} names {name:?}, which the identity does not have (it has {}), so it matches nothing there", rule.name, known.join(", ")),
                ));
            }
        }
    }
    found
}

fn compile_one(policy: &str, spec: &EgressPolicySpec) -> Result<Vec<CompiledRule>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut rules: Vec<CompiledRule> = Vec::new();
    if spec.target_refs.is_empty() {
        violations.push(Violation::new(
            "spec.targetRefs",
            "name at least one AgentIdentity",
        ));
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        if rules.iter().any(|earlier| earlier.id.rule == rule.name) {
            violations.push(Violation::new(
                format!("{path}.name"),
                format!("{:?} names an earlier rule too", rule.name),
            ));
        }
        match compile_rule(&path, policy, rule) {
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
    if rule.to.credentials.is_empty() {
        violations.push(Violation::new(
            format!("{at}.to.credentials"),
            "name at least one credential, or \"*\" for all",
        ));
    }
    if rule.to.credentials.len() > 1 && rule.to.credentials.iter().any(|name| name == "*") {
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
        credentials: rule.to.credentials.clone(),
        methods: rule.methods.clone(),
        paths,
        action: rule.action,
    })
}

impl Policy {
    /// Decides one request. Pure, and linear in the number of rules.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let strongest = self
            .rules
            .iter()
            .filter(|rule| rule.matches(facts))
            .max_by_key(|rule| rule.action);
        match strongest {
            Some(rule) if rule.action == Action::Deny => Decision::Deny(rule.id.clone()),
            Some(rule) => Decision::Allow(rule.id.clone()),
            None => Decision::NoRule,
        }
    }

    /// How many rules are in force.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }
}

impl CompiledRule {
    fn matches(&self, facts: &Facts<'_>) -> bool {
        self.credentials
            .iter()
            .any(|name| name == "*" || name == facts.credential)
            && (self.methods.is_empty() || self.methods.iter().any(|method| method == facts.method))
            && (self.paths.is_empty()
                || self.paths.iter().any(|pattern| pattern.matches(facts.path)))
    }
}

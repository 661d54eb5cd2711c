//! Reads policies and reports everything that is wrong with them.

use std::ops::RangeInclusive;

use super::{
    Glob, Limit, METHODS, Masks, NamedPolicy, Pattern, Policy, RuleId, expression::Expression,
    label, rule::Rule,
};
use crate::{
    egress_policy::{Action, EgressPolicySpec, Mode, PolicyRule},
    facts::Operation,
    names::is_label,
    violation::Violation,
};

mod limits;
mod masks;

/// What `maxInspectedBytes` can be: less than a kilobyte would leave most calls unread, and more than 64 MiB would cost too much memory a call.
const INSPECTED_BYTES: RangeInclusive<u32> = 1024..=64 * 1024 * 1024;

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
            Ok(compiled) => policy.add(&named.spec, compiled),
            Err(found) => violations.extend(found.into_iter().map(|violation| {
                Violation::new(format!("{at}: {}", violation.path), violation.message)
            })),
        }
    }
    if violations.is_empty() {
        policy.rules.sort_by(|one, other| {
            let denies_first = other.action.cmp(&one.action);
            denies_first.then_with(|| one.id.cmp(&other.id))
        });
        policy.limits.sort_by(|one, other| one.id.cmp(&other.id));
        policy.reads_headers = policy.rules.iter().any(Rule::reads_headers);
        policy.models = label::sorted(policy.rules.iter().flat_map(|rule| &rule.models));
        Ok(policy)
    } else {
        Err(violations)
    }
}

impl Policy {
    fn add(&mut self, spec: &EgressPolicySpec, compiled: Compiled) {
        self.rules.extend(compiled.rules);
        self.limits.extend(compiled.limits);
        self.request_masks.add(compiled.request_masks);
        self.response_masks.add(compiled.response_masks);
        match spec.mode {
            Mode::Enforce => self.enforces = true,
            Mode::Observe => self.observes = true,
        }
        let asked = spec.max_inspected_bytes.map(|bytes| bytes as usize);
        self.max_inspected_bytes = match (self.max_inspected_bytes, asked) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

/// Checks one policy alone, for its own status.
///
/// # Errors
/// Every problem at once.
pub fn check(spec: &EgressPolicySpec) -> Result<(), Vec<Violation>> {
    compile_one("", spec).map(|_| ())
}

/// What one policy says.
struct Compiled {
    rules: Vec<Rule>,
    limits: Vec<Limit>,
    request_masks: Masks,
    response_masks: Masks,
}

fn compile_one(policy: &str, spec: &EgressPolicySpec) -> Result<Compiled, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut rules = Vec::new();
    if spec.target_refs.is_empty() {
        violations.push(Violation::new(
            "spec.targetRefs",
            "name at least one AgentIdentity",
        ));
    }
    if spec
        .max_inspected_bytes
        .is_some_and(|bytes| !INSPECTED_BYTES.contains(&bytes))
    {
        violations.push(Violation::new(
            "spec.maxInspectedBytes",
            "must be 1024 (1 KiB) to 67108864 (64 MiB)",
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
        match compile_rule(&at, policy, spec.mode, rule) {
            Ok(rule) => rules.push(rule),
            Err(found) => violations.extend(found),
        }
    }
    let limits = limits::compile(policy, spec.mode, &spec.limits, &mut violations);
    let request_masks = masks::of_requests(spec, &mut violations);
    let response_masks = masks::of_responses(spec, &mut violations);
    if violations.is_empty() {
        Ok(Compiled {
            rules,
            limits,
            request_masks,
            response_masks,
        })
    } else {
        Err(violations)
    }
}

fn compile_rule(
    at: &str,
    policy: &str,
    mode: Mode,
    rule: &PolicyRule,
) -> Result<Rule, Vec<Violation>> {
    let mut violations = Vec::new();
    let credentials = &rule.to.credentials;
    check_credentials(at, credentials, &mut violations);
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
    let models = globs(&format!("{at}.models"), &rule.models, &mut violations);
    let tools = globs(&format!("{at}.tools"), &rule.tools, &mut violations);
    let operations = operations(&format!("{at}.operations"), rule, &mut violations);
    let when = rule.when.as_deref().and_then(|text| {
        let told = |message| Violation::new(format!("{at}.when"), message);
        Expression::parse(text)
            .map_err(|mistakes| violations.extend(mistakes.into_iter().map(told)))
            .ok()
    });
    if !violations.is_empty() {
        return Err(violations);
    }
    Ok(Rule {
        id: RuleId {
            policy: policy.to_owned(),
            rule: rule.name.clone(),
        },
        enforce: mode == Mode::Enforce,
        credentials: credentials.clone(),
        methods: rule.methods.clone(),
        paths,
        operations,
        models,
        tools,
        when,
        uninspected: rule.uninspected,
        action: rule.action,
    })
}

fn check_credentials(at: &str, credentials: &[String], violations: &mut Vec<Violation>) {
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
}

fn globs(at: &str, texts: &[String], violations: &mut Vec<Violation>) -> Vec<Glob> {
    let mut globs = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match Glob::parse(text) {
            Ok(glob) => globs.push(glob),
            Err(error) => {
                violations.push(Violation::new(format!("{at}[{index}]"), error.to_string()));
            }
        }
    }
    globs
}

/// The operations that a rule names. An unknown one may be any: a rule that denies always means it, a rule that allows only where that is said.
fn operations(at: &str, rule: &PolicyRule, violations: &mut Vec<Violation>) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (index, text) in rule.operations.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let glob = match Glob::parse(text) {
            Ok(glob) => glob,
            Err(error) => {
                violations.push(Violation::new(at, error.to_string()));
                continue;
            }
        };
        let is_meant = |operation: &&Operation| {
            let is_said =
                **operation != Operation::Unknown || ["*", "unknown"].contains(&glob.as_str());
            is_said && glob.matches(operation.as_str())
        };
        let meant: Vec<Operation> = Operation::ALL.iter().filter(is_meant).copied().collect();
        if meant.is_empty() {
            let known: Vec<&str> = Operation::ALL.iter().map(|known| known.as_str()).collect();
            violations.push(Violation::new(
                at,
                format!(
                    "{:?} is no operation; there are {}",
                    glob.as_str(),
                    known.join(", ")
                ),
            ));
        }
        operations.extend(meant);
    }
    if rule.action == Action::Deny && !operations.is_empty() {
        operations.push(Operation::Unknown);
    }
    operations.sort_unstable();
    operations.dedup();
    operations
}

//! What people write: bundles, policies, expressions.

use std::borrow::Cow;

use postern_crds::{
    Bundle, Facts,
    egress_policy::EgressPolicySpec,
    facts::{Call, Content, Models, Operation},
    policy::{self, NamedPolicy},
    yaml,
};
use serde_json::json;

/// A bundle that can be read says the same written anew, and means the same.
pub(super) fn bundle(data: &[u8]) {
    let Ok(bundle) = Bundle::parse(data) else {
        return;
    };
    let again = Bundle::parse(&bundle.to_json()).expect("what was written is read");
    assert_eq!(bundle.revision(), again.revision());
    assert_eq!(bundle.compile().is_ok(), again.compile().is_ok());
}

/// A policy in YAML: its meaning is the same each time, and a call that no rule speaks of does not pass where it enforces.
pub(super) fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(spec) = yaml::from_str::<EgressPolicySpec>(text) {
        decided(spec);
    }
}

/// An expression as the one condition of a rule.
pub(super) fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let rule = json!({"name": "it", "to": {"credentials": ["*"]}, "when": text, "action": "Allow"});
    let targets = json!([{"kind": "AgentIdentity", "name": "bot"}]);
    let spec = json!({"targetRefs": targets, "rules": [rule]});
    decided(serde_json::from_value(spec).expect("any text may stand there"));
}

fn decided(spec: EgressPolicySpec) {
    let enforces = spec.mode == postern_crds::egress_policy::Mode::Enforce;
    let checked = policy::check(&spec);
    let policies = [NamedPolicy {
        name: "it".to_owned(),
        generation: 0,
        spec,
    }];
    let compiled = policy::compile(&policies);
    assert!(compiled.is_err() || checked.is_ok());
    let Ok(policy) = compiled else { return };
    let call = Call {
        operation: Operation::Chat,
        models: Models::Hidden,
        ..Call::default()
    };
    let contents = [
        Content::NotRead,
        Content::Uninspected(Cow::Borrowed(&call)),
        Content::Read(Cow::Borrowed(&call)),
    ];
    for content in contents {
        let mut facts = Facts::of_head("openai", "POST", "/v1/chat/completions");
        facts.content = content;
        policy.needs(facts.credential, facts.method, facts.path);
        let verdict = policy.decide(&facts);
        assert_eq!(
            format!("{verdict:?}"),
            format!("{:?}", policy.decide(&facts))
        );
        if enforces && policy.rule_count() == 0 {
            assert!(!verdict.decision.passes());
        }
    }
}

//! Explanations of one request.

use crate::support::{Folder, POLICY};

const BODY: &str = r#"{"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "tools": [{"type": "function", "function": {"name": "search"}}]}"#;

#[test]
fn the_facts_the_decision_and_every_rule_are_told() {
    let outcome = Folder::of(POLICY).explain(&["--path", "/v1/chat/completions", "--body", BODY]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    for line in [
        "identity             default/bot\n",
        "credential           openai, to api.openai.com\n",
        "path                 /v1/chat/completions\n",
        "operation            chat\n",
        "models               \"gpt-4o\"\n",
        "tools                \"search\"\n",
        "maxTokens            100\n",
        "estimatedInputTokens about ",
        "estimatedCost        at most 0.00",
        "decision             Deny (no_rule): no rule allows it\n",
        "rule                 Deny chat/no-files does not match: paths: /v1/chat/completions is not /v1/files/**\n",
        "rule                 Allow chat/small does not match: models: \"gpt-4o\" is not gpt-4o-mini\n",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
}

#[test]
fn the_body_comes_from_a_file_or_from_standard_input_too() {
    let folder = Folder::of(POLICY);
    let small = BODY.replace("gpt-4o", "gpt-4o-mini");
    folder.write("body.json", &small);
    let path = ["--path", "/v1/chat/completions"];
    let file = folder.explain(&[&path[..], &["--body", "@body.json"]].concat());
    let arguments = [
        "explain",
        "-f",
        "policy",
        "--credential",
        "openai",
        "--body",
        "-",
    ];
    let piped = folder.ask(&[&arguments[..], &path].concat(), &small);
    for outcome in [file, piped] {
        assert!(
            outcome
                .stdout
                .contains("decision             Allow chat/small\n"),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_no_rule_asks_for_is_told_all_the_same_and_said_not_to_be_read() {
    let outcome = Folder::of(POLICY).explain(&["--method", "GET", "--path", "/v1/files/a"]);
    assert!(
        outcome
            .stdout
            .contains("which the proxy would not read: no rule or limit asks")
            && outcome.stdout.contains(
                "decision             Deny (denied_by_rule): rule chat/no-files denies it\n"
            ),
        "{outcome:?}"
    );
}

#[test]
fn a_body_that_is_too_long_is_said_to_be_unread() {
    let policy = POLICY.replace("  rules:", "  maxInspectedBytes: 1024\n  rules:");
    let body = BODY.replace("hi", &"x".repeat(1024));
    let outcome = Folder::of(&policy).explain(&["--path", "/v1/chat/completions", "--body", &body]);
    for line in [
        "body                 not read: ",
        "decision             Deny (body_too_large): ",
        "rule                 Allow chat/small depends on a body that was not read\n",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
}

#[test]
fn a_request_that_cannot_be_read_is_an_answer_too() {
    let outcome = Folder::of(POLICY).explain(&["--path", "/v1/chat/completions", "--body", "{"]);
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome
            .stdout
            .contains("decision             Deny (body_invalid): "),
        "{outcome:?}"
    );
}

#[test]
fn a_path_that_cannot_be_read_is_an_answer_too() {
    let outcome = Folder::of(POLICY).explain(&["--path", "/v1/../a"]);
    assert!(
        outcome
            .stdout
            .contains("decision             Deny (path_invalid): "),
        "{outcome:?}"
    );
}

#[test]
fn what_is_masked_before_a_call_is_sent_is_told_and_what_cannot_be_is_denied() {
    let policy = POLICY.replace(
        "  rules:",
        "  request: {mask: {restore: true, detectors: [EMAIL]}}\n  rules:",
    );
    let folder = Folder::of(&policy);
    let body = BODY
        .replace("gpt-4o", "gpt-4o-mini")
        .replace("hi", "a@example.com, b@example.com");
    let path = ["--path", "/v1/chat/completions", "--body"];
    let outcome = folder.explain(&[&path[..], &[&body]].concat());
    for line in [
        "decision             Allow chat/small\n",
        "masked               2 EMAIL, before it is sent\n",
    ] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
    let outcome = folder.test(
        "[{name: a, request: POST /openai/v1/chat/completions, headers: {content-type: multipart/form-data; boundary=x}, body: x, expect: body_invalid},
          {name: b, request: POST /openai/v1/chat/completions, body: {model: gpt-4o-mini, messages: []}, expect: Allow}]",
    );
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let all = policy.replace(
        "operations: [chat], models: [gpt-4o-mini], action: Allow",
        "action: Allow",
    );
    let outcome = Folder::of(&all).test(
        "[{name: a, request: POST /openai/v1/uploads, headers: {content-type: application/octet-stream}, body: x, expect: unmaskable}]",
    );
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

//! Tables: what is as expected, what is not, and why.

use crate::support::{Folder, POLICY};

/// One case of each ending, in each way to write it.
const RIGHT: &str = r#"
- name: the small model answers
  request: POST /openai/v1/chat/completions
  body: {model: gpt-4o-mini, messages: []}
  expect: Allow chat/small
- name: a larger one does not
  request: POST /openai/v1/chat/completions
  body: '{"model": "gpt-4o", "messages": []}'
  expect: no_rule
- name: files are nobody's business
  request: {credential: openai, method: DELETE, path: /v1/files/a, headers: {user-agent: me}}
  expect: Deny
  rule: no-files
  reason: denied_by_rule
"#;

#[test]
fn a_table_that_is_right_is_no_failure() {
    let outcome = Folder::of(POLICY).test(RIGHT);
    assert_eq!(
        outcome.stdout,
        "ok      cases/cases.yaml: the small model answers\n\
         ok      cases/cases.yaml: a larger one does not\n\
         ok      cases/cases.yaml: files are nobody's business\n\
         3 cases of default/bot: 3 as expected, 0 not\n"
    );
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_case_that_is_wrong_says_which_member_of_which_rule_does_not_match() {
    let outcome = Folder::of(POLICY).test(&RIGHT.replace("expect: no_rule", "expect: Allow small"));
    assert_eq!(outcome.code, Some(1));
    let expected = "\
FAILED  cases/cases.yaml: a larger one does not
          expected  Allow small
          got       Deny (no_rule): no rule allows it
          call      /v1/chat/completions of openai, chat, models: \"gpt-4o\"
          rule      Deny chat/no-files does not match: paths: /v1/chat/completions is not /v1/files/**
          rule      Allow chat/small does not match: models: \"gpt-4o\" is not gpt-4o-mini
";
    assert!(outcome.stdout.contains(expected), "{}", outcome.stdout);
    assert!(
        outcome
            .stdout
            .ends_with("3 cases of default/bot: 2 as expected, 1 not\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn another_rule_or_reason_than_the_expected_one_is_a_failure() {
    for (right, wrong) in [
        ("rule: no-files", "rule: small"),
        ("reason: denied_by_rule", "reason: no_rule"),
        ("Allow chat/small", "Allow other/small"),
        ("expect: no_rule", "expect: body_invalid"),
    ] {
        let outcome = Folder::of(POLICY).test(&RIGHT.replace(right, wrong));
        assert_eq!(outcome.code, Some(1), "{wrong}: {}", outcome.stdout);
    }
}

#[test]
fn what_the_proxy_refuses_before_the_policy_is_refused_here() {
    let outcome = Folder::of(POLICY).test(
        r#"
- {name: dots, request: GET /openai/v1/../v1/models, expect: path_invalid}
- {name: no such credential, request: GET /claude/v1/models, expect: unknown_route}
- {name: a tunnel, request: TRACE /openai/v1/models, expect: method_refused}
- {name: a key twice, request: POST /openai/v1/chat/completions, body: '{"model":"gpt-4o-mini","model":"gpt-5"}', expect: body_invalid}
- {name: an encoding, request: POST /openai/v1/chat/completions, headers: {content-encoding: sdch}, body: x, expect: encoding_refused}
- {name: another method, request: POST /openai/v1/chat/completions, headers: ["x-http-method-override: DELETE"], expect: body_invalid}
"#,
    );
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
}

#[test]
fn policies_that_only_observe_tell_what_they_would_do() {
    let policy = POLICY.replace("  rules:", "  mode: Observe\n  rules:");
    let cases = r#"
- {name: allowed, request: POST /openai/v1/chat/completions, body: {model: gpt-4o-mini, messages: []}, expect: Unenforced small, reason: allowed}
- {name: not, request: POST /openai/v1/chat/completions, body: {model: gpt-4o, messages: []}, expect: Unenforced, reason: no_rule}
"#;
    let outcome = Folder::of(&policy).test(cases);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stdout);
    let wrong = cases.replace("reason: no_rule", "reason: denied_by_rule");
    let outcome = Folder::of(&policy).test(&wrong);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("got       Unenforced (no_rule)\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn of_several_identities_one_is_chosen() {
    let policy = format!(
        "{POLICY}---\n{}",
        POLICY
            .replace("bot", "other")
            .replace("name: chat", "name: chat2")
            .replace("gpt-4o-mini", "gpt-4o")
    );
    let folder = Folder::of(&policy);
    let cases = "- {name: a, request: POST /openai/v1/chat/completions, body: {model: gpt-4o, messages: []}, expect: Allow small}\n";
    let outcome = folder.test(cases);
    assert_eq!(outcome.code, Some(125));
    assert!(
        outcome
            .stderr
            .contains("--identity: say which one: there are default/bot, default/other"),
        "{}",
        outcome.stderr
    );
    let chosen = [
        "test",
        "-f",
        "policy",
        "--identity",
        "other",
        "cases/cases.yaml",
    ];
    let outcome = folder.ask(&chosen, "");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

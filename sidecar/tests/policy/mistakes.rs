//! Files and flags that cannot be used: every problem is named, and nothing is said to be tested.

use crate::support::{Folder, POLICY};

#[test]
fn every_mistake_of_every_case_is_named() {
    let outcome = Folder::of(POLICY).test(
        r#"
- {name: a, request: GETX, expect: Alow}
- {request: 1}
- {name: b, request: {credential: openai, method: GET, pth: /}, expect: no_rul}
- {name: c, request: "G@T /a#b", headers: {"a b": c}, expect: Allow a, rule: b}
- {name: d, request: {credential: openai, method: GET, path: v1}, expect: Allow, reason: no_rule}
- {name: e, request: {credential: openai, method: GET, path: /v1}, body: x, expect: Deny, reason: because}
"#,
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(125), ""));
    for mistake in [
        "case 1 (a): request \"GETX\" must be a method and a path",
        "case 1 (a): expect \"Alow\" must be Allow, Deny or Unenforced",
        "case 2: missing field `name`",
        "case 3 (b): request: unknown field `pth`",
        "case 3 (b): expect \"no_rul\" must be",
        "case 4 (c): \"G@T\" is not a method",
        "case 4 (c): \"/a#b\" is not a path",
        "case 4 (c): header \"a b\" has a name or value that no header can have",
        "case 4 (c): expect \"Allow a\" says already what rule or reason says",
        "case 5 (d): request: path \"v1\" must start with '/'",
        "case 5 (d): reason is about a call that is not allowed",
        "case 6 (e): headers and body belong into the request where it is a mapping",
        "case 6 (e): reason \"because\" must be one of body_invalid, ",
    ] {
        assert!(
            outcome
                .stderr
                .contains(&format!("cases/cases.yaml: {mistake}")),
            "{mistake}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn mistakes_of_the_policy_and_of_the_cases_are_named_together() {
    let policy = POLICY.replace("action: Deny", "action: Deni");
    let outcome = Folder::of(&policy).test("a: b\n");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(125), ""));
    for mistake in [
        "spec.rules[1].action: must be one of Allow, Deny",
        "cases/cases.yaml: must be a list of cases",
    ] {
        assert!(
            outcome.stderr.contains(mistake),
            "{mistake}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn a_table_without_cases_is_no_success() {
    let outcome = Folder::of(POLICY).test("[]\n");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(125), ""));
    assert!(
        outcome.stderr.contains("there is no case in these files"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn standard_input_is_not_read_twice() {
    let outcome = Folder::of(POLICY).ask(
        &[
            "explain",
            "-f",
            "-",
            "--credential",
            "openai",
            "--path",
            "/",
            "--body",
            "-",
        ],
        POLICY,
    );
    assert_eq!(outcome.code, Some(125));
    assert!(
        outcome
            .stderr
            .contains("--body: standard input is the policy's already"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_help_has_an_example_that_is_true() {
    let folder =
        Folder::of(&POLICY.replace("metadata: {name: chat}", "metadata: {name: cheap-chat}"));
    let help = folder.ask(&["test", "--help"], "").stdout;
    let example: String = help
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("- name: the small model"))
        .take_while(|line| !line.trim_start().starts_with("postern policy test"))
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or_default()))
        .collect();
    assert_eq!(example.matches("expect: ").count(), 3, "{help}");
    let outcome = folder.test(&example);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(help.contains("Limits are not part of it"), "{help}");
}

//! Compares what is decided with what a table expects.

use std::fmt::Write as _;

use postern_crds::policy::RuleId;

use super::{
    case::{Case, Ending},
    explain::{self, Verdict},
};
use crate::proxy::rehearsal::{Outcome, Rehearsal};

/// One line a case, more where it failed, and their sum; and how many failed.
pub(super) fn compare(rehearsal: &Rehearsal, cases: Vec<Case>) -> (String, usize) {
    let mut text = String::new();
    let (count, mut failures) = (cases.len(), 0);
    for Case {
        file,
        name,
        request,
        expected,
    } in cases
    {
        let outcome = rehearsal.of(request);
        let (ending, rule, reason) = ending(&outcome);
        let is_expected = expected.is(ending, rule, reason);
        let word = if is_expected { "ok    " } else { "FAILED" };
        line(&mut text, format_args!("{word}  {file}: {name}"));
        if is_expected {
            continue;
        }
        failures += 1;
        line(&mut text, format_args!("          expected  {expected}"));
        line(
            &mut text,
            format_args!("          got       {}", Verdict(&outcome)),
        );
        if let Some(call) = explain::call_in_short(&outcome) {
            line(&mut text, format_args!("          call      {call}"));
        }
        for rule in explain::relevant_rules(&outcome) {
            line(&mut text, format_args!("          rule      {rule}"));
        }
    }
    let of = if count == 1 { "case" } else { "cases" };
    line(
        &mut text,
        format_args!(
            "{count} {of} of {}: {} as expected, {failures} not",
            rehearsal.identity(),
            count - failures
        ),
    );
    (text, failures)
}

/// What became of a request: what was done, the rule, the reason. Where nothing is enforced, these are what would have become of it.
fn ending(outcome: &Outcome) -> (Ending, Option<&RuleId>, &'static str) {
    match &outcome.decision {
        Ok(Some(rule)) => (Ending::Allow, Some(rule), "allowed"),
        Ok(None) => {
            let observed = outcome.observed.last();
            (
                Ending::Unenforced,
                observed.and_then(|observed| observed.rule.as_ref()),
                observed.map_or("allowed", |observed| observed.reason),
            )
        }
        Err(error) => (Ending::Deny, error.rule(), error.reason()),
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes every text");
}

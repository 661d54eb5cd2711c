//! Tables of cases: files in which a request stands beside what is to become of it.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::Request;
use postern_crds::{Violation, policy::RuleId, yaml};
use serde::Deserialize;
use serde_json::Value;

use super::{
    all_files,
    request::{Told, header_of_line},
};

/// Why a request is denied, as far as its own bytes and the policy tell.
const REASONS: [&str; 11] = [
    "body_invalid",
    "body_too_large",
    "denied_by_rule",
    "encoding_refused",
    "method_refused",
    "no_rule",
    "path_invalid",
    "placeholder_misplaced",
    "rule_failed",
    "unknown_route",
    "unmaskable",
];

/// What the reason of a call is that would be allowed: for policies that only observe.
const ALLOWED: &str = "allowed";

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    /// The file that it stands in.
    pub(super) file: String,
    /// Its name.
    pub(super) name: String,
    /// The request.
    pub(super) request: Request<Bytes>,
    /// What is to become of it.
    pub(super) expected: Expected,
}

/// What is done about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A rule allows it.
    Allow,
    /// It is denied.
    Deny,
    /// All policies only observe.
    Unenforced,
}

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
            Self::Unenforced => "Unenforced",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is to become of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// What is done.
    pub(super) ending: Ending,
    /// The rule that decides, as `policy/rule` or by its own name; any where nothing is said.
    pub(super) rule: Option<String>,
    /// The reason; any where nothing is said. Where nothing is enforced, the one that there would be.
    pub(super) reason: Option<String>,
}

/// `Allow chat/cheap`, `Deny (no_rule)`.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ending)?;
        if let Some(rule) = &self.rule {
            write!(f, " {rule}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        Ok(())
    }
}

impl Expected {
    /// Whether this is what became of the request.
    pub(super) fn is(&self, ending: Ending, rule: Option<&RuleId>, reason: &str) -> bool {
        let is_rule = |name: &String| {
            rule.is_some_and(|rule| rule.rule == *name || rule.to_string() == *name)
        };
        self.ending == ending
            && self.rule.as_ref().is_none_or(is_rule)
            && self.reason.as_ref().is_none_or(|own| own == reason)
    }
}

/// A case as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    request: Value,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    body: Value,
    expect: String,
    rule: Option<String>,
    reason: Option<String>,
}

/// A request that is written as a mapping.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    credential: String,
    method: String,
    path: String,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    body: Value,
}

/// Reads the cases in the files at `paths`, and in the folders there.
///
/// # Errors
/// Every problem of every case at once.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Case>, Vec<Violation>> {
    let mut cases = Vec::new();
    let mut violations = Vec::new();
    for file in all_files(paths)? {
        let name = file.display().to_string();
        match values(&file) {
            Ok(values) => {
                for (index, value) in values.into_iter().enumerate() {
                    match case(&name, value) {
                        Ok(case) => cases.push(case),
                        Err((case, problems)) => {
                            let at = match case {
                                Some(case) => format!("{name}: case {} ({case})", index + 1),
                                None => format!("{name}: case {}", index + 1),
                            };
                            violations.extend(
                                problems
                                    .into_iter()
                                    .map(|problem| Violation::new(&at, problem)),
                            );
                        }
                    }
                }
            }
            Err(problem) => violations.push(Violation::new(name, problem)),
        }
    }
    if cases.is_empty() && violations.is_empty() {
        violations.push(Violation::new("CASES", "there is no case in these files"));
    }
    if violations.is_empty() {
        Ok(cases)
    } else {
        Err(violations)
    }
}

fn values(file: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    match yaml::from_str(&text).map_err(|error| error.to_string())? {
        Value::Array(values) => Ok(values),
        _ => Err("must be a list of cases: {name: ..., request: ..., expect: ...}".to_owned()),
    }
}

/// The case, or its name, as far as it has one, and its problems.
fn case(file: &str, value: Value) -> Result<Case, (Option<String>, Vec<String>)> {
    let name = value
        .get("name")
        .and_then(Value::as_str)
        .map(ToOwned::to_owned);
    let Written {
        name,
        request,
        headers,
        body,
        expect,
        rule,
        reason,
    } = serde_json::from_value(value).map_err(|error| (name, vec![error.to_string()]))?;
    let told = told(request, headers, body).and_then(Told::build);
    let expected = expected(&expect, rule, reason);
    match (told, expected) {
        (Ok(request), Ok(expected)) => Ok(Case {
            file: file.to_owned(),
            name,
            request,
            expected,
        }),
        (told, expected) => {
            let mut problems = told.err().unwrap_or_default();
            problems.extend(expected.err());
            Err((Some(name), problems))
        }
    }
}

fn told(request: Value, headers: Value, body: Value) -> Result<Told, Vec<String>> {
    let (method, target, headers, body) = match request {
        Value::String(line) => {
            let Some((method, target)) = line.split_once(' ') else {
                return Err(vec![format!(
                    "request {line:?} must be a method and a path, as in \"POST /openai/v1/chat/completions\""
                )]);
            };
            (method.to_owned(), target.to_owned(), headers, body)
        }
        other => {
            if !(headers.is_null() && body.is_null()) {
                return Err(vec![
                    "headers and body belong into the request where it is a mapping".to_owned(),
                ]);
            }
            let Members {
                credential,
                method,
                path,
                headers,
                body,
            } = serde_json::from_value(other).map_err(|error| vec![format!("request: {error}")])?;
            if !path.starts_with('/') {
                return Err(vec![format!("request: path {path:?} must start with '/'")]);
            }
            (method, format!("/{credential}{path}"), headers, body)
        }
    };
    Ok(Told {
        method,
        target,
        headers: header_list(headers)?,
        body: match body {
            Value::Null => Bytes::new(),
            Value::String(text) => text.into(),
            json => json.to_string().into(),
        },
    })
}

/// Headers as a mapping, or as lines where one stands twice.
fn header_list(value: Value) -> Result<Vec<(String, String)>, Vec<String>> {
    let headers: Vec<Result<(String, String), String>> = match value {
        Value::Null => Vec::new(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                Value::Number(number) => Ok((name, number.to_string())),
                Value::Bool(is) => Ok((name, is.to_string())),
                _ => Err(format!("headers: {name} must be a text")),
            })
            .collect(),
        Value::Array(lines) => lines
            .iter()
            .map(|line| header_of_line(line.as_str().unwrap_or_default()))
            .collect(),
        _ => vec![Err(
            "headers must be a mapping, or a list of \"name: value\"".to_owned(),
        )],
    };
    let (good, bad): (Vec<_>, Vec<_>) = headers.into_iter().partition(Result::is_ok);
    let bad: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    if bad.is_empty() {
        Ok(good.into_iter().filter_map(Result::ok).collect())
    } else {
        Err(bad)
    }
}

/// `Allow`, `Deny` or `Unenforced`, each with the rule behind it if one likes; or the reason of a denial alone.
fn expected(
    expect: &str,
    rule: Option<String>,
    reason: Option<String>,
) -> Result<Expected, String> {
    let (word, behind) = match expect.split_once(' ') {
        Some((word, rule)) => (word, Some(rule.trim().to_owned())),
        None => (expect, None),
    };
    let (ending, own_reason) = match word {
        "Allow" => (Ending::Allow, None),
        "Deny" => (Ending::Deny, None),
        "Unenforced" => (Ending::Unenforced, None),
        word if REASONS.contains(&word) => (Ending::Deny, Some(word.to_owned())),
        _ => {
            return Err(format!(
                "expect {expect:?} must be Allow, Deny or Unenforced, with the rule behind it if you like, or a reason: {}",
                REASONS.join(", ")
            ));
        }
    };
    if behind.is_some() && rule.is_some() || own_reason.is_some() && reason.is_some() {
        return Err(format!(
            "expect {expect:?} says already what rule or reason says"
        ));
    }
    let reason = own_reason.or(reason);
    if let Some(reason) = &reason {
        if ending == Ending::Allow {
            return Err("reason is about a call that is not allowed".to_owned());
        }
        let is_known =
            REASONS.contains(&reason.as_str()) || ending == Ending::Unenforced && reason == ALLOWED;
        if !is_known {
            return Err(format!(
                "reason {reason:?} must be one of {}",
                REASONS.join(", ")
            ));
        }
    }
    Ok(Expected {
        ending,
        rule: behind.or(rule),
        reason,
    })
}

//! What happened, told once at the end: which calls were allowed, which were denied and what rule would allow them, what went wrong upstream.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use postern_crds::policy::Pattern;
use serde_json::{Value, json};

use crate::access::{Observer, Outcome, Record};

/// Different denials that are told apart. A program that invents paths must not fill the memory.
const MAX_DENIALS: usize = 200;

/// How the summary is written.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One line of JSON.
    Json,
    /// Not at all.
    None,
}

/// Counts the requests of one run.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By credential; those whose path named none are under the empty name.
    routes: BTreeMap<String, Route>,
    denials: BTreeMap<Denial, u64>,
    /// Denials beyond [`MAX_DENIALS`] different ones.
    more_denials: u64,
}

#[derive(Debug, Default)]
struct Route {
    allowed: u64,
    denied: u64,
    /// Failures of allowed calls by reason: the upstream was not reached, not trusted, or broke off.
    failures: BTreeMap<&'static str, u64>,
    /// The upstream's own errors by status.
    errors: BTreeMap<u16, u64>,
    /// What was masked in calls, by what found it.
    request_masked: BTreeMap<String, u64>,
    /// What was masked in answers, by what found it.
    masked: BTreeMap<String, u64>,
}

/// Calls that were denied alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Denial {
    credential: String,
    method: String,
    path: Option<String>,
    reason: &'static str,
    rule: Option<String>,
}

impl Tally {
    /// What an [`App`](crate::App) is to tell.
    pub(crate) fn observer(self: &Arc<Self>) -> Observer {
        let tally = Arc::clone(self);
        Arc::new(move |record| tally.count(record))
    }

    fn count(&self, record: &Record<'_>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let credential = record.credential.unwrap_or_default();
        let route = counts.routes.entry(credential.to_owned()).or_default();
        for (all, sums) in [
            (record.request_masked, &mut route.request_masked),
            (record.masked, &mut route.masked),
        ] {
            for masked in all.iter().filter(|masked| masked.applied) {
                *sums.entry(masked.name.clone()).or_default() += masked.count;
            }
        }
        if record.allowed {
            route.allowed += 1;
            let failure = match (record.reason, record.outcome) {
                ("allowed" | "unenforced", Outcome::UpstreamAborted) => Some("upstream_broke_off"),
                ("allowed" | "unenforced", Outcome::LimitEnded) => Some("limit_ended_the_stream"),
                ("allowed" | "unenforced", Outcome::Unmaskable) => Some("unmaskable"),
                ("allowed" | "unenforced", Outcome::Complete | Outcome::ClientAborted) => None,
                (reason, _) => Some(reason),
            };
            if let Some(reason) = failure {
                *route.failures.entry(reason).or_default() += 1;
            } else if let Some(status) = record.status.filter(|status| *status >= 400) {
                *route.errors.entry(status).or_default() += 1;
            }
            return;
        }
        route.denied += 1;
        let denial = Denial {
            credential: credential.to_owned(),
            method: record.method.to_owned(),
            path: record.path.map(str::to_owned),
            reason: record.reason,
            rule: record.rule.map(ToString::to_string),
        };
        if counts.denials.len() < MAX_DENIALS || counts.denials.contains_key(&denial) {
            *counts.denials.entry(denial).or_default() += 1;
        } else {
            counts.more_denials += 1;
        }
    }

    /// The summary of `identity`'s run, ending in a line end, or nothing.
    pub(crate) fn render(&self, identity: &str, format: Format) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match format {
            Format::Text => counts.text(identity),
            Format::Json => counts.json(identity).to_string() + "\n",
            Format::None => String::new(),
        }
    }
}

impl Counts {
    fn sum(&self, of: impl Fn(&Route) -> u64) -> u64 {
        self.routes.values().map(of).sum()
    }

    fn text(&self, identity: &str) -> String {
        let (allowed, denied) = (
            self.sum(|route| route.allowed),
            self.sum(|route| route.denied),
        );
        let failed = self.sum(Route::failed);
        if allowed + denied == 0 {
            return format!("postern: {identity} made no call\n");
        }
        let mut text = format!(
            "postern: {identity} made {}: {allowed} allowed, {denied} denied, {failed} failed upstream\n",
            calls(allowed + denied)
        );
        for (credential, route) in &self.routes {
            let credential = if credential.is_empty() {
                "(no route)"
            } else {
                credential
            };
            let _ = writeln!(
                text,
                "  {credential}: {} allowed, {} denied{}{}",
                route.allowed,
                route.denied,
                route.troubles(),
                route.masks()
            );
        }
        for (denial, count) in &self.denials {
            let _ = writeln!(text, "  denied {count}x: {denial}");
            if let Some(rule) = denial.rule_that_allows() {
                let _ = writeln!(
                    text,
                    "    to allow it, add to the rules of an EgressPolicy: {rule}"
                );
            }
        }
        if self.more_denials > 0 {
            let _ = writeln!(
                text,
                "  and {} denied for other reasons or at other paths",
                calls(self.more_denials)
            );
        }
        text
    }

    fn json(&self, identity: &str) -> Value {
        let credentials: Vec<Value> = self
            .routes
            .iter()
            .map(|(credential, route)| {
                json!({
                    "credential": (!credential.is_empty()).then_some(credential),
                    "allowed": route.allowed,
                    "denied": route.denied,
                    "failures": route.failures,
                    "requestMasked": route.request_masked,
                    "masked": route.masked,
                    "upstreamErrors": route.errors.iter().map(|(status, count)| (status.to_string(), count)).collect::<BTreeMap<_, _>>(),
                })
            })
            .collect();
        let denials: Vec<Value> = self
            .denials
            .iter()
            .map(|(denial, count)| {
                json!({
                    "count": count,
                    "credential": (!denial.credential.is_empty()).then_some(&denial.credential),
                    "method": denial.method,
                    "path": denial.path,
                    "reason": denial.reason,
                    "rule": denial.rule,
                })
            })
            .collect();
        json!({
            "identity": identity,
            "allowed": self.sum(|route| route.allowed),
            "denied": self.sum(|route| route.denied),
            "failed": self.sum(Route::failed),
            "credentials": credentials,
            "denials": denials,
            "moreDenials": self.more_denials,
        })
    }
}

impl Route {
    fn failed(&self) -> u64 {
        self.failures.values().sum::<u64>() + self.errors.values().sum::<u64>()
    }

    /// What was masked, as in `; sent without 1 IBAN; masked 2 EMAIL, 1 FIELD`.
    fn masks(&self) -> String {
        let mut text = String::new();
        for (word, sums) in [
            ("sent without", &self.request_masked),
            ("masked", &self.masked),
        ] {
            let masked = sums.iter().map(|(name, count)| format!("{count} {name}"));
            let masked: Vec<String> = masked.collect();
            if !masked.is_empty() {
                let _ = write!(text, "; {word} {}", masked.join(", "));
            }
        }
        text
    }

    /// What allowed calls ran into, as in `; 2 upstream_timeout; 1 answered with 401`.
    fn troubles(&self) -> String {
        let failures = self
            .failures
            .iter()
            .map(|(reason, count)| format!("; {count} {reason}"));
        let errors = self
            .errors
            .iter()
            .map(|(status, count)| format!("; {count} answered with {status}"));
        failures.chain(errors).collect()
    }
}

impl Denial {
    /// A rule, as YAML, that would allow these calls: only where none matches them.
    fn rule_that_allows(&self) -> Option<String> {
        let path = self
            .path
            .as_deref()
            .filter(|path| Pattern::parse(path).is_ok())?;
        (self.reason == "no_rule").then(|| {
            format!(
                "{{name: NAME, to: {{credentials: [{}]}}, methods: [{}], paths: [{}], action: Allow}}",
                self.credential,
                self.method,
                Value::from(path)
            )
        })
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            credential,
            method,
            path,
            reason,
            rule,
        } = self;
        f.write_str(method)?;
        if let Some(path) = path {
            write!(f, " {path}")?;
        }
        if !credential.is_empty() {
            write!(f, " with {credential}")?;
        }
        // A rule may have allowed what was then denied for another reason.
        match (*reason, rule) {
            ("no_rule", _) => f.write_str(": no rule allows it"),
            ("denied_by_rule", Some(rule)) => write!(f, ": rule {rule} denies it"),
            (reason, _) => write!(f, ": {reason}"),
        }
    }
}

fn calls(count: u64) -> String {
    if count == 1 {
        "1 call".to_owned()
    } else {
        format!("{count} calls")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_crds::policy::RuleId;

    use super::*;
    use crate::access::Masked;

    const ALLOWED: Record<'_> = Record {
        request_id: "1",
        credential: Some("openai"),
        method: "POST",
        path: Some("/v1/chat/completions"),
        allowed: true,
        reason: "allowed",
        rule: None,
        observed: &[],
        call: None,
        used: None,
        request_masked: &[],
        masked: &[],
        restored: 0,
        status: Some(200),
        bytes_in: 1,
        bytes_out: 1,
        outcome: Outcome::Complete,
        duration: Duration::ZERO,
    };
    const DENIED: Record<'_> = Record {
        path: Some("/v1/responses"),
        allowed: false,
        reason: "no_rule",
        status: Some(403),
        ..ALLOWED
    };

    fn tally(records: &[Record<'_>]) -> Tally {
        let tally = Tally::default();
        records.iter().for_each(|record| tally.count(record));
        tally
    }

    fn text(records: &[Record<'_>]) -> String {
        tally(records).render("default/bot", Format::Text)
    }

    #[test]
    fn a_denial_comes_with_the_rule_that_would_allow_it() {
        assert_eq!(
            text(&[ALLOWED, DENIED, DENIED]),
            "postern: default/bot made 3 calls: 1 allowed, 2 denied, 0 failed upstream\n  \
             openai: 1 allowed, 2 denied\n  \
             denied 2x: POST /v1/responses with openai: no rule allows it\n    \
             to allow it, add to the rules of an EgressPolicy: {name: NAME, to: {credentials: [openai]}, methods: [POST], paths: [\"/v1/responses\"], action: Allow}\n"
        );
    }

    #[test]
    fn the_rule_that_is_proposed_allows_the_call() {
        let denial = Denial {
            credential: "openai".to_owned(),
            method: "POST".to_owned(),
            path: Some("/v1beta/models/gemini-2.5:generateContent".to_owned()),
            reason: "no_rule",
            rule: None,
        };
        let rule = postern_crds::yaml::from_str(&denial.rule_that_allows().unwrap()).unwrap();
        let rule = postern_crds::egress_policy::PolicyRule {
            name: "x".to_owned(),
            ..rule
        };
        let mut spec: postern_crds::EgressPolicySpec =
            postern_crds::yaml::from_str("targetRefs: [{kind: AgentIdentity, name: bot}]").unwrap();
        spec.rules = vec![rule];
        let policy = postern_crds::policy::compile(&[postern_crds::policy::NamedPolicy {
            name: "p".to_owned(),
            generation: 0,
            spec,
        }])
        .unwrap();
        let path = "/v1beta/models/gemini-2.5:generateContent";
        let decision = policy
            .decide(&postern_crds::Facts::of_head("openai", "POST", path))
            .decision;
        assert!(matches!(decision, postern_crds::Decision::Allow(_)));
    }

    #[test]
    fn a_denial_by_a_rule_names_it_and_proposes_nothing() {
        let rule = RuleId {
            policy: "chat".to_owned(),
            rule: "no-files".to_owned(),
        };
        let text = text(&[Record {
            reason: "denied_by_rule",
            rule: Some(&rule),
            ..DENIED
        }]);
        assert!(
            text.contains(
                "denied 1x: POST /v1/responses with openai: rule chat/no-files denies it\n"
            ),
            "{text}"
        );
        assert!(!text.contains("to allow it"), "{text}");
    }

    #[test]
    fn a_denial_in_spite_of_a_rule_that_allows_it_gives_its_own_reason() {
        let rule = RuleId {
            policy: "chat".to_owned(),
            rule: "chat".to_owned(),
        };
        let text = text(&[Record {
            reason: "credential_missing",
            rule: Some(&rule),
            ..DENIED
        }]);
        assert!(
            text.contains("POST /v1/responses with openai: credential_missing\n"),
            "{text}"
        );
    }

    #[test]
    fn what_failed_upstream_is_told_by_reason_and_status() {
        let text = text(&[
            ALLOWED,
            Record {
                status: Some(401),
                ..ALLOWED
            },
            Record {
                reason: "upstream_tls",
                status: Some(502),
                ..ALLOWED
            },
            Record {
                outcome: Outcome::UpstreamAborted,
                ..ALLOWED
            },
        ]);
        assert!(
            text.starts_with(
                "postern: default/bot made 4 calls: 4 allowed, 0 denied, 3 failed upstream\n"
            ),
            "{text}"
        );
        assert!(text.contains("openai: 4 allowed, 0 denied; 1 upstream_broke_off; 1 upstream_tls; 1 answered with 401\n"), "{text}");
    }

    #[test]
    fn what_was_masked_is_told_by_what_found_it() {
        let masked = |name: &str, applied, count| Masked {
            name: name.to_owned(),
            applied,
            count,
        };
        let masked = [
            masked("EMAIL", true, 2),
            masked("FIELD", true, 1),
            masked("PHONE", false, 9),
        ];
        let sent = [Masked {
            name: "IBAN".to_owned(),
            applied: true,
            count: 1,
        }];
        let record = || Record {
            request_masked: &sent,
            masked: &masked,
            ..ALLOWED
        };
        let text = text(&[record(), record()]);
        assert!(
            text.contains(
                "openai: 2 allowed, 0 denied; sent without 2 IBAN; masked 4 EMAIL, 2 FIELD\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_has_no_route_is_told_too() {
        let text = text(&[Record {
            credential: None,
            path: None,
            method: "GET",
            reason: "unknown_route",
            ..DENIED
        }]);
        assert!(
            text.contains("(no route): 0 allowed, 1 denied\n  denied 1x: GET: unknown_route\n"),
            "{text}"
        );
    }

    #[test]
    fn invented_paths_do_not_fill_the_memory() {
        let paths: Vec<String> = (0..MAX_DENIALS + 5).map(|n| format!("/{n}")).collect();
        let records: Vec<Record<'_>> = paths
            .iter()
            .map(|path| Record {
                path: Some(path),
                ..DENIED
            })
            .collect();
        let text = text(&records);
        assert!(
            text.contains("and 5 calls denied for other reasons or at other paths"),
            "{text}"
        );
        assert_eq!(text.matches("denied 1x").count(), MAX_DENIALS);
    }

    #[test]
    fn as_json_it_is_one_line_with_the_same_numbers() {
        let tally = tally(&[ALLOWED, DENIED]);
        let text = tally.render("default/bot", Format::Json);
        assert_eq!(text.lines().count(), 1);
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (
                &json["allowed"],
                &json["denied"],
                &json["denials"][0]["path"]
            ),
            (&json!(1), &json!(1), &json!("/v1/responses"))
        );
        assert_eq!(tally.render("default/bot", Format::None), "");
    }
}

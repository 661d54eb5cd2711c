//! Says what is known of a request, what is decided about it, and what every rule makes of it.

use std::fmt::{self, Write as _};

use postern_crds::{
    egress_policy::Action,
    facts::{Call, Model, Models},
    policy::{Explanation, Matched, Member},
};

use crate::{
    access::Masked,
    proxy::{
        facts::{Extent, Known},
        rehearsal::{Outcome, Seen},
    },
};

/// All about one request.
pub(super) fn text(identity: &str, outcome: &Outcome) -> String {
    let mut text = String::new();
    field(&mut text, "identity", identity);
    if let Some(seen) = &outcome.seen {
        let route = &seen.binding.route;
        field(
            &mut text,
            "credential",
            format_args!("{}, to {}", route.credential, route.authority),
        );
        field(&mut text, "path", &seen.path);
        if let Some(known) = &seen.known {
            facts(&mut text, seen, known);
        }
    }
    field(&mut text, "decision", Verdict(outcome));
    for observed in &outcome.observed {
        let rule = observed.rule.as_ref();
        let rule = rule.map(|rule| format!(" {rule}")).unwrap_or_default();
        field(
            &mut text,
            "observed",
            format_args!(
                "with the policies that only observe: {}{rule}",
                observed.reason
            ),
        );
    }
    for masked in outcome.seen.iter().flat_map(|seen| &seen.masked) {
        let Masked {
            name,
            applied,
            count,
        } = masked;
        let word = if *applied { "masked" } else { "observed" };
        let what = if *applied {
            "before it is sent"
        } else {
            "that policies that only observe would mask"
        };
        field(&mut text, word, format_args!("{count} {name}, {what}"));
    }
    let explanations = outcome.seen.iter().flat_map(|seen| &seen.explanations);
    for explanation in explanations {
        field(&mut text, "rule", Rule(explanation));
    }
    text
}

/// `POST`, `/v1/chat/completions` and what is asked of which models, in one line.
pub(super) fn call_in_short(outcome: &Outcome) -> Option<String> {
    let seen = outcome.seen.as_ref()?;
    let mut text = format!("{} of {}", seen.path, seen.binding.route.credential);
    if let Some(Known { call, extent, .. }) = &seen.known {
        write!(
            text,
            ", {}, models: {}",
            call.operation.as_str(),
            models(&call.models)
        )
        .expect("a String takes every text");
        if !call.tools.is_empty() {
            write!(text, ", tools: {}", list(&call.tools)).expect("a String takes every text");
        }
        if *extent == Extent::TooLong {
            text.push_str(", body not read");
        }
    }
    Some(text)
}

/// What the rules say that concern the request's credential.
pub(super) fn relevant_rules(outcome: &Outcome) -> impl Iterator<Item = Rule<'_>> {
    let explanations = outcome.seen.iter().flat_map(|seen| &seen.explanations);
    explanations
        .filter(|explanation| match &explanation.matched {
            Matched::No(misses) => misses.iter().all(|miss| miss.member != Member::Credentials),
            Matched::Yes | Matched::Unread | Matched::Failed(_) => true,
        })
        .map(Rule)
}

fn facts(text: &mut String, seen: &Seen, known: &Known) {
    let Call {
        operation,
        models: of,
        stream,
        max_tokens,
        estimated_input_tokens,
        estimated_cost,
        tools,
        messages,
        has_images,
        image_size,
        embeddings_count,
        n,
        collection,
        namespace,
        body_bytes,
    } = &*known.call;
    let body = match (known.extent, seen.is_body_needed) {
        (Extent::Whole, true) => format!("{body_bytes} bytes, read for the decision"),
        (Extent::Whole, false) if seen.has_masks => {
            format!("{body_bytes} bytes, read to be masked: no rule or limit asks what is in them")
        }
        (Extent::Whole, false) => {
            format!("{body_bytes} bytes, which the proxy would not read: no rule or limit asks what is in them")
        }
        (Extent::Head, _) => "not read: no rule or limit asks what is in it, and it could be read in more than one way".to_owned(),
        (Extent::TooLong, _) => "not read: too long, or of a form that only policies that observe wanted to know".to_owned(),
    };
    field(text, "body", body);
    field(text, "operation", operation.as_str());
    field(text, "models", models(of));
    field(text, "tools", list(tools));
    field(text, "stream", if *stream { "yes" } else { "no" });
    field(text, "maxTokens", or_unknown(max_tokens.as_ref()));
    if *n > 1 {
        field(text, "n", n);
    }
    field(
        text,
        "estimatedInputTokens",
        match estimated_input_tokens {
            Some(tokens) => format!("about {tokens}"),
            None => "unknown".to_owned(),
        },
    );
    field(
        text,
        "estimatedCost",
        match estimated_cost {
            Some(cost) => format!("at most {cost} USD"),
            None => "unknown".to_owned(),
        },
    );
    let optional: [(&str, Option<&dyn fmt::Display>); 5] = [
        ("messages", messages.as_ref().map(|it| it as _)),
        (
            "embeddings.count",
            embeddings_count.as_ref().map(|it| it as _),
        ),
        ("imageSize", image_size.as_ref().map(|it| it as _)),
        ("collection", collection.as_ref().map(|it| it as _)),
        ("namespace", namespace.as_ref().map(|it| it as _)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            field(text, name, value);
        }
    }
    if *has_images {
        field(text, "hasImages", "yes");
    }
}

fn models(models: &Models) -> String {
    match models {
        Models::None => "none".to_owned(),
        Models::Hidden => "hidden: any may answer".to_owned(),
        Models::Named(models) => {
            let names: Vec<String> = models.iter().map(model).collect();
            names.join(", ")
        }
    }
}

/// `"ft:gpt-4o-mini:acme" (also "gpt-4o-mini")`: names as the caller wrote them, with what cannot be seen escaped.
fn model(model: &Model) -> String {
    let mut text = format!("{:?}", model.name);
    if !model.aliases.is_empty() {
        let aliases = list(&model.aliases);
        write!(text, " (also {aliases})").expect("a String takes every text");
    }
    if model.opaque {
        text.push_str(" (any model may stand behind it)");
    }
    text
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}

fn or_unknown(value: Option<&u64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), u64::to_string)
}

fn field(text: &mut String, name: &str, value: impl fmt::Display) {
    writeln!(text, "{name:<20} {value}").expect("a String takes every text");
}

/// What is decided, in one line: `Allow chat/cheap`, `Deny (no_rule): no rule allows it`.
pub(super) struct Verdict<'a>(pub(super) &'a Outcome);

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.decision {
            Ok(Some(rule)) => write!(f, "Allow {rule}"),
            Ok(None) => {
                f.write_str("Unenforced")?;
                match self.0.observed.last() {
                    Some(observed) => write!(f, " ({})", observed.reason),
                    None => Ok(()),
                }
            }
            Err(error) => write!(f, "Deny ({}): {error}", error.reason()),
        }
    }
}

/// What one rule makes of a request, in one line.
pub(super) struct Rule<'a>(&'a Explanation);

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation {
            rule,
            action,
            enforce,
            matched,
        } = self.0;
        let action = match action {
            Action::Allow => "Allow",
            Action::Deny => "Deny",
        };
        write!(f, "{action} {rule}")?;
        if !enforce {
            f.write_str(" (observing)")?;
        }
        match matched {
            Matched::Yes => f.write_str(" matches"),
            Matched::No(misses) => {
                f.write_str(" does not match")?;
                for (at, miss) in misses.iter().enumerate() {
                    let before = if at == 0 { ": " } else { "; " };
                    write!(f, "{before}{}: {}", miss.member.as_str(), miss.why)?;
                }
                Ok(())
            }
            Matched::Unread => f.write_str(" depends on a body that was not read"),
            Matched::Failed(error) => write!(f, " has no value: {error}"),
        }
    }
}

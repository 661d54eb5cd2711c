//! What the vendors' own clients send, and what is read of it: the files beside this one, each a request and one line about its call.
//!
//! With `POSTERN_BLESS=1` the lines are written anew.

use std::{fs, path::Path, sync::LazyLock};

use http::{HeaderMap, header};
use postern_crds::{
    facts::{Call, Models},
    provider, yaml,
};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::proxy::path::NormalPath;

/// The registry's names of the vendors whose files there are.
const VENDORS: [&str; 8] = [
    "bedrock", "cohere", "mistral", "ollama", "pinecone", "plain", "qdrant", "weaviate",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Recorded {
    /// Method and target.
    request: String,
    content_type: Option<String>,
    #[serde(default)]
    body: String,
    says: String,
}

impl Recorded {
    fn call(&self, vendor: &str) -> Result<Call, Unreadable> {
        self.call_of(vendor, self.body.as_bytes())
    }

    fn call_of(&self, vendor: &str, body: &[u8]) -> Result<Call, Unreadable> {
        self.with_head(vendor, |head| {
            let mut headers = HeaderMap::new();
            if let Some(kind) = &self.content_type {
                headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            }
            read(&Request {
                head,
                headers: &headers,
                body,
            })
        })
    }

    /// The head as the proxy makes it.
    fn with_head<T>(&self, vendor: &str, with: impl FnOnce(Head<'_>) -> T) -> T {
        let (method, target) = self.request.split_once(' ').unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let (dialect, base_path) = match provider::find(vendor) {
            Some(provider) => (provider.dialect, provider.base_path.as_str()),
            None if vendor == "bedrock" => (Dialect::Bedrock, ""),
            None => (Dialect::Plain, ""),
        };
        with(Head {
            dialect,
            method,
            path: NormalPath::parse(path).unwrap().as_str(),
            base_path,
            query,
            deployments: &BTreeMap::new(),
        })
    }
}

fn recorded(vendor: &str) -> (String, Vec<Recorded>) {
    let text = fs::read_to_string(file(vendor)).unwrap();
    let cases = yaml::from_str(&text).unwrap_or_else(|error| panic!("{vendor}: {error}"));
    (text, cases)
}

fn file(vendor: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/dialect/recorded/{vendor}.yaml"))
}

/// A call in one line.
fn line(call: &Call) -> String {
    let mut words = vec![call.operation.as_str().to_owned()];
    match &call.models {
        Models::None => {}
        Models::Hidden => words.push("models hidden".into()),
        Models::Named(models) => {
            for model in models {
                let kind = if model.opaque { "handle" } else { "model" };
                words.push(format!("{kind} {}", model.name));
            }
        }
    }
    let mut number = |name: &str, value: Option<u64>| {
        words.extend(value.map(|value| format!("{name} {value}")));
    };
    number("max", call.max_tokens);
    number("n", Some(call.n).filter(|n| *n != 1));
    number("messages", call.messages);
    number("embeddings", call.embeddings_count);
    for (name, flag) in [("stream", call.stream), ("images", call.has_images)] {
        words.extend(flag.then(|| name.to_owned()));
    }
    words.extend(call.tools.iter().map(|tool| format!("tool {tool}")));
    for (name, place) in [
        ("collection", &call.collection),
        ("namespace", &call.namespace),
    ] {
        words.extend(place.iter().map(|place| format!("{name} {place}")));
    }
    words.join(", ")
}

#[test]
fn every_recorded_request_says_what_its_file_says() {
    for vendor in VENDORS {
        let (text, cases) = recorded(vendor);
        let mut blessed = text.clone();
        let mut from = 0;
        for case in &cases {
            let found = match case.call(vendor) {
                Ok(call) => line(&call),
                Err(error) => format!("unreadable: {error}"),
            };
            if std::env::var_os("POSTERN_BLESS").is_some() {
                let start = from + blessed[from..].find("  says: ").unwrap() + 8;
                let end = start + blessed[start..].find('\n').unwrap();
                let quoted = if found.contains(": ") {
                    format!("{found:?}")
                } else {
                    found
                };
                blessed.replace_range(start..end, &quoted);
                from = start + quoted.len();
            } else {
                assert_eq!(found, case.says, "{vendor}: {}", case.request);
            }
        }
        if blessed != text {
            fs::write(file(vendor), blessed).unwrap();
        }
    }
}

#[test]
fn the_head_never_says_less_than_the_whole() {
    for vendor in VENDORS {
        for case in recorded(vendor).1 {
            let Ok(whole) = case.call(vendor) else {
                continue;
            };
            let head = case.with_head(vendor, |head| super::head(&head));
            let name = format!("{vendor}: {}", case.request);
            assert!(
                head.operation == whole.operation || head.operation == Operation::Unknown,
                "{name}"
            );
            // A model that only the body names must not look like none.
            assert_eq!(
                head.models == Models::None,
                whole.models == Models::None && head.models != Models::Hidden,
                "{name}: {:?}",
                head.models
            );
            assert!(
                head.collection.is_none() || head.collection == whole.collection,
                "{name}"
            );
        }
    }
}

/// All requests with a body.
static BODIES: LazyLock<Vec<(&str, Recorded)>> = LazyLock::new(|| {
    VENDORS
        .into_iter()
        .flat_map(|vendor| {
            let cases = recorded(vendor).1.into_iter();
            cases.map(move |case| (vendor, case))
        })
        .filter(|(_, case)| !case.body.is_empty())
        .collect()
});

#[test]
fn a_duplicate_key_anywhere_is_refused() {
    for (vendor, case) in BODIES.iter() {
        let is_json = case.body.starts_with('{') && case.call(vendor).is_ok();
        let is_read = case.call_of(vendor, b"{").is_err();
        if !is_json || !is_read {
            continue;
        }
        for (at, _) in case.body.match_indices('{') {
            let doubled = format!(
                "{}{}{}",
                &case.body[..=at],
                r#""\u0061":0,"a":1,"#,
                &case.body[at + 1..]
            )
            .replace(",}", "}");
            assert!(
                case.call_of(vendor, doubled.as_bytes()).is_err(),
                "{vendor}: {doubled}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(seed in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>()) {
        let (vendor, case) = seed.get(&BODIES);
        let mut body = case.body.clone().into_bytes();
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body.truncate(cut.index(body.len() + 1));
        let _ = case.call_of(vendor, &body);
    }

    #[test]
    fn no_path_panics(segments in prop::collection::vec("[a-z{}%:.]{0,12}|collections|points|model|indexes|objects|api|v1|namespaces|records|arn:aws:bedrock:a:b:c%2Fd", 0..7), method in "GET|POST|PUT|DELETE") {
        let path = format!("/{}", segments.join("/"));
        for provider in provider::all() {
            let _ = head(&Head {
                dialect: provider.dialect,
                method: &method,
                path: &path,
                base_path: &provider.base_path,
                query: Some("class=a&model=b"),
                deployments: &BTreeMap::new(),
            });
        }
    }
}

#[test]
fn what_is_masked_in_a_call_changes_nothing_that_it_says() {
    let masks = super::tests::masks::every_word();
    let (mut masked, mut wrong) = (0, Vec::new());
    for (vendor, case) in BODIES.iter() {
        let Ok(before) = case.call(vendor) else {
            continue;
        };
        let mut headers = HeaderMap::new();
        if let Some(kind) = &case.content_type {
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        }
        let dialect = case.with_head(vendor, |head| head.dialect);
        let sent = crate::mask::request(&masks, dialect, &headers, case.body.as_bytes());
        let Some(body) = sent.ok().and_then(|sent| sent.body) else {
            continue;
        };
        match case.call_of(vendor, &body) {
            Ok(after) if crate::proxy::masking::says_the_same(&before, &after) => masked += 1,
            // A query in a language of its own; the proxy denies the call where its meaning changes.
            _ if case.request.ends_with("/graphql") => {}
            after => wrong.push(format!(
                "{vendor}: {}: {}\n  {before:?}\n  {after:?}",
                case.request,
                String::from_utf8_lossy(&body)
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(masked > 50, "{masked}");
}

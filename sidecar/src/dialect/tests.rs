//! Whole requests. Those in `fixtures/*.http` are what the vendors' own clients sent to a server that only listens: openai 3.57, anthropic 2.13,
//! google-genai 3.6 and langchain-openai 1.7.3 for Python.

use http::{HeaderMap, HeaderName, HeaderValue};
use postern_crds::facts::{Call, Model, Models, Operation};

use super::*;

mod anthropic;
mod azure;
mod evasions;
mod gemini;
pub(super) mod masks;
mod mutations;
mod openai;

/// A request, and the route on which it is.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) dialect: Dialect,
    base_path: &'static str,
    pub(super) method: String,
    pub(super) path: String,
    query: Option<String>,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
    deployments: BTreeMap<String, String>,
}

/// What stands in `fixtures/` under this name.
macro_rules! fixture {
    ($dialect:ident, $name:literal) => {
        $crate::dialect::tests::Sent::parse(
            Dialect::$dialect,
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/dialect/fixtures/",
                $name,
                ".http"
            )),
        )
    };
}
use fixture;

/// A `POST` of JSON.
pub(super) fn post(dialect: Dialect, path: &str, body: &str) -> Sent {
    let head = format!("POST {path}\r\ncontent-type: application/json\r\n\r\n");
    Sent::parse(dialect, &[head.as_bytes(), body.as_bytes()].concat())
}

/// A `GET` without a body.
pub(super) fn get(dialect: Dialect, path: &str) -> Sent {
    Sent::parse(dialect, format!("GET {path}\r\n\r\n").as_bytes())
}

impl Sent {
    /// A request line without a version, headers, an empty line, a body.
    pub(super) fn parse(dialect: Dialect, bytes: &[u8]) -> Self {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap();
        let mut lines = std::str::from_utf8(&bytes[..end]).unwrap().split("\r\n");
        let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let base_path = match dialect {
            Dialect::AzureOpenAi => "/openai",
            Dialect::Gemini => "",
            _ => "/v1",
        };
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        Self {
            dialect,
            base_path,
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            headers: headers
                .map(|(name, value)| {
                    let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                    (name, HeaderValue::from_str(value).unwrap())
                })
                .collect(),
            body: bytes[end + 4..].to_vec(),
            deployments: BTreeMap::new(),
        }
    }

    pub(super) fn deployment(mut self, name: &str, model: &str) -> Self {
        self.deployments.insert(name.to_owned(), model.to_owned());
        self
    }

    /// The same with another header of this name beside those there are.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(super) fn without_header(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(super) fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    fn as_head(&self) -> Head<'_> {
        Head {
            dialect: self.dialect,
            method: &self.method,
            path: &self.path,
            base_path: self.base_path,
            query: self.query.as_deref(),
            deployments: &self.deployments,
        }
    }

    pub(super) fn head(&self) -> Call {
        head(&self.as_head())
    }

    pub(super) fn read(&self) -> Result<Call, Unreadable> {
        read(&Request {
            head: self.as_head(),
            headers: &self.headers,
            body: &self.body,
        })
    }

    /// The call, which can be read.
    pub(super) fn call(&self) -> Call {
        self.read()
            .unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.path))
    }
}

/// The names of a call's models.
pub(super) fn names(call: &Call) -> Vec<&str> {
    match &call.models {
        Models::Named(models) => models.iter().map(|model| model.name.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

/// The one model of a call.
pub(super) fn model(call: &Call) -> &Model {
    match &call.models {
        Models::Named(models) if models.len() == 1 => &models[0],
        other => panic!("{other:?}"),
    }
}

/// The members that a function hands to its `match`, against those that it asks for: an arm for another would never be taken, and say nothing.
#[test]
fn every_member_that_is_matched_is_asked_for() {
    fn sources(directory: &std::path::Path) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut found = Vec::new();
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                found.extend(sources(&path));
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text));
            }
        }
        found
    }
    let literal = regex_lite::Regex::new("\"([A-Za-z0-9_]+)\"").unwrap();
    let literals = |text: &str| -> Vec<String> {
        let captures = literal.captures_iter(text);
        captures.map(|found| found[1].to_owned()).collect()
    };
    let mut arms = 0;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dialect");
    for (file, text) in sources(directory.as_ref()) {
        for function in text.split("\n}\n") {
            let Some((_, rest)) = function.split_once("const FIELDS: &[&str] = &[") else {
                continue;
            };
            let (list, rest) = rest.split_once("];").unwrap();
            let fields = literals(list);
            for matching in rest.split("match field {\n").skip(1) {
                let indent = matching.len() - matching.trim_start().len();
                let lines = matching.lines().take_while(|line| {
                    line.is_empty() || line.len() - line.trim_start().len() >= indent
                });
                for line in lines {
                    let is_arm = line.len() - line.trim_start().len() == indent
                        && line.trim_start().starts_with(['"', '|']);
                    if is_arm {
                        let pattern = line.split("=>").next().unwrap_or_default();
                        for name in literals(pattern) {
                            assert!(fields.contains(&name), "{file}: {name}");
                            arms += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(arms > 100, "{arms}");
}

//! What must hold of what the operator reads, whatever comes: of the inputs in `fuzz/corpus`, and of what chance makes of them.
//!
//! The sidecar's parsers are fed by libFuzzer, guided by coverage (`sidecar/fuzz`). To build the operator for that, with the SDK of AWS and a client
//! of Kubernetes, takes longer than all of its tests. What it reads of others is JSON nearly everywhere, so here the inputs that were kept are
//! changed as JSON and as bytes, the same way in every run; `PROPTEST_CASES=100000 cargo test -p postern-operator mutated` goes on for longer.

use std::{fmt, fs, path::Path};

use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};

/// How many inputs are made for each case that `PROPTEST_CASES` says.
const INPUTS: u32 = 8;

/// An input, shown as text.
#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// One change.
#[derive(Clone, Debug)]
enum Edit {
    /// Another byte at a place.
    Byte(Index, u8),
    /// Nothing more from a place on.
    End(Index),
    /// Bytes at a place.
    Insert(Index, &'static [u8]),
    /// Another value in the place of one.
    Replace(Index, Value),
    /// A copy of one value into another one, under a name where that is an object.
    Copy(Index, Index, &'static str),
    /// One member or item less.
    Remove(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let values = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(""),
        json!("é\u{0}/~1"),
        json!("postern"),
        json!("postern-bundle"),
        json!("support-bot"),
        json!("OPENAI_API_KEY"),
        json!("1e38Ei"),
        json!([]),
        json!([null]),
        json!({}),
    ];
    let names = vec![
        "name",
        "value",
        "valueFrom",
        "env",
        "labels",
        "annotations",
        "volumes",
        "securityContext",
        "resources",
        "data",
        "errors",
        "lease_id",
        "lease_duration",
        "username",
        "0",
        "",
    ];
    let pieces: Vec<&'static [u8]> = vec![
        b"/", b"/+1", b"/01", b"~", b"=", b"\"", b"\\u0000", b"9", b"[", b"\xff",
    ];
    let place = any::<Index>;
    prop_oneof![
        1 => (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Byte(at, byte)),
        1 => place().prop_map(Edit::End),
        1 => (place(), select(pieces)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        4 => (place(), select(values)).prop_map(|(at, value)| Edit::Replace(at, value)),
        4 => (place(), place(), select(names)).prop_map(|(from, to, name)| Edit::Copy(from, to, name)),
        2 => (place(), place()).prop_map(|(at, which)| Edit::Remove(at, which)),
    ]
}

impl Edit {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Self::Byte(at, byte) if !data.is_empty() => {
                let at = at.index(data.len());
                data[at] = *byte;
            }
            Self::End(at) => data.truncate(at.index(data.len() + 1)),
            Self::Insert(at, bytes) => {
                let at = at.index(data.len() + 1);
                data.splice(at..at, bytes.iter().copied());
            }
            Self::Byte(..) => {}
            Self::Replace(..) | Self::Copy(..) | Self::Remove(..) => self.apply_to_json(data),
        }
    }

    /// What stands before the JSON stays. Where there is none any more, nothing happens.
    fn apply_to_json(&self, data: &mut Vec<u8>) {
        let Some(begin) = data.iter().position(|byte| b"{[".contains(byte)) else {
            return;
        };
        let Ok(mut document) = serde_json::from_slice::<Value>(&data[begin..]) else {
            return;
        };
        let mut places = Vec::new();
        collect(&document, "", &mut places);
        let at = |index: &Index| index.get(&places).as_str();
        match self {
            Self::Replace(place, value) => put(&mut document, at(place), value.clone()),
            Self::Copy(from, to, name) => {
                let copy = document.pointer(at(from)).cloned().unwrap_or_default();
                match document.pointer_mut(at(to)) {
                    Some(Value::Array(items)) => items.push(copy),
                    Some(Value::Object(members)) => {
                        members.insert((*name).to_owned(), copy);
                    }
                    _ => put(&mut document, at(to), copy),
                }
            }
            Self::Remove(place, which) => match document.pointer_mut(at(place)) {
                Some(Value::Array(items)) if !items.is_empty() => {
                    items.remove(which.index(items.len()));
                }
                Some(Value::Object(members)) if !members.is_empty() => {
                    let name = members.keys().nth(which.index(members.len())).cloned();
                    members.remove(&name.unwrap_or_default());
                }
                _ => {}
            },
            Self::Byte(..) | Self::End(_) | Self::Insert(..) => {}
        }
        data.truncate(begin);
        data.extend(document.to_string().into_bytes());
    }
}

fn put(document: &mut Value, at: &str, value: Value) {
    if let Some(place) = document.pointer_mut(at) {
        *place = value;
    }
}

/// Pointers to all values of a document.
fn collect(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{at}/{index}"), places);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(member, &format!("{at}/{name}"), places);
            }
        }
        _ => {}
    }
}

/// Lets `holds`, which panics where something does not hold, look at what is in `fuzz/corpus/<name>` and at what chance makes of that.
pub(crate) fn check(name: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{name} has no inputs: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort_unstable();
    let seeds: Vec<Input> = paths
        .iter()
        .map(|path| Input(fs::read(path).unwrap()))
        .collect();
    for seed in &seeds {
        holds(&seed.0);
    }
    let default = ProptestConfig::default();
    let config = ProptestConfig {
        cases: default.cases.saturating_mul(INPUTS),
        failure_persistence: None,
        ..default
    };
    let edits = prop::collection::vec(edit(), 1..6);
    let inputs = (select(seeds), edits).prop_map(|(Input(mut data), edits)| {
        for edit in edits {
            edit.apply(&mut data);
        }
        Input(data)
    });
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, random)
        .run(&inputs, |Input(data)| {
            holds(&data);
            Ok(())
        })
        .unwrap_or_else(|broken| panic!("{name}: {broken}"));
}

//! What a policy masks in a call changes nothing that a decision depends on: of every request of a vendor's client that there is, with every word
//! masked that may be.

use std::fs;

use postern_crds::{
    egress_policy::MaskStyle,
    policy::{self, MaskItem},
};

use super::*;
use crate::{
    mask::{Masks, Unsendable, request},
    proxy::masking::says_the_same,
};

/// Masks every word and every number that can be one.
pub(in crate::dialect) fn every_word() -> Masks {
    let item = MaskItem {
        what: policy::Masked::Pattern {
            name: "W".to_owned(),
            regex: "[A-Za-z0-9_./:-]{1,64}".to_owned(),
        },
        style: MaskStyle::Label,
        enforce: true,
        restore: false,
    };
    let masks = policy::Masks {
        items: vec![item],
        ..policy::Masks::default()
    };
    Masks::of_requests(&masks).unwrap()
}

/// Every `.http` file.
fn all() -> Vec<(String, Sent)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/dialect/fixtures");
    let mut found: Vec<(String, Sent)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "http"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let dialect = match name.split('-').collect::<Vec<_>>()[..] {
                ["azure", ..] | ["langchain", "azure", ..] => Dialect::AzureOpenAi,
                ["anthropic", ..] => Dialect::Anthropic,
                ["gemini", ..] => Dialect::Gemini,
                _ => Dialect::OpenAi,
            };
            (name, Sent::parse(dialect, &fs::read(path).unwrap()))
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[test]
fn a_masked_call_says_what_it_said() {
    let masks = every_word();
    let (mut masked, mut wrong) = (0, Vec::new());
    for (name, sent) in all() {
        if sent.body.is_empty() {
            continue;
        }
        let changed = match request(&masks, sent.dialect, &sent.headers, &sent.body) {
            Ok(changed) => changed.body,
            Err(Unsendable::Type) => {
                assert!(!sent.body.starts_with(b"{"), "{name}");
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let Some(body) = changed else { continue };
        let again = Sent {
            body: body.to_vec(),
            ..sent.clone()
        };
        let before = sent.call();
        match again.read() {
            Ok(after) if says_the_same(&before, &after) => masked += 1,
            after => wrong.push(format!(
                "{name}: {}\n  {before:?}\n  {after:?}",
                String::from_utf8_lossy(&body)
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(masked > 20, "{masked}");
}

//! The CRDs in `crds/*.yaml`, and the copies that the chart installs, are what the Rust types say. `POSTERN_BLESS=1` writes them.

use std::{fs, path::Path};

use postern_crds::{definition, yaml};
use serde_json::Value;

/// Where `kubectl apply -f crds/` finds them, and where the chart does. Seen from this crate.
const PLACES: [&str; 2] = ["", "../charts/postern/files/crds"];

#[test]
fn custom_resource_definitions_are_current() {
    for crd in definition::all() {
        let name = crd.spec.names.plural.as_str();
        let text = format!(
            "# Generated from crds/src; to write it anew: POSTERN_BLESS=1 cargo test -p postern-crds --test generated\n{}",
            yaml::to_string(&definition::document(&crd)).unwrap()
        );
        for place in PLACES {
            let file = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(place)
                .join(format!("{name}.yaml"));
            if std::env::var_os("POSTERN_BLESS").is_some() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &text).unwrap();
            }
            let written = fs::read_to_string(&file).unwrap_or_default();
            assert!(
                written == text,
                "{} is not current: run this test with POSTERN_BLESS=1",
                file.display()
            );
        }
    }
}

#[test]
fn every_definition_is_built_in_as_it_is_installed() {
    let kinds: Vec<String> = definition::DOCUMENTS
        .iter()
        .map(|text| yaml::from_str::<Value>(text).unwrap()["spec"]["names"]["kind"].to_string())
        .collect();
    let all: Vec<String> = definition::all()
        .iter()
        .map(|crd| format!("{:?}", crd.spec.names.kind))
        .collect();
    assert_eq!(kinds, all);
}

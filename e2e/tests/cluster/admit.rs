//! Does the API server accept what is right and refuse what is wrong, each rule of the schemas?

use std::{fs, thread};

use anyhow::{Context, Result};
use postern_crds::yaml;
use postern_e2e::{Namespace, house};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Turn, ground, talk};

/// One resource and what the API server should say of it.
#[derive(Deserialize)]
struct Case {
    name: String,
    /// `accept`, or a part of the refusal.
    expect: String,
    resource: Value,
}

/// Most of a `kubectl` is waiting.
const AT_ONCE: usize = 4;

#[test]
fn admit_each_rule_of_the_schemas_accepts_and_refuses() -> Result<()> {
    let _turn = Turn::shared();
    let namespace = Namespace::create(&ground()?.house.cluster, "admit")?;
    let cases = cases()?;
    assert!(cases.len() > 50, "only {} cases were found", cases.len());
    let share = cases.len().div_ceil(AT_ONCE);
    let wrong: Vec<String> = thread::scope(|scope| {
        let askers: Vec<_> = cases
            .chunks(share)
            .map(|share| {
                scope.spawn(|| {
                    share
                        .iter()
                        .filter_map(|case| ask(&namespace, case).err())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        askers
            .into_iter()
            .flat_map(|asker| asker.join().expect("asking does not panic"))
            .map(|error| format!("{error:#}"))
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn cases() -> Result<Vec<Case>> {
    let folder = house::root().join("crds/tests/admit");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        let read: Vec<Case> =
            yaml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        cases.extend(read);
    }
    Ok(cases)
}

/// Fails if the API server does not say of `case` what it should.
fn ask(namespace: &Namespace, case: &Case) -> Result<()> {
    let mut command = namespace.kubectl_command();
    // Not `apply`: what a server-side apply says of unknown fields is its own.
    command.args([
        "create",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        "-",
    ]);
    let said = talk(&mut command, &case.resource.to_string())?;
    let Case { name, expect, .. } = case;
    match (expect.as_str(), said.success) {
        ("accept", true) => Ok(()),
        ("accept", false) => Err(anyhow::anyhow!("{name}: refused: {}", said.stderr)),
        (_, true) => Err(anyhow::anyhow!("{name}: accepted")),
        (part, false) if said.stderr.contains(part) => Ok(()),
        (part, false) => Err(anyhow::anyhow!(
            "{name}: refused without {part:?}: {}",
            said.stderr
        )),
    }
}

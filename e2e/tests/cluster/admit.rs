//! Does the API server accept what is right and refuse what is wrong, each rule of the schemas?

use std::fs;

use anyhow::{Context, Result};
use postern_crds::yaml;
use postern_e2e::{Namespace, house};
use serde::Deserialize;
use serde_json::Value;

use crate::support::ground;

/// One resource and what the API server should say of it.
#[derive(Deserialize)]
struct Case {
    name: String,
    /// `accept`, or a part of the refusal.
    expect: String,
    resource: Value,
}

#[test]
fn admit_each_rule_of_the_schemas_accepts_and_refuses() -> Result<()> {
    let namespace = Namespace::create(&ground().house.cluster, "admit")?;
    let folder = house::root().join("crds/tests/admit");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let cases: Vec<Case> = yaml::from_str(&fs::read_to_string(&path)?)
            .with_context(|| format!("reading {}", path.display()))?;
        for case in cases {
            count += 1;
            let answer = namespace.kubectl_with(
                &case.resource.to_string(),
                ["apply", "--dry-run=server", "--filename", "-"],
            );
            match (case.expect.as_str(), answer) {
                ("accept", Ok(_)) => {}
                ("accept", Err(error)) => wrong.push(format!("{}: refused: {error:#}", case.name)),
                (_, Ok(_)) => wrong.push(format!("{}: accepted", case.name)),
                (part, Err(error)) if !format!("{error:#}").contains(part) => wrong.push(format!(
                    "{}: refused without {part:?}: {error:#}",
                    case.name
                )),
                _ => {}
            }
        }
    }
    assert!(count > 20, "only {count} cases were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

//! Does each set of values render what its golden file says?

use std::{env, fs};

use anyhow::Result;
use postern_e2e::run;

use crate::helm::{
    NAMESPACE, RELEASE, chart, folder, helm, objects_with, template, template_with, value_sets,
};

/// The custom resource definitions are long and have a test of their own.
fn without_definitions(rendered: &str) -> String {
    rendered
        .split_inclusive("\n---\n")
        .filter(|document| !document.contains("\nkind: CustomResourceDefinition\n"))
        .collect()
}

/// The first lines that differ, with what stands before them.
fn difference(golden: &str, rendered: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (golden.lines().collect(), rendered.lines().collect());
    let same = old
        .iter()
        .zip(&new)
        .take_while(|(old, new)| old == new)
        .count();
    let show = |lines: &[&str], mark: &str| -> String {
        let end = lines.len().min(same + 8);
        lines[same.min(end)..end]
            .iter()
            .map(|line| format!("{mark} {line}\n"))
            .collect()
    };
    let before: String = new[same.saturating_sub(5)..same.min(new.len())]
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect();
    format!(
        "line {}:\n{before}{}{}",
        same + 1,
        show(&old, "-"),
        show(&new, "+")
    )
}

#[test]
fn each_value_set_renders_its_golden_file() -> Result<()> {
    let bless = env::var_os("POSTERN_BLESS").is_some();
    let mut wrong = Vec::new();
    for set in value_sets() {
        let rendered = without_definitions(&template_with(&set)?);
        let file = folder("golden").join(format!("{set}.yaml"));
        if bless {
            fs::write(&file, &rendered)?;
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        if golden != rendered {
            wrong.push(format!(
                "{} differs from {}",
                difference(&golden, &rendered),
                file.display()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "POSTERN_BLESS=1 writes them anew\n{}",
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn every_golden_file_has_its_value_set() -> Result<()> {
    for entry in fs::read_dir(folder("golden"))? {
        let name = entry?.file_name();
        assert!(
            folder("values").join(&name).exists(),
            "{} is of no value set",
            name.display()
        );
    }
    Ok(())
}

#[test]
fn rendered_twice_it_is_identical() -> Result<()> {
    for set in value_sets() {
        assert_eq!(template_with(&set)?, template_with(&set)?, "{set}");
    }
    Ok(())
}

#[test]
fn lint_finds_nothing_in_any_value_set() -> Result<()> {
    for set in value_sets() {
        let mut lint = helm();
        lint.args(["lint", "--strict", "--quiet"]).arg(chart());
        lint.arg("--values")
            .arg(folder("values").join(format!("{set}.yaml")));
        run::output(&mut lint)?;
    }
    Ok(())
}

#[test]
fn notes_name_what_was_installed() -> Result<()> {
    for set in value_sets() {
        let mut install = helm();
        install.args([
            "install",
            RELEASE,
            "--namespace",
            NAMESPACE,
            "--dry-run=client",
        ]);
        install.arg(chart());
        install
            .arg("--values")
            .arg(folder("values").join(format!("{set}.yaml")));
        let printed = run::output(&mut install)?;
        let (_, notes) = printed.split_once("\nNOTES:\n").expect("notes");
        for object in objects_with(&set) {
            if object.kind() == "Deployment" {
                let name = format!("deployment/{}", object.name());
                assert!(notes.contains(&name), "{set}: {notes}");
            }
        }
    }
    Ok(())
}

/// Values that a release of an earlier chart does not have, as `helm upgrade --reuse-values` then brings none. All of them, and each.
const LATER: [&str; 15] = [
    "admissionPolicies,stores,networkPolicy.stores,metrics.prometheusRule",
    "admissionPolicies",
    "admissionPolicies.enabled",
    "admissionPolicies.debuggers",
    "stores",
    "stores.enabled",
    "stores.secrets",
    "stores.configMaps",
    "stores.events",
    "stores.events.tokenSecret",
    "stores.events.tokenKey",
    "networkPolicy.stores",
    "networkPolicy.stores.ports",
    "networkPolicy.stores.cidrs",
    "metrics.prometheusRule",
];

#[test]
fn values_that_an_earlier_release_does_not_have_are_as_by_default() -> Result<()> {
    let expected = template_with("defaults")?;
    for names in LATER {
        let without: Vec<String> = names
            .split(',')
            .map(|name| format!("{name}=null"))
            .collect();
        let rendered = template(&["--set", &without.join(",")])?;
        assert!(
            rendered == expected,
            "without {names}: {}",
            difference(&expected, &rendered)
        );
    }
    let enabled = "metrics.prometheusRule.enabled=true";
    let expected = template(&["--set", enabled])?;
    for name in ["thresholds", "thresholds.denialsPerMinute"] {
        let without = format!("{enabled},metrics.prometheusRule.{name}=null");
        assert_eq!(template(&["--set", &without])?, expected, "{name}");
    }
    Ok(())
}

//! Do the alerts fire when they should, and only then? Prometheus's own `promtool` reads and evaluates them.

use std::{fs, path::Path, path::PathBuf, process::Command, sync::OnceLock};

use anyhow::Result;
use postern_crds::yaml;
use postern_e2e::{Cache, packages, run};

use crate::helm::{Object, folder, objects, objects_with, value_sets};

/// Runs `promtool` in a directory.
fn promtool(directory: &Path, arguments: &[&str]) -> Result<String> {
    static PROMTOOL: OnceLock<PathBuf> = OnceLock::new();
    let promtool = PROMTOOL.get_or_init(|| {
        let cache = Cache::open().expect("opening the cache");
        let why = "reads and evaluates the chart's alerts";
        packages::program(&cache, "prometheus", "usr/bin/promtool", why).expect("getting promtool")
    });
    run::output(
        Command::new(promtool)
            .args(arguments)
            .current_dir(directory),
    )
}

/// Writes the rules of the objects as Prometheus has them, if there are any.
fn write(objects: &[Object], directory: &Path) -> Result<bool> {
    let rule = objects
        .iter()
        .find(|object| object.kind() == "PrometheusRule");
    let Some(rule) = rule else {
        return Ok(false);
    };
    fs::write(
        directory.join("rules.yaml"),
        yaml::to_string(&rule.0["spec"])?,
    )?;
    Ok(true)
}

#[test]
fn prometheus_takes_the_alerts_of_every_value_set() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut count = 0;
    for set in value_sets() {
        if write(&objects_with(&set), directory.path())? {
            promtool(directory.path(), &["check", "rules", "rules.yaml"])?;
            count += 1;
        }
    }
    assert!(count > 0);
    Ok(())
}

#[test]
fn alerts_fire_when_they_should_and_only_then() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let rule = "metrics.prometheusRule";
    let rendered = objects(&[
        "--set",
        &format!("{rule}.enabled=true"),
        "--set",
        &format!("{rule}.thresholds.dollarsPerHour=5"),
    ]);
    assert!(write(&rendered, directory.path())?);
    fs::copy(folder("alerts.yaml"), directory.path().join("alerts.yaml"))?;
    promtool(directory.path(), &["test", "rules", "alerts.yaml"])?;
    Ok(())
}

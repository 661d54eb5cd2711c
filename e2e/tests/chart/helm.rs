//! Renders the chart with Helm.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::Result;
use postern_crds::yaml;
use postern_e2e::{Cache, Tools, house, run};
use serde_json::Value;

/// Name of the release in every rendering.
pub(crate) const RELEASE: &str = "postern";
/// Namespace of the release in every rendering.
pub(crate) const NAMESPACE: &str = "postern-system";

/// Where the chart is.
pub(crate) fn chart() -> PathBuf {
    house::root().join("charts/postern")
}

/// A folder of these tests.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/chart")
        .join(name)
}

/// Names of the value sets in `values/`, in order.
pub(crate) fn value_sets() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder("values"))
        .expect("the value sets")
        .map(|entry| entry.expect("a value set").path())
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// A Helm that knows of no cluster.
pub(crate) fn helm() -> Command {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let helm = HELM.get_or_init(|| {
        let cache = Cache::open().expect("opening the cache");
        Tools::helm(&cache).expect("building Helm")
    });
    let mut command = Command::new(helm);
    command.env("KUBECONFIG", "/dev/null");
    command
}

/// What `helm template` prints with more `arguments`.
pub(crate) fn template<S: AsRef<str>>(arguments: &[S]) -> Result<String> {
    let mut command = helm();
    command
        .args(["template", RELEASE, "--namespace", NAMESPACE])
        .arg(chart());
    command.args(arguments.iter().map(AsRef::as_ref));
    run::output(&mut command)
}

/// What the chart renders with one of the value sets.
pub(crate) fn template_with(set: &str) -> Result<String> {
    let file = folder("values").join(format!("{set}.yaml"));
    template(&["--values", &file.to_string_lossy()])
}

/// The objects that the chart renders with more `arguments`.
pub(crate) fn objects<S: AsRef<str>>(arguments: &[S]) -> Vec<Object> {
    parse(&template(arguments).expect("the chart renders"))
}

/// The objects that the chart renders with one of the value sets.
pub(crate) fn objects_with(set: &str) -> Vec<Object> {
    parse(&template_with(set).unwrap_or_else(|error| panic!("{set}: {error:#}")))
}

fn parse(rendered: &str) -> Vec<Object> {
    yaml::from_multiple::<Value>(rendered)
        .expect("Helm prints YAML")
        .into_iter()
        .filter(|value| !value.is_null())
        .map(Object)
        .collect()
}

/// One rendered object.
pub(crate) struct Object(pub(crate) Value);

impl Object {
    pub(crate) fn kind(&self) -> &str {
        self.0["kind"].as_str().expect("an object has a kind")
    }

    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"]
            .as_str()
            .expect("an object has a name")
    }

    /// The pod that it is, or is the template of.
    pub(crate) fn pod(&self) -> Option<(&Value, &Value)> {
        match self.kind() {
            "Pod" => Some((&self.0["metadata"], &self.0["spec"])),
            "Deployment" => {
                let template = &self.0["spec"]["template"];
                Some((&template["metadata"], &template["spec"]))
            }
            _ => None,
        }
    }

    /// Its rules, if it is a role.
    pub(crate) fn rules(&self) -> &[Value] {
        match self.kind() {
            "Role" | "ClusterRole" => list(&self.0["rules"]),
            _ => &[],
        }
    }
}

/// The one object of this kind and name.
pub(crate) fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object.kind() == kind && object.name() == name);
    let object = found
        .next()
        .unwrap_or_else(|| panic!("there is no {kind} {name}"));
    assert!(found.next().is_none(), "there are two {kind} {name}");
    &object.0
}

/// The items of a list; none if it is absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The strings of a list.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    list(value)
        .iter()
        .map(|item| item.as_str().expect("a string"))
        .collect()
}

//! Reads golden files. The unit tests of masks have theirs read here too.

use std::{fs, path::Path};

use postern_crds::yaml;
use serde::de::DeserializeOwned;

/// All files of `folder`, which is below this crate's, by name.
pub(crate) fn all<T: DeserializeOwned>(folder: &str) -> Vec<(String, T)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut goldens: Vec<(String, T)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let golden = yaml::from_str(&fs::read_to_string(&path).unwrap());
            (
                name.clone(),
                golden.unwrap_or_else(|error| panic!("{name}: {error}")),
            )
        })
        .collect();
    goldens.sort_by(|one, other| one.0.cmp(&other.0));
    goldens
}

//! Reads the files that `-f` names: files, folders (not the folders in them, as kubectl does without `-R`), and `-` for standard input.

use std::{
    ffi::OsStr,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use postern_crds::Violation;
use zeroize::Zeroizing;

use super::document::Documents;

/// What kubectl takes from a folder.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads everything at `paths`.
///
/// # Errors
/// Every problem of every file at once.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Documents, Vec<Violation>> {
    let mut documents = Documents::default();
    let mut violations = Vec::new();
    for path in paths {
        match files(path) {
            Ok(files) => {
                for file in files {
                    if let Err(found) = read_file(&file, &mut documents) {
                        violations.extend(found);
                    }
                }
            }
            Err(violation) => violations.push(violation),
        }
    }
    if violations.is_empty() {
        Ok(documents)
    } else {
        Err(violations)
    }
}

/// The files that `path` means, in the order of their names.
///
/// # Errors
/// A path that cannot be read, or a folder without such files.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, Violation> {
    let unreadable = |error: io::Error| {
        Violation::new(
            path.display().to_string(),
            format!("cannot be read: {error}"),
        )
    };
    if path == Path::new("-") || !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let is_wanted = file
            .extension()
            .and_then(OsStr::to_str)
            .is_some_and(|extension| EXTENSIONS.contains(&extension));
        if is_wanted && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Violation::new(
            path.display().to_string(),
            "has no .yaml, .yml or .json file in it",
        ));
    }
    files.sort();
    Ok(files)
}

fn read_file(file: &Path, documents: &mut Documents) -> Result<(), Vec<Violation>> {
    let name = file.display().to_string();
    let bytes = if name == "-" {
        let mut bytes = Zeroizing::new(Vec::new());
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file).map(Zeroizing::new)
    };
    let bytes =
        bytes.map_err(|error| vec![Violation::new(&name, format!("cannot be read: {error}"))])?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| vec![Violation::new(&name, "is not UTF-8 text")])?;
    documents.add(if name == "-" { "standard input" } else { &name }, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\n";

    fn names(documents: &Documents) -> Vec<&str> {
        documents
            .taken
            .iter()
            .map(|document| document.name.as_str())
            .collect()
    }

    #[test]
    fn a_folder_is_its_own_yaml_and_json_files_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            fs::write(
                folder.path().join(name),
                CONFIG_MAP.replace("NAME", &name.replace('.', "-")),
            )
            .unwrap();
        };
        ["b.yml", "a.yaml", "c.json", "d.txt", "e.yaml.bak"]
            .into_iter()
            .for_each(write);
        fs::create_dir(folder.path().join("deeper.yaml")).unwrap();
        write("deeper.yaml/f.yaml");
        assert_eq!(
            names(&read(&[folder.path().to_owned()]).unwrap()),
            ["a-yaml", "b-yml", "c-json"]
        );
    }

    #[test]
    fn a_file_is_read_whatever_its_extension() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy");
        fs::write(&file, CONFIG_MAP.replace("NAME", "x")).unwrap();
        assert_eq!(names(&read(&[file]).unwrap()), ["x"]);
    }

    #[test]
    fn every_file_that_cannot_be_read_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        fs::create_dir(&empty).unwrap();
        let bytes = folder.path().join("bytes.yaml");
        fs::write(&bytes, [0xff, 0xfe]).unwrap();
        let broken = folder.path().join("broken.yaml");
        fs::write(&broken, "a: [").unwrap();
        let violations = read(&[folder.path().join("absent"), empty, bytes, broken]).unwrap_err();
        let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert_eq!(messages.len(), 4, "{messages:?}");
        assert!(
            messages[0].contains("absent: cannot be read"),
            "{messages:?}"
        );
        assert!(
            messages[1].ends_with("empty: has no .yaml, .yml or .json file in it"),
            "{messages:?}"
        );
        assert!(
            messages[2].ends_with("bytes.yaml: is not UTF-8 text"),
            "{messages:?}"
        );
        assert!(messages[3].contains("broken.yaml:1:"), "{messages:?}");
    }
}

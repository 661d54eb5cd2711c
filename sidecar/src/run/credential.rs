//! `--credential NAME=env:VAR` and `--credential NAME=file:PATH`: a credential's secret from somewhere else than the folder.

use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf};

use postern_crds::{Secret, Violation, bundle::VersionedSecret};

/// The variables of this process, as they were when it started.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// Where the secret of one credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Override {
    /// The credential's name.
    pub(crate) credential: String,
    /// Where its secret is.
    pub(crate) place: Place,
}

/// A place that a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A variable of our own environment. The child does not inherit it.
    Env(String),
    /// A file.
    File(PathBuf),
}

/// Reads the flags.
///
/// # Errors
/// Every flag that is not of the form above. It is not quoted beyond the credential's name: what stands there may be the key itself.
pub(crate) fn parse(flags: &[String]) -> Result<Vec<Override>, Vec<Violation>> {
    let mut overrides: Vec<Override> = Vec::new();
    let mut violations = Vec::new();
    for flag in flags {
        let (credential, place) = flag.split_once('=').unwrap_or(("", ""));
        let place = match place.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Place::Env(name.to_owned()),
            Some(("file", path)) if !path.is_empty() => Place::File(path.into()),
            _ => {
                violations.push(Violation::new(
                    format!("--credential {credential}"),
                    "write NAME=env:VARIABLE or NAME=file:PATH; a key itself is not taken here, since the list of processes and the shell's \
                     history would show it",
                ));
                continue;
            }
        };
        if overrides
            .iter()
            .any(|earlier| earlier.credential == credential)
        {
            violations.push(Violation::new(
                format!("--credential {credential}"),
                "is given twice",
            ));
        }
        overrides.push(Override {
            credential: credential.to_owned(),
            place,
        });
    }
    if violations.is_empty() {
        Ok(overrides)
    } else {
        Err(violations)
    }
}

/// Reads the values themselves, by the credential's name. Whether they can be its secret is seen once the credential is known.
///
/// # Errors
/// Every one that cannot be read.
pub(crate) fn resolve(
    overrides: &[Override],
    environment: &Environment,
) -> Result<BTreeMap<String, VersionedSecret>, Vec<Violation>> {
    let mut secrets = BTreeMap::new();
    let mut violations = Vec::new();
    for Override { credential, place } in overrides {
        let (value, version) = match place {
            Place::Env(name) => (from_environment(name, environment), format!("env/{name}")),
            Place::File(path) => (
                fs::read(path)
                    .map_err(|error| format!("{} cannot be read: {error}", path.display())),
                format!("file/{}", path.display()),
            ),
        };
        match value {
            Ok(value) => {
                let value = Secret::new(value);
                secrets.insert(credential.clone(), VersionedSecret { value, version });
            }
            Err(message) => violations.push(Violation::new(
                format!("--credential {credential}"),
                message,
            )),
        }
    }
    if violations.is_empty() {
        Ok(secrets)
    } else {
        Err(violations)
    }
}

fn from_environment(name: &str, environment: &Environment) -> Result<Vec<u8>, String> {
    match environment.get(std::ffi::OsStr::new(name)) {
        Some(value) => Ok(value.as_encoded_bytes().to_vec()),
        None => Err(format!(
            "the environment has no variable {name}; export it before the call, or use file:PATH"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(flags: &[&str]) -> Result<Vec<Override>, Vec<Violation>> {
        parse(
            &flags
                .iter()
                .map(|flag| (*flag).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_variable_or_a_file() {
        let overrides = parsed(&["openai=env:MY_KEY", "crm=file:/run/a=b:c"]).unwrap();
        assert_eq!(overrides[0].place, Place::Env("MY_KEY".to_owned()));
        assert_eq!(overrides[1].place, Place::File("/run/a=b:c".into()));
    }

    #[test]
    fn a_key_in_place_of_its_source_is_refused_and_not_repeated() {
        let violations = parsed(&[
            "openai=sk-live",
            "sk-live",
            "openai=env:",
            "openai=sk-live:a",
        ])
        .unwrap_err();
        assert_eq!(violations.len(), 4);
        for violation in violations {
            assert!(!violation.to_string().contains("sk-live"), "{violation}");
        }
    }

    #[test]
    fn two_sources_for_one_credential_are_refused() {
        assert!(parsed(&["a=env:A", "a=env:B"]).is_err());
    }

    #[test]
    fn every_source_that_gives_nothing_is_reported() {
        let overrides = parsed(&["a=env:ABSENT", "b=env:THERE", "c=file:/does/not/exist"]).unwrap();
        let environment = Environment::from([("THERE".into(), "sk-live".into())]);
        let violations = resolve(&overrides, &environment).unwrap_err();
        let paths: Vec<&str> = violations.iter().map(|v| v.path.as_str()).collect();
        assert_eq!(paths, ["--credential a", "--credential c"]);
    }

    #[test]
    fn a_file_and_a_variable_give_their_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "sk-file").unwrap();
        let overrides = [
            Override {
                credential: "a".to_owned(),
                place: Place::File(file),
            },
            Override {
                credential: "b".to_owned(),
                place: Place::Env("KEY".to_owned()),
            },
        ];
        let environment = Environment::from([("KEY".into(), "sk-env".into())]);
        let secrets = resolve(&overrides, &environment).unwrap();
        assert_eq!(secrets["a"].value.expose(), b"sk-file");
        assert_eq!(secrets["b"].value.expose(), b"sk-env");
    }
}

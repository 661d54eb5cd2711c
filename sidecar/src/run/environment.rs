//! The environment of the child: what a pod's container would get, and none of the keys that we hold. Pure.

use std::{collections::BTreeMap, ffi::OsString};

use postern_crds::{
    Secret,
    provider::{self, Carries},
    route::Variable,
};

use super::credential::Environment;

/// A secret shorter than this is not searched for in other variables: it would be found in innocent ones.
const SHORTEST_SEARCHED: usize = 8;

/// By which a client may be led to a proxy for `http://` addresses.
const PROXIES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// Why one variable of ours is not in the child's environment as it is in ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Composed {
    /// All variables of the child.
    pub(crate) variables: Environment,
    /// What somebody should know of them.
    pub(crate) notes: Vec<String>,
}

/// The child's environment.
///
/// - `parent` is our own; all of it is inherited but what follows.
/// - `variables` lead the providers' clients to us: a key is always replaced by its placeholder, an address that is there already is kept and
///   reported, as in a pod.
/// - `sources` are variables that a credential was read from; the child must not have them.
/// - a variable that holds one of `secrets`, whatever its name, is left out.
pub(crate) fn compose(
    parent: &Environment,
    variables: &[Variable],
    port: u16,
    sources: &[&str],
    secrets: &[&Secret],
) -> Composed {
    let mut child = parent.clone();
    let mut notes = Vec::new();
    for source in sources {
        child.remove(std::ffi::OsStr::new(source));
    }
    for variable in variables {
        set(&mut child, variable, port, sources, &mut notes);
    }
    let held: Vec<OsString> = child
        .iter()
        .filter(|(_, value)| {
            secrets
                .iter()
                .any(|secret| holds(value.as_encoded_bytes(), secret.expose()))
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in held {
        child.remove(&name);
        notes.push(format!(
            "{} is not passed on: it holds a credential of the identity",
            name.display()
        ));
    }
    let foreign = keys_of_other_vendors(&child, variables);
    if !foreign.is_empty() {
        notes.push(format!(
            "the program holds these keys itself, since the identity has no credential for them: {}",
            foreign.join(", ")
        ));
    }
    bypass_proxies(&mut child);
    Composed {
        variables: child,
        notes,
    }
}

/// One variable by the table of [`Variable`].
fn set(
    child: &mut Environment,
    variable: &Variable,
    port: u16,
    sources: &[&str],
    notes: &mut Vec<String>,
) {
    let Variable {
        name,
        value,
        carries,
        only_if_present,
        credential,
    } = variable;
    let present = child
        .get(std::ffi::OsStr::new(name))
        .filter(|present| !present.is_empty());
    match (present, carries) {
        (None, _) if *only_if_present => {}
        (None, _) => {
            child.insert(name.into(), value.into());
        }
        (Some(present), Carries::Key) => {
            if present.as_os_str() != value.as_str() && !sources.contains(&name.as_str()) {
                notes.push(format!("{name} of your environment is hidden from the program: it gets a placeholder, and the calls get credential {credential}"));
            }
            child.insert(name.into(), value.into());
        }
        (Some(present), Carries::Address) => {
            if !leads_to_us(&present.to_string_lossy(), port) {
                notes.push(format!("{name} of your environment leads past postern and is kept, as in a pod; unset it, or set it to {value}"));
            }
        }
        (Some(_), Carries::Setting) => {}
    }
}

fn leads_to_us(address: &str, port: u16) -> bool {
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .filter_map(|host| address.strip_prefix(&format!("http://{host}:{port}")))
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn holds(value: &[u8], secret: &[u8]) -> bool {
    secret.len() >= SHORTEST_SEARCHED && value.windows(secret.len()).any(|window| window == secret)
}

/// Variables of the registry that carry a key and that none of the identity's credentials owns.
fn keys_of_other_vendors(child: &Environment, variables: &[Variable]) -> Vec<String> {
    let mut names: Vec<String> = provider::all()
        .iter()
        .flat_map(|provider| &provider.environment)
        .filter(|entry| {
            entry.carries == Carries::Key
                && !variables.iter().any(|variable| variable.name == entry.name)
        })
        .filter(|entry| {
            child
                .get(std::ffi::OsStr::new(&entry.name))
                .is_some_and(|value| !value.is_empty())
        })
        .map(|entry| entry.name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Where a proxy is set for all that is `http://`, calls to us must not go there: a laptop's company proxy cannot reach this machine's
/// 127.0.0.1, and is no place for a prompt. A pod has no such variables unless its author sets them.
fn bypass_proxies(child: &mut Environment) {
    if !PROXIES
        .iter()
        .any(|name| child.contains_key(std::ffi::OsStr::new(name)))
    {
        return;
    }
    let mut lists = BTreeMap::new();
    for name in ["no_proxy", "NO_PROXY"] {
        if let Some(list) = child.get(std::ffi::OsStr::new(name)) {
            lists.insert(name, list.clone());
        }
    }
    // Clients read the one or the other; without both, the list that is there stands for both.
    let inherited = lists.values().next().cloned().unwrap_or_default();
    for name in ["no_proxy", "NO_PROXY"] {
        let mut list = lists.remove(name).unwrap_or_else(|| inherited.clone());
        if !list.is_empty() {
            list.push(",");
        }
        list.push("127.0.0.1");
        child.insert(name.into(), list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 4711;

    fn variable(name: &str, carries: Carries, only_if_present: bool) -> Variable {
        Variable {
            name: name.to_owned(),
            value: match carries {
                Carries::Key => "sk-proj-postern-1".to_owned(),
                Carries::Address => format!("http://127.0.0.1:{PORT}/openai/v1"),
                Carries::Setting => "eu-central-1".to_owned(),
            },
            carries,
            only_if_present,
            credential: "openai".to_owned(),
        }
    }

    fn openai() -> Vec<Variable> {
        vec![
            variable("OPENAI_BASE_URL", Carries::Address, false),
            variable("OPENAI_API_KEY", Carries::Key, false),
            variable("OPENAI_API_BASE", Carries::Address, true),
            variable("OPENAI_OLD_KEY", Carries::Key, true),
        ]
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    fn composed(parent: &[(&str, &str)], sources: &[&str], secrets: &[&Secret]) -> Composed {
        compose(&environment(parent), &openai(), PORT, sources, secrets)
    }

    #[test]
    fn the_program_gets_what_a_pods_container_gets_beside_its_own() {
        let Composed { variables, notes } = composed(&[("HOME", "/home/a")], &[], &[]);
        assert_eq!(
            variables,
            environment(&[
                ("HOME", "/home/a"),
                ("OPENAI_API_KEY", "sk-proj-postern-1"),
                ("OPENAI_BASE_URL", "http://127.0.0.1:4711/openai/v1")
            ])
        );
        assert_eq!(notes, Vec::<String>::new());
    }

    #[test]
    fn a_providers_keys_are_always_replaced() {
        let Composed { variables, notes } = composed(
            &[("OPENAI_API_KEY", "sk-a"), ("OPENAI_OLD_KEY", "sk-b")],
            &[],
            &[],
        );
        assert_eq!(
            variables[&OsString::from("OPENAI_API_KEY")],
            "sk-proj-postern-1"
        );
        assert_eq!(
            variables[&OsString::from("OPENAI_OLD_KEY")],
            "sk-proj-postern-1"
        );
        assert_eq!(notes.len(), 2);
        assert!(!format!("{notes:?}").contains("sk-"), "{notes:?}");
    }

    #[test]
    fn an_address_that_leads_elsewhere_is_kept_and_reported() {
        let elsewhere = [
            ("OPENAI_BASE_URL", "https://gw.example/v1"),
            ("OPENAI_API_BASE", "http://127.0.0.1:47110/openai"),
        ];
        let Composed { variables, notes } = composed(&elsewhere, &[], &[]);
        assert_eq!(
            variables[&OsString::from("OPENAI_BASE_URL")],
            "https://gw.example/v1"
        );
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0].ends_with("set it to http://127.0.0.1:4711/openai/v1"),
            "{notes:?}"
        );
    }

    #[test]
    fn an_address_that_leads_to_us_is_kept_without_a_word_and_an_empty_one_is_none() {
        let Composed { variables, notes } = composed(
            &[
                ("OPENAI_API_BASE", "http://localhost:4711/openai"),
                ("OPENAI_BASE_URL", ""),
            ],
            &[],
            &[],
        );
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(
            variables[&OsString::from("OPENAI_BASE_URL")],
            "http://127.0.0.1:4711/openai/v1"
        );
    }

    #[test]
    fn the_source_of_a_credential_is_not_passed_on() {
        let Composed { variables, notes } = composed(
            &[("MY_KEY", "sk-a"), ("OPENAI_API_KEY", "sk-b")],
            &["MY_KEY", "OPENAI_API_KEY"],
            &[],
        );
        assert!(!variables.contains_key(&OsString::from("MY_KEY")));
        assert_eq!(
            variables[&OsString::from("OPENAI_API_KEY")],
            "sk-proj-postern-1"
        );
        assert_eq!(notes, Vec::<String>::new(), "it was asked for");
    }

    #[test]
    fn a_variable_that_holds_a_credential_is_not_passed_on() {
        let secret = Secret::new(b"sk-live-1".to_vec());
        let short = Secret::new(b"a".to_vec());
        let parent = [("DSN", "postgres://u:sk-live-1@db"), ("HOME", "/home/a")];
        let Composed { variables, notes } = composed(&parent, &[], &[&secret, &short]);
        assert!(!variables.contains_key(&OsString::from("DSN")));
        assert!(variables.contains_key(&OsString::from("HOME")));
        assert_eq!(
            notes,
            ["DSN is not passed on: it holds a credential of the identity"]
        );
    }

    #[test]
    fn keys_of_vendors_without_a_credential_are_named() {
        let Composed { variables, notes } = composed(
            &[("ANTHROPIC_API_KEY", "sk-ant"), ("TAVILY_API_KEY", "")],
            &[],
            &[],
        );
        assert_eq!(variables[&OsString::from("ANTHROPIC_API_KEY")], "sk-ant");
        assert_eq!(
            notes,
            [
                "the program holds these keys itself, since the identity has no credential for them: ANTHROPIC_API_KEY"
            ]
        );
    }

    #[test]
    fn calls_to_us_do_not_go_through_a_proxy() {
        let none = composed(&[("NO_PROXY", "a")], &[], &[]);
        assert_eq!(
            none.variables[&OsString::from("NO_PROXY")],
            "a",
            "there is no proxy"
        );
        let https = composed(&[("https_proxy", "http://proxy:3128")], &[], &[]);
        assert!(
            !https.variables.contains_key(&OsString::from("no_proxy")),
            "it is not for http:// addresses"
        );
        let both = composed(
            &[
                ("HTTP_PROXY", "http://proxy:3128"),
                ("NO_PROXY", "corp.example"),
            ],
            &[],
            &[],
        );
        assert_eq!(
            both.variables[&OsString::from("NO_PROXY")],
            "corp.example,127.0.0.1"
        );
        assert_eq!(
            both.variables[&OsString::from("no_proxy")],
            "corp.example,127.0.0.1"
        );
        let fresh = composed(&[("all_proxy", "socks5://proxy")], &[], &[]);
        assert_eq!(fresh.variables[&OsString::from("no_proxy")], "127.0.0.1");
    }
}

//! What Postern knows about each vendor, as data: one file a vendor in `crds/providers/`.

use std::sync::LazyLock;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::agent_identity::Inject;

/// One vendor's API: where it is, how it wants its key, and what its clients read from the environment.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// The registry name, as in `provider: openai`.
    pub name: String,
    /// The vendor's name for people.
    pub title: String,
    /// The vendor in the vocabulary of OpenTelemetry's conventions for generative AI (`gen_ai.provider.name`), where that is another word.
    #[serde(default)]
    pub telemetry_name: Option<String>,
    /// The vendor's page that says how requests are authenticated.
    pub docs: String,
    /// The API's host; absent where every customer has an own one, so that `endpoint` is required.
    #[serde(default)]
    pub host: Option<String>,
    /// What every path of the API starts with, as in `/v1`: put in front of a caller's path that lacks it, and once only where a caller
    /// doubles it, so that a base URL works with and without it. May be empty.
    #[serde(default)]
    pub base_path: String,
    /// Whether this vendor's clients expect a base URL to end in `base_path` (OpenAI's do, Anthropic's do not). It says how the path of
    /// an `endpoint` is read, so that users write there what they would write into the vendor's base-URL variable: where it is true, the
    /// endpoint's path stands in place of `base_path` (`https://gw/llm/v1`); where it is false, in front of it (`https://gw/llm`), unless it
    /// ends with it already. An endpoint without a path always means `base_path`.
    #[serde(default)]
    pub base_url_has_base_path: bool,
    /// The wire format: which shape an error has, and how a call is read.
    pub dialect: Dialect,
    /// How the key is put into a request.
    pub inject: Inject,
    /// A key that is shaped like a real one, with `{}` where 32 hexadecimal digits go.
    pub placeholder: String,
    /// First segment of the layout that `LANGSMITH_GATEWAY` uses (`openai` for `<base>/openai/v1`), if LangChain routes this vendor by it.
    /// Vendors that are called through the same clients share it.
    #[serde(default)]
    pub gateway: Option<String>,
    /// Whether streams of chat and text completions in OpenAI's format say what they used.
    #[serde(default)]
    pub stream_usage: StreamUsage,
    /// Environment variables of the vendor's Python and JavaScript clients.
    #[serde(default)]
    pub environment: Vec<Variable>,
}

/// One environment variable of a vendor's client.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub carries: Carries,
    /// Its value in an injected container: `{route}` is the credential's base URL, `{placeholder}` its placeholder key, `{region}` the region
    /// that its requests are signed for.
    pub value: String,
    /// Never set where the container does not set it: another name for the same thing, which wins over ours or does harm when set.
    #[serde(default)]
    pub only_if_present: bool,
}

/// What an environment variable carries.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A key. A value that the pod sets is replaced, with a warning.
    Key,
    /// An address. A value that the pod sets is kept, and reported when it points past the sidecar; `value` is then what to advise.
    Address,
    /// Something else without which a client does not start. A value that the pod sets is kept.
    Setting,
}

/// Whether a stream says what it used.
#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamUsage {
    /// Where it is asked with `stream_options.include_usage`.
    Ask,
    /// Unasked.
    Always,
    /// It does not, or it is not known to understand the question, which may make it refuse the call.
    #[default]
    Never,
}

/// A vendor's wire format.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// OpenAI and all that speak its format.
    OpenAi,
    /// OpenAI's format, but an error's `code` is a number: OpenRouter's SDK hides the message of any other error.
    OpenRouter,
    /// Anthropic messages.
    Anthropic,
    /// Google's Generative Language API, and Vertex AI's.
    Gemini,
    /// Azure OpenAI: OpenAI's format, with the deployment in the path.
    AzureOpenAi,
    /// AWS Bedrock's runtime.
    Bedrock,
    /// Mistral: OpenAI's format but for some operations of its own.
    Mistral,
    /// Cohere.
    Cohere,
    /// Ollama's native API, and the one like OpenAI's beside it.
    Ollama,
    /// Pinecone.
    Pinecone,
    /// Qdrant.
    Qdrant,
    /// Weaviate.
    Weaviate,
    /// Anything else: plain HTTP with JSON errors.
    Plain,
}

/// The registry, sorted by name. All files are read at the first use, which takes about a millisecond.
static REGISTRY: LazyLock<Vec<Provider>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(
            |(file, text)| match crate::yaml::from_str::<Provider>(text) {
                Ok(provider) => provider,
                Err(error) => {
                    unreachable!("providers/{file} is compiled in and a test reads it: {error}")
                }
            },
        )
        .collect()
});

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../providers/", $name, ".yaml")))),*]
    };
}

/// The vendors' files, sorted by name.
const FILES: &[(&str, &str)] = files![
    "anthropic",
    "azure-openai",
    "bedrock",
    "cohere",
    "deepseek",
    "fireworks",
    "gemini",
    "groq",
    "jina",
    "langsmith",
    "mistral",
    "ollama",
    "openai",
    "openrouter",
    "perplexity",
    "pinecone",
    "pinecone-index",
    "qdrant",
    "tavily",
    "together",
    "vertex",
    "vllm",
    "voyage",
    "weaviate",
    "xai",
];

/// The vendor called `name`.
pub fn find(name: &str) -> Option<&'static Provider> {
    REGISTRY.iter().find(|provider| provider.name == name)
}

/// All vendors, sorted by name.
pub fn all() -> &'static [Provider] {
    &REGISTRY
}

/// The schema of a vendor's name: one of the registry's.
pub fn name_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    json_schema!({ "type": "string", "enum": names })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_file_is_in_the_list_and_named_after_its_vendor() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/providers");
        let on_disk: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert!(FILES.is_sorted());
        let listed = FILES.iter().map(|(name, _)| format!("{name}.yaml"));
        assert_eq!(on_disk, listed.collect());
        for ((file, _), provider) in FILES.iter().zip(all()) {
            assert_eq!(*file, provider.name);
        }
    }

    #[test]
    fn every_entry_is_well_formed() {
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        for provider in all() {
            let name = &provider.name;
            assert!(is_name(name), "{name}");
            assert!(!provider.title.is_empty(), "{name}");
            assert!(provider.docs.starts_with("https://"), "{name}");
            // Nor an address or `localhost`, which only a user may name: see the sidecar's check of addresses.
            assert!(
                provider.host.as_deref().is_none_or(|host| {
                    !host.contains(['/', ':', '@'])
                        && host.ends_with(|last: char| last.is_ascii_alphabetic())
                        && host.contains('.')
                        && !host.ends_with(".localhost")
                }),
                "{name}"
            );
            assert!(provider.gateway.as_deref().is_none_or(is_name), "{name}");
            let base = &provider.base_path;
            assert!(
                base.is_empty()
                    || base.starts_with('/') && !base.ends_with('/') && !base.contains("//"),
                "{name}: {base}"
            );
            assert_eq!(provider.inject.count(), 1, "{name}");
        }
    }

    #[test]
    fn every_placeholder_is_recognisable_and_switches_nothing() {
        for Provider {
            name, placeholder, ..
        } in all()
        {
            assert_eq!(
                placeholder.matches("{}").count(),
                1,
                "{name}: {placeholder}"
            );
            assert!(
                placeholder.ends_with("postern-{}"),
                "{name}: a person sees what it is: {placeholder}"
            );
            assert!(
                placeholder.bytes().all(|b| b.is_ascii_graphic()),
                "{name}: {placeholder}"
            );
            // LangChain takes the first for a key of its own gateway; Voyage's client takes the second for one of MongoDB's.
            assert!(
                !placeholder.starts_with("lsv2_") && !placeholder.starts_with("al-"),
                "{name}: {placeholder}"
            );
        }
    }

    #[test]
    fn a_gateway_name_is_shared_only_by_vendors_with_the_same_clients() {
        let mut by_gateway: BTreeMap<&str, &Provider> = BTreeMap::new();
        for provider in all() {
            let Some(gateway) = provider.gateway.as_deref() else {
                continue;
            };
            let other = by_gateway.entry(gateway).or_insert(provider);
            let names = |p: &Provider| {
                p.environment
                    .iter()
                    .map(|v| v.name.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(names(other), names(provider), "{gateway}");
            assert_eq!(other.dialect, provider.dialect, "{gateway}");
        }
        assert_eq!(
            by_gateway.into_keys().collect::<Vec<_>>(),
            ["anthropic", "bedrock", "fireworks", "gemini", "openai"]
        );
    }

    #[test]
    fn variables_are_unique_within_a_vendor_and_carry_what_they_say() {
        for provider in all() {
            let mut seen = BTreeSet::new();
            for Variable {
                name,
                carries,
                value,
                only_if_present,
            } in &provider.environment
            {
                assert!(
                    seen.insert(name),
                    "{}: {name} stands there twice",
                    provider.name
                );
                assert!(
                    name.bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
                    "{name}"
                );
                match carries {
                    Carries::Address => assert!(
                        value.starts_with("{route}") && !value.ends_with('/'),
                        "{name}: {value}"
                    ),
                    Carries::Setting => assert_eq!(value, "{region}", "{name}"),
                    Carries::Key => assert!(
                        value == "{placeholder}" || value.is_empty() && *only_if_present,
                        "{name}: {value}"
                    ),
                }
            }
        }
    }

    #[test]
    fn a_base_url_in_the_environment_ends_as_the_vendors_clients_expect() {
        for provider in all()
            .iter()
            .filter(|provider| provider.base_url_has_base_path)
        {
            for variable in provider
                .environment
                .iter()
                .filter(|v| v.carries == Carries::Address)
            {
                assert_eq!(
                    variable.value,
                    format!("{{route}}{}", provider.base_path),
                    "{}",
                    variable.name
                );
            }
        }
    }
}
